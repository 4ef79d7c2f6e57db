"""addon/record/capture.py: what a record says of an exchange, an outline, a connection."""

import hashlib
import socket

import pytest
from mitmproxy.test import tflow
from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from addon.arrive.prefaces import Prefaces
from addon.exchange.exchange import Counted, Exchange, Kept, Line, now, query_of, trace
from addon.exchange.reply import Reply, headers_of
from addon.record.capture import DETAIL_CAP, Capture, outline_path
from app.contract import preface
from app.contract import record as rec
from app.contract import rules as r
from tests.sidecar import HOST, bundle_of, rule

WORKLOAD = rec.Workload(namespace="prod", pod="worker-0")
CAPTURE = Capture(WORKLOAD, "observe", 1000)
NUMBER = ("ab" * 16, 3)


def make(
    action: rec.Action,
    target: bytes = b"/observe?v=1",
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Exchange:
    rules = bundle_of(rule("observe", "/observe", "observe")).rules
    path, query = query_of(rec.text(target))
    passes = action == "pass"
    return Exchange(
        line=Line(
            "client", rec.Endpoint("127.0.0.1", 5), rec.Endpoint("192.0.2.1", 443),
            rec.Tls(sni=HOST, version="TLSv1.3"), "https", 443, HOST,
        ),
        rules=rules,
        seen=r.Seen(
            method="GET", host=HOST, path=path, query=query, headers=headers_of(headers)
        ),
        fields=headers,
        target=target,
        decision=r.Decision(
            action, rules.profiles[0], None if passes else rules.profiles[0].rules[0]
        ),
        http_version="HTTP/1.1",
        trace=trace(""),
        number=NUMBER,
        sent=Counted() if passes else Kept(1000),
        received=Counted() if passes else Kept(1000),
        reply=Reply(200, b"OK", ((b"header-response", b"svalue"),), b""),
    )  # fmt: skip


def test_an_exchange_is_recorded_with_both_sides() -> None:
    exchange = make("observe", headers=((b"X-A", b"1"), (b"X-A", b"\xfe")))
    exchange.sent.add(b"x" * 1500)
    exchange.received.add(b"answer")
    exchange.asked, exchange.answered = 1000, 3000
    record = CAPTURE.exchange(exchange, "exchange", exchange.started + 9000)
    assert (record.boot, record.seq, record.kind) == (*NUMBER, "exchange")
    assert (record.duration_ns, record.answer_ns) == (9000, 2000)
    assert (record.workload, record.mode, record.action) == (WORKLOAD, "observe", "observe")
    assert (record.profile, record.rule, record.route) == ("cribl", "observe", "/observe")
    assert record.request is not None and record.response is not None
    assert record.request.headers == [("X-A", "1"), ("X-A", "\\xfe")]
    assert record.request.query == [("v", "1")]
    body = record.request.body
    assert body is not None and body.truncated and body.size == 1500
    assert body.sha256 == hashlib.sha256(b"x" * 1500).hexdigest()
    assert record.response.body is not None and record.response.body.text == "answer"
    assert rec.decode(rec.encode(record)).id == record.id
    assert record.tls is not None and record.tls == exchange.line.tls
    # It is masked in place, and the line's next exchange needs its own.
    assert record.tls is not exchange.line.tls


def test_the_outline_of_what_passes_holds_no_content() -> None:
    secret = b"/dl/4.16/s3cret-path?lic=s3cret"
    exchange = make("pass", secret, ((b"Authorization", b"s3cret"),))
    exchange.sent.add(b"s3cret")
    record = CAPTURE.exchange(exchange, "exchange", now())
    assert b"s3cret" not in rec.encode(record)
    assert record.request is not None
    assert (record.request.path, record.route) == ("/dl/*", "/dl/*")
    assert record.request.body == rec.Body(size=6)
    assert record.response is not None and record.response.status == 200


def test_a_decision_to_pass_after_the_body_was_read_keeps_none_of_it() -> None:
    exchange = make("pass")
    exchange.sent = Kept(1000)
    exchange.sent.add(b"s3cret")
    record = CAPTURE.exchange(exchange, "exchange", now())
    assert b"s3cret" not in rec.encode(record)


def test_limits_are_kept_and_counted() -> None:
    many = tuple((b"X-%d" % n, b"v" * 20_000) for n in range(150))
    target = b"/observe?" + b"&".join(b"p%d=1" % n for n in range(600))
    exchange = make("observe", target, many)
    exchange.detail = "x" * 5000
    record = CAPTURE.exchange(exchange, "failed", now())
    assert record.request is not None
    assert len(record.request.headers) == rec.HEADER_CAP
    assert len(record.request.query) == rec.QUERY_CAP
    assert record.request.left_out == 50 + 100
    assert len(record.request.headers[0][1]) == rec.VALUE_CAP + 1
    assert len(record.detail) == DETAIL_CAP + 1


def test_what_was_cut_is_marked_for_the_masking() -> None:
    """The start of a value at a cut is removed: see the tests of the sweep."""
    exchange = make("observe", b"/" + b"x" * 9000, ((b"X", b"v" * 9000),))
    exchange.detail = "x" * 5000
    record = CAPTURE.exchange(exchange, "failed", now())
    assert record.request is not None
    ends = record.request.path, record.request.headers[0][1], record.detail
    assert all(end.endswith("x…") or end.endswith("v…") for end in ends)
    client = tflow.tclient_conn()
    left = CAPTURE.connection(
        ("ab" * 16, 4), "tls_rejected", client, host="", sni="x" * 600, destination=None,
        detail="x" * 5000,
    )  # fmt: skip
    assert left.tls is not None
    assert left.tls.sni.endswith("x…") and left.detail.endswith("x…")


@pytest.mark.parametrize("from_client", [True, False])
def test_a_message_names_its_exchange(from_client: bool) -> None:
    exchange = make("mock")
    exchange.answered_by = "app"
    message = WebSocketMessage(Opcode.TEXT, from_client, b"y" * 1500)
    record = CAPTURE.message(("ab" * 16, 9), exchange, message)
    assert record.kind == "message" and record.seq == 9
    assert record.message is not None and record.message.of == exchange.id
    assert record.message.sender == ("client" if from_client else "server")
    assert record.message.body.size == 1500 and record.message.body.truncated


def test_a_connection_is_recorded_by_its_name() -> None:
    client = tflow.tclient_conn()
    client.sni = None
    record = CAPTURE.connection(
        ("ab" * 16, 4), "spliced", client, host="other.example", sni="", destination=None,
        reason="not_named", sent=3, received=4,
    )  # fmt: skip
    assert record.host == "other.example"
    assert (record.action, record.reason) == ("pass", "not_named")
    assert (record.sent, record.received) == (3, 4)
    assert record.request is None and record.duration_ns > 0


@pytest.mark.parametrize(
    ("path", "outline"),
    [
        ("/", "/"),
        ("/a", "/a"),
        ("/a/b/c", "/a/*"),
        ("/a/", "/a/*"),
        ("", "/"),
        ("//x", "//*"),
        ("/42/x", "/{id}/*"),
        ("/ada@acme.example", "/{email}"),
        ("/v1/x", "/v1/*"),
    ],
)
def test_outline_of_a_path(path: str, outline: str) -> None:
    assert outline_path(path) == outline
    assert len(outline_path("/" + "x" * 9999)) < 100


def test_on_a_laptop_a_record_names_the_program() -> None:
    prefaces = Prefaces(1)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        curl = rec.Program("curl", 4711)
        ours.send(preface.encode(preface.Preface(rec.Endpoint("192.0.2.1", 443), curl)))
        assert prefaces.read(theirs, ("127.0.0.1", 5))
    capture = Capture(WORKLOAD, None, 1000, prefaces)
    exchange = make("observe")
    exchange.line = exchange.line._replace(program=curl)
    assert capture.exchange(exchange, "exchange", exchange.started).program == curl
    client = tflow.tclient_conn()
    client.peername, client.sockname = ("127.0.0.1", 5), ("192.0.2.1", 443)
    found = capture.connection(NUMBER, "spliced", client, host=HOST, sni=HOST, destination=None)
    assert found.program == curl
    client.peername = ("127.0.0.1", 6)
    other = capture.connection(NUMBER, "spliced", client, host=HOST, sni=HOST, destination=None)
    assert other.program is None
