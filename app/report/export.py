"""Writes captures as files: NDJSON, CSV and XLSX for spreadsheets, HAR 1.2 for
browsers' tools, Parquet for analysis.

Called by `telemock captures export` (and for downloads). Each function takes records as JSON lines,
and what is said of classes, and yields pieces of the file, so that memory does not grow with the
number of records. They are masked
already; nothing here removes or restores a value.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator

from app.escape import json_text
from app.report.har import har
from app.report.parquet import parquet
from app.report.rows import COLUMNS, cell, row
from app.report.xlsx import xlsx
from app.store.classes import NO_WORDS, ClassWords

Export = Callable[[Iterable[bytes], ClassWords], Iterator[bytes]]


def ndjson(lines: Iterable[bytes], words: ClassWords = NO_WORDS) -> Iterator[bytes]:
    """Yields every record with all its fields, one a line, as JSON that no terminal acts on."""
    for line in lines:
        yield json_text(line).encode() + b"\n"


def table(
    lines: Iterable[bytes], words: ClassWords = NO_WORDS, *, bom: bool = True
) -> Iterator[bytes]:
    """Yields CSV (RFC 4180) with a head line. Cells that a spreadsheet would run begin with a '.
    `bom` adds a byte order mark: without it Excel takes UTF-8 for the machine's old code page."""
    buffer = io.StringIO("\ufeff" if bom else "")
    buffer.seek(0, io.SEEK_END)
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for line in lines:
        writer.writerow(map(cell, row(line, words)))
        yield buffer.getvalue().encode("utf-8", "backslashreplace")
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode("utf-8")


FORMATS: dict[str, Export] = {
    "ndjson": ndjson,
    "csv": table,
    "har": har,
    "xlsx": xlsx,
    "parquet": parquet,
}
BINARY = ("xlsx", "parquet")
