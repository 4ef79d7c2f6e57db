"""app/learn/har_entry.py: one entry becomes a record, or an error with its place. Whole files are
in test_har.py."""

import json
from collections import Counter
from typing import Any

import pytest

from app.learn.har_entry import ENTRY_CAP, BadHar, record

ENTRY = {
    "startedDateTime": "2026-11-30T01:02:03.004Z",
    "time": 12.5,
    "request": {
        "method": "POST", "url": "https://Stats.acme.example:8443/v1/usage?v=1",
        "headers": [{"name": "X-Id", "value": "7"}],
        "postData": {"mimeType": "application/json", "text": "{}"},
    },
    "response": {"status": 204, "headers": []},
}  # fmt: skip


def raw(**request: Any) -> bytes:
    return json.dumps(ENTRY | {"request": ENTRY["request"] | request}).encode()  # type: ignore[operator]


def test_an_entry_is_a_record() -> None:
    found = record(raw(), "b" * 32, 0, Counter())
    assert found is not None and found.request is not None and found.response is not None
    assert (found.seq, found.duration_ns, found.response.status) == (1, 12_500_000, 204)
    asked = found.request
    assert (asked.method, asked.host, asked.port, asked.path) == (
        "POST", "stats.acme.example", 8443, "/v1/usage",
    )  # fmt: skip
    assert asked.query == [("v", "1")] and ("X-Id", "7") in asked.headers
    assert asked.body is not None and asked.body.text == "{}"


def test_what_goes_elsewhere_is_counted_and_no_record() -> None:
    left_out: Counter[str] = Counter()
    assert record(raw(url="data:text/plain,x"), "b" * 32, 0, left_out) is None
    assert left_out.total() == 1


@pytest.mark.parametrize(
    ("entry", "where", "value"),
    [
        (raw(method="G T"), "request.method", "G T"),
        (raw(url="https://"), "request.url", "https://"),
        (raw(headers=[{"name": 7}]), "request.headers[0].name", 7),
        (raw().replace(b"2026-11-30T", b"long ago "), "startedDateTime", None),
        (b'{"request": {}, "request": {}}', "", "request"),
        (b" " * (ENTRY_CAP + 1), "", ENTRY_CAP + 1),
    ],
)
def test_what_is_wrong_has_a_place_a_value_and_a_remedy(
    entry: bytes, where: str, value: object
) -> None:
    with pytest.raises(BadHar) as wrong:
        record(entry, "b" * 32, 0, Counter())
    assert wrong.value.where == where and wrong.value.hint and wrong.value.message
    assert value is None or wrong.value.value == value
