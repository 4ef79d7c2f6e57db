"""Writes captures as a workbook of Excel, with the columns of CSV. Every text stays text: a version
4.10 is no number, and nothing is run. Called by `app.report.export`.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from app.report.extras import extra
from app.report.rows import COLUMNS, row, shown
from app.store.classes import NO_WORDS, ClassWords

_SHEET = 1_048_576  # rows of a sheet at most, the head among them
_PIECE = 1 << 16


def xlsx(lines: Iterable[bytes], words: ClassWords = NO_WORDS) -> Iterator[bytes]:
    """Yields the pieces of a workbook, which is made in a temporary file: memory does not grow with
    the number of captures. Raises MissingPackageError."""
    workbook = extra("xlsx", "XlsxWriter", "xlsxwriter").Workbook
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "book").open("w+b") as file:
        book = workbook(file, {"constant_memory": True, "tmpdir": folder})
        try:
            _fill(book, lines, words)
        finally:
            book.close()  # also the files of its sheets, when the captures end in an error
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


def _fill(book: Any, lines: Iterable[bytes], words: ClassWords) -> None:
    bold, quoted = book.add_format({"bold": True}), book.add_format({"quote_prefix": True})
    sheet, at = _sheet(book, bold), 1
    for line in lines:
        if at >= _SHEET:
            sheet, at = _sheet(book, bold), 1
        for column, value in enumerate(row(line, words)):
            if isinstance(value, int | float):
                sheet.write_number(at, column, value)
            else:
                text, runs = _text(value)
                sheet.write_string(at, column, text, quoted if runs else None)
        at += 1


def _sheet(book: Any, bold: Any) -> Any:
    sheet = book.add_worksheet()
    sheet.freeze_panes(1, 0)
    for column, name in enumerate(COLUMNS):
        sheet.write_string(0, column, name, bold)
    return sheet


def _text(value: object) -> tuple[str, bool]:
    text, runs = shown(value)
    if text and max(text) > "\uffff":
        text = text[:16_000]  # Excel counts these characters twice
    if text.startswith("<r>") and text.endswith("</r>"):
        text += " "  # XlsxWriter would take it for XML of its own
    return text, runs
