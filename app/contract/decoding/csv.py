"""Lines of comma, semicolon, tab or bar separated values under a row of names.

Every row has as many cells as the first, whose names are all different and no numbers: other text
is no CSV. A cell in quotes may hold separators and line ends.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from app.contract.decoding.bounds import MOST
from app.contract.decoding.part import Part
from app.contract.decoding.splice import splice

_CELLS = {
    separator: re.compile(
        rb'(?:"((?:[^"]|"")*+)"?|([^"\r\n' + re.escape(separator) + rb"][^\r\n"
        + re.escape(separator) + rb"]*+|))(" + re.escape(separator) + rb"|\r?\n|\r|\Z)"
    )
    for separator in (b",", b";", b"\t", b"|")
}  # fmt: skip
_NAME = re.compile(r"[^\W\d][^\n\"{}<>=]{0,63}")
_MARK = b"\xef\xbb\xbf"  # Excel's
_WIDEST = 1000  # columns


class Table(NamedTuple):
    """The cells below the row of names, row by row; and how many a row has."""

    cells: list[Part]
    width: int
    whole: bool  # False beyond MOST cells


def split(data: bytes) -> list[Part] | None:
    """The cells, named by their column, each without its quotes."""
    found = table(data)
    return found.cells if found is not None and found.whole else None


def table(data: bytes) -> Table | None:
    head_end = min((end for end in (data.find(b"\n"), data.find(b"\r")) if end >= 0), default=0)
    at = len(_MARK) if data.startswith(_MARK) else 0
    if not at < head_end < 64 << 10:
        return None
    head = data[at:head_end]
    separator = max(_CELLS, key=head.count)
    if separator not in head or head[:1] in b"{[<":
        return None
    rows = _CELLS[separator]
    names: list[str] = []
    cells: list[Part] = []
    column = 0
    while at < len(data):
        cell = rows.match(data, at)
        if cell is None:
            return None
        quoted = cell.group(1) is not None
        start, end = cell.span(1 if quoted else 2)
        last = cell.group(3) != separator
        at = cell.end()
        if len(names) <= column and not cells:
            names.append(unescape(data[start:end]).decode("utf-8", "replace").strip())
            if last:
                if not _are_names(names):
                    return None
                column = -1
        elif column >= len(names):
            return None
        elif last and not column and start == end and len(names) > 1:
            column = -1  # an empty line
        else:
            cells.append(Part(names[column], start, end))
            if last and column + 1 < len(names) and at < len(data):
                return None
            if len(cells) > MOST:
                return Table(cells, len(names), False)
        column = 0 if last else column + 1
    return Table(cells, len(names), True) if cells else None


def _are_names(names: Sequence[str]) -> bool:
    return (
        2 <= len(names) <= _WIDEST
        and len(set(names)) == len(names)
        and all(map(_NAME.fullmatch, names))
    )


def unescape(raw: bytes) -> bytes:
    """Reads a cell in quotes."""
    return raw.replace(b'""', b'"')


def value(data: bytes, part: Part) -> bytes:
    """Reads a cell."""
    raw = data[part.start : part.end]
    return unescape(raw) if data[part.start - 1 : part.start] == b'"' else raw


def join(data: bytes, parts: Sequence[Part], values: Sequence[bytes]) -> bytes:
    """The lines with these values, which say what `value` reads; in quotes where they need them."""
    written = []
    for part, new in zip(parts, values, strict=True):
        quoted = data[part.start - 1 : part.start] == b'"'
        old = data[part.start : part.end]
        if new == value(data, part):
            written.append(old)
        elif quoted:
            written.append(new.replace(b'"', b'""'))
        elif any(c in new for c in b'",;\t|\r\n'):
            written.append(b'"' + new.replace(b'"', b'""') + b'"')
        else:
            written.append(new)
    return splice(data, parts, written)
