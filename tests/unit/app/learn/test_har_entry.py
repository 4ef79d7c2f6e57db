"""app/learn/har_entry.py: one entry becomes a record, or an error with its place. Whole files are
in test_har.py."""

import json
from collections import Counter
from typing import Any

import pytest

from app.learn.har_entry import ENTRY_CAP, MESSAGES, BadHar, records

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
    (found,) = records(raw(), "b" * 32, 0, Counter())
    assert found.request is not None and found.response is not None
    assert (found.seq, found.duration_ns, found.response.status) == (1, 12_500_000, 204)
    asked = found.request
    assert (asked.method, asked.host, asked.port, asked.path) == (
        "POST", "stats.acme.example", 8443, "/v1/usage",
    )  # fmt: skip
    assert asked.query == [("v", "1")] and ("X-Id", "7") in asked.headers
    assert asked.body is not None and asked.body.text == "{}"


def test_what_goes_elsewhere_is_counted_and_no_record() -> None:
    left_out: Counter[str] = Counter()
    assert [*records(raw(url="data:text/plain,x"), "b" * 32, 0, left_out)] == []
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
        [*records(entry, "b" * 32, 0, Counter())]
    assert wrong.value.where == where and wrong.value.hint and wrong.value.message
    assert value is None or wrong.value.value == value


@pytest.mark.parametrize(
    ("host", "read"),
    [
        ("B\u00dcCHER.example", "xn--bcher-kva.example"),
        ("fa\u00df.de", "xn--fa-hia.de"),  # as browsers ask, and no fass.de
        ("stats\u3002acme.test", "stats.acme.test"),
        ("\uff53tats.acme.test.", "stats.acme.test"),
        ("Stats.Acme.Test.", "stats.acme.test"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("[::ffff:192.0.2.1]", "::ffff:192.0.2.1"),
    ],
)
def test_a_host_is_one_in_each_spelling(host: str, read: str) -> None:
    (found,) = records(raw(url=f"https://{host}/x"), "b" * 32, 0, Counter())
    assert found.host == read


def test_messages_of_a_websocket_come_with_their_opener() -> None:
    frames = [
        {"type": "receive", "time": 1.5, "opcode": 1, "data": '{"type": "welcome"}'},
        {"type": "send", "time": 1.6, "opcode": 2, "data": "/wA="},
        {"type": "send", "time": 1.7, "opcode": 2, "data": "no base64"},
        {},
    ]
    entry = json.dumps(json.loads(raw(url="wss://a.test/ws")) | {"_webSocketMessages": frames})
    opener, *said = records(entry.encode(), "b" * 32, 3, Counter())
    assert opener.request is not None and ("upgrade", "websocket") in opener.request.headers
    told = [(one.message.of, one.message.sender, one.message.body) for one in said if one.message]
    assert {of for of, _, _ in told} == {opener.id} and len(told) == 4
    assert [sender for _, sender, _ in told] == ["server", "client", "client", "server"]
    assert [body.text or body.base64 for _, _, body in told[:2]] == [frames[0]["data"], "/wA="]
    assert len({one.id for one in (opener, *said)}) == 5
    many = json.dumps(json.loads(entry) | {"_webSocketMessages": frames * MESSAGES})
    assert len([*records(many.encode(), "b" * 32, 0, Counter())]) == 1 + MESSAGES


@pytest.mark.parametrize("frames", [{}, "x", [7], [{"data": 7}], [{"opcode": "x"}]])
def test_messages_that_are_none_are_refused_at_their_place(frames: Any) -> None:
    entry = json.dumps(json.loads(raw()) | {"_webSocketMessages": frames}).encode()
    with pytest.raises(BadHar) as wrong:
        [*records(entry, "b" * 32, 0, Counter())]
    assert wrong.value.where.startswith("_webSocketMessages") and wrong.value.hint
