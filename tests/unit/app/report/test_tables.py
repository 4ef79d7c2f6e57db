"""Tables fit the terminal, and keep every value whole."""

import io
import re

import pytest
from rich.cells import cell_len

from app.report import tables
from app.report.tables import coloured, markdown_table, text_table

HEAD = ("host", "endpoint", "action", "by", "status", "count", "bytes", "first seen", "last seen")
TIME = "2026-11-29T00:49:49Z"
ROWS = [
    ("cdn.cribl.io", "GET /telemetry/index.html", "mock", "app", "200:12", 12, 4711, TIME, TIME),
    ("a" * 70 + ".example", "POST /\u6f22\u5b57/" * 9, "observe", "-", "404:1", 1, 0, TIME, TIME),
    ("x", "\x1b[2J\u202e" * 30, "block", "app", "", 100_000, 10**12, TIME, TIME),
]


class Terminal(io.StringIO):
    def __init__(self, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        monkeypatch.setenv("COLUMNS", str(columns))

    def isatty(self) -> bool:
        return True


def bare(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_text_table() -> None:
    assert text_table(("name", "n"), [("a", 5), ("bb\n", 100)]) == (
        "name    n\na       5\nbb\\n  100\n"
    )
    assert text_table(("name", "n"), []) == "name  n\n"


def test_a_table_that_is_piped_is_as_wide_as_its_values() -> None:
    lines = text_table(HEAD, ROWS).splitlines()
    assert len(lines) == 4 and max(map(cell_len, lines)) > 200
    assert "\x1b" not in "".join(lines)
    assert len({cell_len(line[: line.index("2026")]) for line in lines[1:] if "2026" in line}) <= 3


@pytest.mark.parametrize("columns", [*range(60, 130, 7), 200, 400])
def test_a_table_fits_the_terminal_and_cuts_nothing(columns: int, monkeypatch) -> None:
    table = bare(text_table(HEAD, ROWS, Terminal(columns, monkeypatch)))
    lines = table.splitlines()
    assert max(map(cell_len, lines)) <= columns
    assert "\u2026" not in table
    note = re.search(r"not shown at this width: ([^;]+);", " ".join(lines))
    left_out = note[1].split(", ") if note else []
    assert not {"host", "endpoint", "action", "count"} & set(left_out)
    shown = lines[: -1 if note else None]
    whole = "".join("".join(line.split()) for line in shown)
    for name, *values in zip(HEAD, *ROWS, strict=True):
        for value in values:
            text = tables.plain(value, 10_000)
            if name not in left_out and len(text) <= 20:
                assert "".join(text.split()) in whole, name
    for letter, wanted in (("a", 70), ("\u6f22", 9)):
        assert table.count(letter) >= wanted
    if columns == 400:
        assert not left_out


def test_columns_that_matter_less_go_first(monkeypatch) -> None:
    narrow = text_table(HEAD, ROWS[:1], Terminal(80, monkeypatch))
    assert bare(narrow).splitlines()[0].split() == [
        "host", "endpoint", "action", "status", "count", "bytes",
    ]  # fmt: skip
    assert "first seen, by, last seen; --json has them" in narrow


def test_a_terminal_narrower_than_any_table_still_gets_whole_values(monkeypatch) -> None:
    table = bare(text_table(("host", "n"), [("abcdefghij" * 3, 5)], Terminal(12, monkeypatch)))
    assert "".join(line.split()[0] for line in table.splitlines()[1:]) == "abcdefghij" * 3


@pytest.mark.parametrize(
    ("environ", "colours"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(environ, colours, monkeypatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    to = Terminal(200, monkeypatch)
    table = text_table(HEAD, ROWS, to)
    assert ("\x1b[" in table) == colours
    assert ("\x1b[1;31merror:\x1b[0m a" in coloured("error: a\n\nhint: b", to)) == colours
    assert coloured("error: a", io.StringIO()) == "error: a"
    # What was captured colours nothing: only ours do.
    assert "\\x1b[2J" in table


def test_a_width_that_is_none_is_not_used(monkeypatch) -> None:
    to = Terminal(80, monkeypatch)
    for wrong in ("wide", "-1", "0", "", "\u0664\u0660"):
        monkeypatch.setenv("COLUMNS", wrong)
        assert tables.width(to) == 80  # it has no size to ask for
    monkeypatch.setenv("COLUMNS", "61")
    assert tables.width(to) == 61
    assert tables.width(io.StringIO()) is None


def test_markdown_table() -> None:
    assert markdown_table(("a", "b"), [("x|y", 1)]) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |\n"
