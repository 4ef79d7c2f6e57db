"""Each event of a batch is one, whoever's batch it is."""

import base64
import gzip
import json
from typing import Any
from urllib.parse import quote

import pytest

from app.contract.decoding.events import MOST, events, of_record
from app.contract.decoding.read import decode
from tests.records import exchange

FORM = "application/x-www-form-urlencoded"
TWO = [{"event": "a", "properties": {}}, {"event": "b"}]
MIXPANEL = base64.b64encode(json.dumps(TWO).encode()).decode()
SNOWPLOW = {
    "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
    "data": [{"e": "pv"}, {"e": "ue", "ue_px": MIXPANEL}],
}
SPAN = {"name": "start", "attributes": [{"key": "k", "value": {"stringValue": "v"}}]}
OTLP = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": [SPAN, {"name": "stop"}]}]}]}
KINESIS = {
    "records": [
        {"data": base64.b64encode(b'{"event_name":"run"}').decode(), "partition-key": "1"},
        {"data": {"event_name": "log"}, "partition-key": "1"},
    ]
}


def read(body: Any, content_type: str = "application/json") -> list[tuple[str, str]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [(event.name, event.at) for event in events(decode(data, content_type))]


@pytest.mark.parametrize(
    ("body", "content_type", "found"),
    [
        ({"batch": TWO, "sentAt": "x"}, "", [("a", "body.batch[0]"), ("b", "body.batch[1]")]),
        (TWO, "", [("a", "body[0]"), ("b", "body[1]")]),
        ({"api_key": "k", "events": [{"event_type": "x"}]}, "", [("x", "body.events[0]")]),
        (
            f"data={quote(MIXPANEL)}&verbose=1".encode(),
            FORM,
            [("a", "body.data›base64›json[0]"), ("b", "body.data›base64›json[1]")],
        ),
        (
            b"data=" + quote(base64.b64encode(b'{"event":"one"}')).encode(),
            FORM,
            [("one", "body.data›base64›json")],
        ),
        (SNOWPLOW, "", [("pv", "body.data[0]"), ("ue", "body.data[1]")]),
        (
            {"client_id": "c", "events": [{"name": "login", "params": {}}]},
            "",
            [("login", "body.events[0]")],
        ),
        (
            b"en=page_view&_et=1\nen=scroll&_et=2",
            "text/plain",
            [("page_view", "body"), ("scroll", "body")],
        ),
        (b'{"event":"a"}\n{"event":"b"}\n', "application/x-ndjson", [("a", "body"), ("b", "body")]),
        (
            b'{"event_id":"1"}\n{"type":"event"}\n{"message":"m"}\n{"type":"session"}\n{"sid":1}',
            "application/x-sentry-envelope",
            [("event", "body.event"), ("session", "body.session")],
        ),
        (
            OTLP,
            "",
            [
                ("start", "body.resourceSpans[0].scopeSpans[0].spans[0]"),
                ("stop", "body.resourceSpans[0].scopeSpans[0].spans[1]"),
            ],
        ),
        (KINESIS, "", [("run", "body.records[0]"), ("log", "body.records[1]")]),
        (b"name,n\nstart,1\nstop,2\n", "text/csv", [("start", "body[0]"), ("stop", "body[1]")]),
        (
            gzip.compress(json.dumps({"batch": TWO}).encode(), mtime=0),
            "text/plain",
            [("a", "body›gzip›json.batch[0]"), ("b", "body›gzip›json.batch[1]")],
        ),
        ({"v": 1, "list": [1, 2]}, "", [("", "body")]),
        ([1, 2], "", []),
        (b"words", "text/plain", []),
        (b"", "", []),
        (b"\xff\x00", "", []),
    ],
)  # fmt: skip
def test_each_event_is_one(body: Any, content_type: str, found: list[tuple[str, str]]) -> None:
    assert read(body, content_type) == found


def test_they_are_bounded() -> None:
    assert len(read([{"e": 1}] * (MOST + 5))) == MOST
    deep: Any = {"event": "x"}
    for _ in range(60):
        deep = {"data": deep}
    assert read(deep) == [("", "body")]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ([("v", "2"), ("tid", "G-1"), ("en", "page_view")], [("page_view", "query")]),
        ([("e", "pv"), ("tv", "js-3"), ("p", "web")], [("pv", "query")]),
        (
            [("data", base64.b64encode(json.dumps(TWO).encode()).decode())],
            [("a", "query.data›base64›json[0]"), ("b", "query.data›base64›json[1]")],
        ),
        ([("data", "words")], []),
        ([("e", "1")], []),
        ([], []),
    ],
)
def test_a_beacon_is_an_event_of_its_query(
    query: list[tuple[str, str]], found: list[tuple[str, str]]
) -> None:
    record = exchange(1, query=query)
    assert [(e.name, e.at) for e in of_record(record, decode(b""))] == found
    of_body = of_record(record, decode(b'{"event":"x"}'))
    assert [(e.name, e.at) for e in of_body] == [("x", "body")]
