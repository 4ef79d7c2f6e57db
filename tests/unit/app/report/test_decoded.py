"""Bodies are shown as they are read, and whatever they are, what is shown is JSON."""

import base64
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.body import keep
from app.contract.record import Body, Message, encode
from app.report.decoded import decoded
from tests.records import exchange


def shown(data: bytes, content_type: str = "") -> Any:
    body = keep(data, size=len(data), sha256="", cap=1 << 18)
    line = encode(exchange(1, body=body, headers=[("Content-Type", content_type)]))
    found = json.loads(decoded(line))
    found.pop("events", None)
    assert {**json.loads(line), "decoded": found.get("decoded")} == {"decoded": None, **found}
    return found.get("decoded", {}).get("request")


FORM = "application/x-www-form-urlencoded"
INNER = base64.b64encode(b'{"lic":"***"}').decode()


@pytest.mark.parametrize(
    "data, content_type, value",
    [
        (b'{"a":[1,"\xc3\xa9"]}', "application/json", {"a": [1, "é"]}),
        (b'{"a":1}', "", {"a": 1}),
        (b'{"a":1}\n{"a":2}\n', "application/x-ndjson", [{"a": 1}, {"a": 2}]),
        (b"a=1&b=%20x&a=2", FORM, {"a": ["1", "2"], "b": " x"}),
        (gzip.compress(b'{"a":1}', mtime=0), "", {"body›gzip›json": {"a": 1}}),
        (gzip.compress(b"plain text", mtime=0), "", {"body›gzip": "plain text"}),
        (b'{"data":"%s"}' % INNER.encode(), "", {"data›base64›json": {"lic": "***"}}),
        ('{"a":1}'.encode("utf-16"), "application/json", {"a": 1}),
        (b'{"a":NaN,"b":1e999}', "application/json", {"a": "nan", "b": "inf"}),
        (b'{"a":"\\ud800"}', "application/json", {"a": "\\xed\\xa0\\x80"}),
        (b"plain text", "text/plain", None),
        (b"\xff\x00\x01", "", "opaque, 3 bytes"),
        (b"", "", None),
    ],
)  # fmt: skip
def test_what_a_body_holds(data: bytes, content_type: str, value: Any) -> None:
    assert shown(data, content_type) == value


def test_what_is_cut_or_withheld_is_not_guessed() -> None:
    for body in (Body(text='{"a":', size=9, truncated=True), Body(size=9, withheld="encoding")):
        line = encode(exchange(1, body=body))
        assert decoded(line) == line


def test_a_bomb_is_not_opened() -> None:
    bomb = gzip.compress(bytes(10 << 20), mtime=0)
    said = f"opaque, {len(bomb):,} bytes, looks like gzip, more than is read"
    assert shown(bomb) == said


def test_answers_and_messages_are_read_too() -> None:
    record = exchange(
        1, message=Message(of="x", sender="client", body=Body(text='{"m":1}', size=7))
    )
    assert record.response
    record.response.body = Body(text='{"r":1}', size=7)
    assert json.loads(decoded(encode(record)))["decoded"] == {
        "response": {"r": 1},
        "message": {"m": 1},
    }


@pytest.mark.parametrize("depth, seen", [(50, b"[]"), (900, "…".encode()), (50_000, b"")])
def test_what_nests_deeply_is_shown_down_to_a_level(depth: int, seen: bytes) -> None:
    body = Body(text="[" * depth + "]" * depth, size=2 * depth)
    line = encode(exchange(1, body=body))
    more = decoded(line)[len(line) - 1 :]
    assert seen in more if seen else more == b"}"


@given(st.binary(max_size=200), st.sampled_from(["", "application/json", "text/x; charset=utf-16"]))
def test_whatever_it_is_it_is_json(data: bytes, content_type: str) -> None:
    shown(data, content_type)


def test_the_events_of_a_batch_are_rows() -> None:
    data = b'{"batch":[{"event":"start"},{"event":"stop"}]}'
    line = encode(exchange(1, body=Body(text=data.decode(), size=len(data))))
    assert json.loads(decoded(line))["events"] == [
        {"name": "start", "at": "body.batch[0]"},
        {"name": "stop", "at": "body.batch[1]"},
    ]
    one = encode(exchange(1, body=Body(text='{"event":"start"}', size=17)))
    assert "events" not in json.loads(decoded(one))


def test_values_of_query_headers_and_path_are_shown() -> None:
    record = exchange(
        1, query=[("data", INNER), ("v", "4.10")],
        headers=[("User-Agent", "hf_hub/0.2; torch/2.1")],
        path="/v1/4.10", route="/v1/{version}",
    )  # fmt: skip
    assert json.loads(decoded(encode(record)))["decoded"] == {
        "query": {"data›base64›json": {"lic": "***"}},
        "header": {"user-agent›pairs": {"hf_hub": "0.2", "torch": "2.1"}},
        "path": {"version": "4.10"},
    }
