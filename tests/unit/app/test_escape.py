"""Nothing captured steers a terminal or becomes markup."""

import json

import pytest

from app.escape import as_json, inert, json_text, paragraphs, plain


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


def test_json_that_no_terminal_acts_on_says_the_same() -> None:
    line = json.dumps({"a": "\x1b\x7f\x9b\u202eé\U000e0001", "b": "\n"}, ensure_ascii=False)
    shown = json_text(line.encode())
    assert json.loads(shown) == json.loads(line) == json.loads(as_json(json.loads(line)))
    assert shown.isprintable() and "é" in shown


def test_paragraphs_keep_their_lines() -> None:
    assert paragraphs("error: \x1b[2J\n\nhint: a") == "error: \\x1b[2J\n\nhint: a"


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
