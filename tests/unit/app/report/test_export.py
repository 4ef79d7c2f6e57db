"""Exports stream, and hold nothing that a spreadsheet or a browser's tool would stumble over."""

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator

import pytest

from app.contract.record import Body, encode
from app.report.export import CSV_COLUMNS, FORMATS, cell, har, ndjson, table
from tests.records import BOOT, T0, exchange, log, spliced


def rows(*lines: bytes) -> list[dict[str, str]]:
    text = b"".join(table(lines)).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_ndjson_is_what_was_kept() -> None:
    line = encode(exchange(1))[:-1] + b',"of_tomorrow":1}'
    assert b"".join(ndjson([line, line])) == line + b"\n" + line + b"\n"


def test_csv_has_a_column_for_each_promise() -> None:
    (row,) = rows(encode(exchange(3, time_ns=T0 + 1_000_000, body=Body(text='{"a":1}', size=7))))
    assert tuple(row) == CSV_COLUMNS
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
    assert b"".join(table([])) == ",".join(CSV_COLUMNS).encode() + b"\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@a",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "\uff1d1",
        "=cmd|' /C calc'!A0",
        "\uff0b1",
        "\uff0d1",
        "\uff20a",
        "  =1",
        "\xa0=1",
        "\u3000@a",
        "\x0b=1",
        "\ufeff=1",
        "\u200b=1",
        " \u200e-1",
        "\nx",
    ],
)
def test_formulas_are_neutralised_everywhere(text: str) -> None:
    assert cell(text) == "'" + text
    record = exchange(
        path=text, method=text, host=text, product_version=text, pod=text, namespace=text,
        headers=[("User-Agent", text)], query=[(text, text)], body=Body(text=text, size=1),
        route=text, rule=text, profile=text,
    )  # fmt: skip
    (row,) = rows(encode(record))
    for name, value in row.items():
        assert not value.startswith(text), name
    assert row["path"] == "'" + text


def test_other_cells_stay_as_they_are_and_long_ones_are_cut() -> None:
    assert cell('a=b,"c"\nd') == 'a=b,"c"\nd'
    assert cell(0.5) == "0.5"
    assert cell("a\0b") == "a\\0b"
    assert len(cell("x" * 100_000)) < 32_767


def test_har_is_what_the_specification_asks_for() -> None:
    record = exchange(
        5, method="POST", headers=[("Content-Type", "application/json")],
        body=Body(text='{"lic":"***"}', size=20), query=[("a b", "ä&="), ("x", "")],
    )  # fmt: skip
    log = json.loads(b"".join(har([encode(record)])))["log"]
    assert (log["version"], log["creator"]["name"]) == ("1.2", "telemock")
    (entry,) = log["entries"]
    assert entry["startedDateTime"] == "2026-09-21T14:13:20.000Z"
    assert entry["time"] == 2.5
    assert sum(v for v in entry["timings"].values()) == 2.5
    request, response = entry["request"], entry["response"]
    assert request["url"] == "https://cdn.cribl.io/telemetry/index.html?a%20b=%C3%A4%26%3D&x="
    assert request["postData"] == {
        "mimeType": "application/json", "params": [], "text": '{"lic":"***"}',
    }  # fmt: skip
    assert response["content"] == {
        "size": 29, "mimeType": "text/html", "text": "cribl /// living the stream!\n",
    }  # fmt: skip
    # Every name that HAR 1.2 calls mandatory.
    assert {"startedDateTime", "time", "request", "response", "cache", "timings"} <= set(entry)
    common = {"httpVersion", "cookies", "headers", "headersSize", "bodySize"}
    assert common | {"method", "url", "queryString"} <= set(request)
    assert common | {"status", "statusText", "content", "redirectURL"} <= set(response)
    assert {"send", "wait", "receive"} <= set(entry["timings"])


def test_har_of_bytes_without_an_answer_and_of_records_without_a_request() -> None:
    failed = exchange(1, kind="failed", response=None, body=Body(base64="/wA=", size=2))
    shown = exchange(2)
    if shown.response:
        shown.response.body = Body(base64="/wA=", size=2)
    lines = [encode(r) for r in (spliced(9), failed, log(8, "x"), shown)]
    first, second = json.loads(b"".join(har(lines)))["log"]["entries"]
    assert first["response"]["status"] == 0
    assert first["request"]["postData"]["comment"] == "base64"
    assert second["response"]["content"]["encoding"] == "base64"
    assert json.loads(b"".join(har([])))["log"]["entries"] == []


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
    assert peak(3000) < peak(100) + 100_000
