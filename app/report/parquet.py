"""Writes captures as Parquet, with the columns of CSV: text as it was captured, numbers, and the
time in nanoseconds. Called by `app.report.export`.
"""

import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from app.report.extras import extra
from app.report.outgoing import known
from app.report.rows import COLUMNS, row
from app.store.classes import NO_WORDS, ClassWords

_ROWS = 1_000  # in a group; memory holds two
_BYTES = 16 << 20  # of a group's captures
_PIECE = 1 << 16


def parquet(lines: Iterable[bytes], words: ClassWords = NO_WORDS) -> Iterator[bytes]:
    """Yields the pieces of a file, which is made in a temporary one. Raises MissingPackageError."""
    arrow = extra("parquet", "pyarrow", "pyarrow")
    writing = extra("parquet", "pyarrow", "pyarrow.parquet")
    schema = _schema(arrow)
    with tempfile.TemporaryFile() as file:
        with writing.ParquetWriter(file, schema, compression="zstd") as writer:
            for group in _groups(lines, words):
                columns = [list(column) for column in zip(*group, strict=True)]
                writer.write_batch(arrow.record_batch(columns, schema=schema))
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


def _schema(arrow: Any) -> Any:
    types = {
        "time": arrow.timestamp("ns", tz="UTC"),
        "status": arrow.int16(),
        "request_bytes": arrow.int64(),
        "response_bytes": arrow.int64(),
        "duration_ms": arrow.float64(),
        "events": arrow.int64(),
    }
    return arrow.schema([(name, types.get(name, arrow.string())) for name in COLUMNS])


def _groups(lines: Iterable[bytes], words: ClassWords) -> Iterator[list[list[object]]]:
    group: list[list[object]] = []
    size = 0
    for line in lines:
        values = row(line, words)
        values[_TIME] = known(line).time_ns
        values[_STATUS] = values[_STATUS] or None  # without an answer
        group.append(values)
        size += len(line)
        if len(group) >= _ROWS or size >= _BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


_TIME, _STATUS = COLUMNS.index("time"), COLUMNS.index("status")
