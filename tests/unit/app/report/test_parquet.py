"""Parquet holds what was captured, with types."""

import io
from collections.abc import Iterable

import pyarrow
import pytest
from pyarrow import parquet as reading

from app.contract.record import Body, CaptureRecord, encode
from app.report import parquet as module
from app.report.parquet import parquet
from app.report.rows import COLUMNS
from tests.records import BOOT, T0, exchange, spliced

EVIL = "=1+1\x1b[2J\x00\U0001f600\n"


def read(records: Iterable[CaptureRecord]) -> reading.ParquetFile:
    return reading.ParquetFile(io.BytesIO(b"".join(parquet(map(encode, records)))))


def test_columns_have_types_and_text_is_as_it_was_captured() -> None:
    body = Body(text=EVIL, size=2**63 - 1)
    table = read([exchange(1, time_ns=T0 + 7, body=body, path=EVIL), spliced(2)]).read()
    assert tuple(table.column_names) == COLUMNS
    first, second = table.drop_columns(["time"]).to_pylist()
    assert (first["id"], first["path"], first["request_body"]) == (f"{BOOT}-1", EVIL, EVIL)
    assert (first["status"], second["status"]) == (200, None)
    assert (first["request_bytes"], first["duration_ms"]) == (2**63 - 1, 2.5)
    assert table.schema.field("time").type == pyarrow.timestamp("ns", tz="UTC")
    assert table["time"].cast(pyarrow.int64()).to_pylist()[0] == T0 + 7


def test_groups_are_bounded_by_rows_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 2)
    assert read(exchange(n) for n in range(1, 6)).num_row_groups == 3
    monkeypatch.setattr(module, "_BYTES", 1)
    assert read(exchange(n) for n in range(1, 6)).num_row_groups == 5


def test_without_captures_there_are_columns() -> None:
    assert tuple(read([]).read().column_names) == COLUMNS
