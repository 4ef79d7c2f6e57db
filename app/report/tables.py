"""Renders plain tables for terminals and for Markdown.

Called by the report, the command line and `app.analysis`. Cells hold captured text. On a terminal a
table fits the width: columns that matter less are left out, and said to be; long values go on in
the next line, and none is cut. Elsewhere a table is as wide as its values.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple, TextIO

from app.contract.actions import ANSWERED, FORWARDED, OUTLINED, REFUSED
from app.escape import inert, plain

LONGEST = 4096  # characters of a cell
_GAP = "  "
_READABLE = 20  # a column of this width holds a time, and parts of long values that can be read
_NARROWEST = 6
# Columns that a narrow terminal leaves out, these first. All of them are in --json.
_LESS = (
    "first seen", "first", "watched from", "node", "by", "phase", "shape", "version", "last seen",
    "last", "until", "bytes in", "workload", "bytes out", "bytes", "redirect", "status",
)  # fmt: skip
_BOLD, _END = "\033[1m", "\033[0m"
_GREEN, _YELLOW, _RED, _CYAN = "\033[32m", "\033[33m", "\033[31m", "\033[36m"
_COLOURS: dict[str, str] = {
    **dict.fromkeys(ANSWERED, _GREEN), **dict.fromkeys(REFUSED, _YELLOW),
    **dict.fromkeys(FORWARDED - OUTLINED, _CYAN),
    "answered here": _GREEN, "Answered here": _GREEN,
    "refused": _YELLOW, "Refused": _YELLOW, "failed": _RED, "Failed": _RED,
    "tls_rejected": _RED, "error:": "\033[1;31m", "hint:": "\033[1;36m",
}  # fmt: skip


def text_table(
    head: Sequence[str], rows: Iterable[Sequence[object]], to: TextIO | None = None
) -> str:
    """Aligns columns, numbers to the right. Ends with a newline. `to` is where it is printed, by
    default standard output."""
    body = [list(row) for row in rows]
    cells = [[plain(v, LONGEST) for v in row] for row in body]
    natural = [max(map(cells_of, column)) for column in zip(head, *cells, strict=True)]
    right = [
        bool(body) and all(isinstance(row[i], int | float) for row in body)
        for i in range(len(head))
    ]
    grid = Grid(head, natural, to or sys.stdout, right)
    return "".join([grid.head, *map(grid.row, cells), grid.note])


class Grid:
    """Columns of these widths, or of what a terminal has room for; for rows that come one by
    one."""

    def __init__(
        self, head: Sequence[str], natural: Sequence[int], to: TextIO, right: Sequence[bool] = ()
    ) -> None:
        self._width = width(to)
        self._has_colours = has_colours(to)
        self._columns, left_out = _fit(head, natural, self._width)
        self._right = right or [False] * len(head)
        self.head = self._laid([head[c.number] for c in self._columns], _BOLD)
        self.note = ""
        if left_out and self._width:
            told = f"(not shown at this width: {', '.join(left_out)}; --json has them)"
            self.note = "".join(f"{line}\n" for line in _wrapped(told, self._width))

    def row(self, cells: Sequence[str]) -> str:
        """One row, of as many lines as its longest cell needs. Cells are `plain`."""
        return self._laid([cells[c.number] for c in self._columns])

    def _laid(self, cells: Sequence[str], style: str = "") -> str:
        if self._width is None:
            return self._line(cells, style)
        parts = [_wrapped(t, c.width) for t, c in zip(cells, self._columns, strict=True)]
        styles = [style or _COLOURS.get(text, "") for text in cells]
        return "".join(self._line(line, *styles) for line in zip_longest(*parts, fillvalue=""))

    def _line(self, cells: Sequence[str], *styles: str) -> str:
        shown = []
        for i, (text, column) in enumerate(zip(cells, self._columns, strict=True)):
            blanks = " " * (column.width - cells_of(text))
            style = styles[i % len(styles)] if self._has_colours else ""
            text = f"{style}{text}{_END}" if style and text else text
            if self._right[column.number]:
                text = blanks + text
            elif i < len(cells) - 1:
                text += blanks
            shown.append(text)
        return _GAP.join(shown).rstrip() + "\n"


class Section(NamedTuple):
    """`behind`: for each row the filter that finds the captures which its column `count` counts."""

    title: str
    head: str  # comma separated
    rows: Sequence[Sequence[object]]
    empty: str = ""  # text of an empty section; if "", the section is left out
    behind: Sequence[str] = ()

    @property
    def counted(self) -> int:
        """The place of the column `count`."""
        return self.head.split(",").index("count")


class _Column(NamedTuple):
    number: int  # of the column in the table
    width: int


def _fit(
    head: Sequence[str], natural: Sequence[int], most: int | None
) -> tuple[list[_Column], list[str]]:
    """The columns that are shown, and the names of those that are not."""
    kept, widths, left_out = list(range(len(head))), list(natural), []

    def total(of: Sequence[int]) -> int:
        return sum(of[i] for i in kept) + len(_GAP) * (len(kept) - 1)

    if most is not None:
        least = [min(n, _READABLE) for n in natural]
        for name in _LESS:
            if total(least) <= most:
                break
            out = [i for i in kept if head[i].lower() == name]
            left_out += [head[i] for i in out]
            kept = [i for i in kept if i not in out]
        for floor in (least, [min(n, _NARROWEST) for n in natural]):
            while total(widths) > most and (wide := [i for i in kept if widths[i] > floor[i]]):
                widths[max(wide, key=lambda i: widths[i])] -= 1
    return [_Column(i, widths[i]) for i in kept], left_out


def _wrapped(text: str, width: int) -> Iterable[str]:
    if cells_of(text) <= width:
        return [text]
    from rich.console import Console
    from rich.text import Text

    lines = Text(text).wrap(Console(width=width), width, overflow="fold")
    return [line.plain.rstrip() for line in lines]


def cells_of(text: str) -> int:
    """Columns of a terminal that the text takes: East Asian characters take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def width(to: TextIO) -> int | None:
    """The terminal's columns; None if it is none."""
    if not to.isatty():
        return None
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and int(given[:6]):
        return int(given[:6])
    try:
        return os.get_terminal_size(to.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def has_colours(to: TextIO) -> bool:
    """https://no-color.org."""
    return to.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured(text: str, to: TextIO) -> str:
    """Colours the words that begin the lines of an error."""
    if not has_colours(to):
        return text
    return "\n".join(_coloured(text.split("\n")))


def _coloured(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        word, blank, rest = line.partition(" ")
        yield f"{_COLOURS[word]}{word}{_END}{blank}{rest}" if word in ("error:", "hint:") else line


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Ends with a newline. Nothing makes a document's cells short, so sentences stay whole."""
    lines = [[inert(v, 1_000) for v in row] for row in rows]
    return "".join(
        f"| {' | '.join(line)} |\n"
        for line in ([inert(h) for h in head], ["---"] * len(head), *lines)
    )
