"""Exports stream, and hold nothing that a spreadsheet or a browser's tool would stumble over."""

import csv
import io
import tracemalloc
from collections.abc import Iterator

import pytest

from app.contract.record import Body, encode
from app.report.export import FORMATS, ndjson, table
from app.report.rows import COLUMNS, cell
from tests.records import BOOT, T0, exchange, log, spliced
from tests.unit.app.report.formulas import FORMULAS


def rows(*lines: bytes) -> list[dict[str, str]]:
    text = b"".join(table(lines)).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_ndjson_is_what_was_kept() -> None:
    line = encode(exchange(1))[:-1] + b',"of_tomorrow":1}'
    assert b"".join(ndjson([line, line])) == line + b"\n" + line + b"\n"


def test_csv_has_a_column_for_each_promise() -> None:
    (row,) = rows(encode(exchange(3, time_ns=T0 + 1_000_000, body=Body(text='{"a":1}', size=7))))
    assert tuple(row) == COLUMNS
    assert row["id"] == f"{BOOT}-3"
    assert row["time"] == "2026-09-21T14:13:20.001Z"
    assert row["query"] == "v=4.16.1-20904e45&os=linux&ib=12"
    assert (row["status"], row["user_agent"], row["client"]) == ("200", "node", "10.1.2.3")
    assert (row["request_bytes"], row["response_bytes"]) == ("7", "29")
    assert (row["request_body"], row["duration_ms"]) == ('{"a":1}', "2.5")


def test_csv_has_records_without_a_request_too() -> None:
    found = rows(encode(spliced(1)), encode(log(2, "=1+1")))
    assert [row["kind"] for row in found] == ["spliced", "log"]
    assert (found[0]["host"], found[0]["request_bytes"]) == ("other.example", "100")


def test_csv_without_captures_has_a_head() -> None:
    assert b"".join(table([], bom=False)) == ",".join(COLUMNS).encode() + b"\r\n"


def test_csv_begins_with_a_byte_order_mark_for_excel_once() -> None:
    lines = [encode(exchange(1, path="/ä")), encode(exchange(2))]
    text = b"".join(table(lines))
    assert text == b"\xef\xbb\xbf" + b"".join(table(lines, bom=False))
    assert text.count(b"\xef\xbb\xbf") == 1


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_neutralised_everywhere(text: str) -> None:
    record = exchange(
        path=text, method=text, host=text, product_version=text, pod=text, namespace=text,
        headers=[("User-Agent", text)], query=[(text, text)], body=Body(text=text, size=1),
        route=text, rule=text, profile=text,
    )  # fmt: skip
    (row,) = rows(encode(record))
    for name, value in row.items():
        assert not value.startswith(text), name
    assert row["path"] == cell(text)


@pytest.mark.parametrize("name", FORMATS)
def test_memory_does_not_grow_with_the_number_of_records(name: str) -> None:
    def lines(count: int) -> Iterator[bytes]:
        line = encode(exchange(1))
        return (line for _ in range(count))

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            for _ in FORMATS[name](lines(count)):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    few = 2_000 if name == "parquet" else 500  # it holds two groups of a thousand; others a buffer
    assert peak(6_000) < peak(few) + 50_000
