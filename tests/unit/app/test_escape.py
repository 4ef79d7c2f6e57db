"""Nothing captured steers a terminal or becomes markup."""

import pytest

from app.escape import inert, plain


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("txt\u202egpj.exe", r"txt\u202egpj.exe"),
        ("line\u2028end", r"line\u2028end"),
        ("\ud800", r"\ud800"),
        ("\U000e0001", r"\U000e0001"),
        ("é 漢字", "é 漢字"),
        (12, "12"),
    ],
)
def test_plain(value: object, shown: str) -> None:
    assert plain(value) == shown


def test_plain_is_cut() -> None:
    assert plain("x" * 1_000) == "x" * 200 + "…"


@pytest.mark.parametrize(
    "value",
    ["<script>alert(1)</script>", "![x](https://evil.example/?q)", "a|b", "`code`", "**b**",
     "[a](javascript:b)", "https://evil.example", "<!-- x", "# title", "&lt;", "me@evil.example"],
)  # fmt: skip
def test_inert(value: str) -> None:
    shown = inert(value)
    bare = shown.replace("\\\\", "")
    assert "<" not in bare and "://" not in bare and "@" not in bare
    for mark in "|`*_[]#":
        assert bare.count(mark) == bare.count("\\" + mark) + ("&#" in bare and mark == "#") * (
            bare.count("&#")
        )
