"""addon/sidecar.py on mitmproxy's own flows."""

import asyncio
import base64
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import flow as flows
from mitmproxy import http
from mitmproxy.test import taddons, tflow, tutils
from mitmproxy.websocket import WebSocketMessage
from msgspec.structs import replace
from wsproto.frame_protocol import Opcode

from addon import options
from addon.app_client.client import AppApi
from addon.app_client.profiles import Profiles
from addon.exchange.exchange import Traced
from addon.sidecar import Sidecar, exchange_of
from addon.wiring import Wiring
from app.contract import rules as r
from app.contract.record import decode, encode
from app.otel import lines
from app.otel.metrics import Metrics
from tests.sidecar import HOST, LINE, bundle_of, rule
from tests.unit.addon.test_connections import Kept

RULES = bundle_of(
    rule("index", "/telemetry/index.html"),
    rule("observe", "/observe", "observe"),
    rule("block", "/block", "block"),
    rule("hold", "/hold", "hold"),
    rule("body", "/body", match={"body": (r.Value("kind", "equals", "usage"),)}),
    rule("slow", "/slow", answer_at="app", answer=r.Answer(body=LINE, fault="slow_body")),
)


@pytest.fixture
def sink() -> Kept:
    return Kept()


@pytest.fixture
def sidecar(sink: Kept) -> Iterator[Sidecar]:
    with taddons.context():
        yield made(sink)


def made(sink: Kept, rules: r.Bundle = RULES, **environ: str) -> Sidecar:
    return wired(sink, rules, **environ).sidecar


def wired(sink: Kept, rules: r.Bundle = RULES, **environ: str) -> Wiring:
    chosen = options.load({"TELEMOCK_APP_URL": "http://127.0.0.1:9"} | environ)
    return Wiring(chosen, Profiles(AppApi(chosen.app_url, str), rules), sink, Metrics("sidecar"))


def flow_of(path: str, content: bytes = b"", **headers: str) -> http.HTTPFlow:
    fields = [(b"Host", HOST.encode())]
    fields += [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()]
    return tflow.tflow(
        req=tutils.treq(host=HOST, port=443, scheme=b"https", path=path.encode(), content=content,
                        headers=tuple(fields))
    )  # fmt: skip


async def run(sidecar: Sidecar, flow: http.HTTPFlow, body: bytes = b"") -> None:
    """The hooks as mitmproxy calls them for a request with this body."""
    await sidecar.requestheaders(flow)
    exchange = exchange_of(flow)
    if exchange is not None and body:
        exchange.sent.add(body)
    await sidecar.request(flow)
    if flow.response is not None:
        sidecar.responseheaders(flow)
        sidecar.response(flow)


async def test_a_mocked_flow_is_answered_and_recorded_once(sidecar: Sidecar, sink: Kept) -> None:
    flow = flow_of("/telemetry/index.html?v=4.1")
    await run(sidecar, flow)
    assert flow.response is not None and flow.response.raw_content == LINE
    sidecar.response(flow)
    sidecar.exchanges.client_disconnected(flow.client_conn)
    sidecar.exchanges.end()
    (record,) = sink.records
    assert (record.kind, record.action, record.product_version) == ("exchange", "mock", "4.1")
    assert sink.given == 1 and sidecar.exchanges.in_flight == 0


@pytest.mark.parametrize("path", ["/telemetry/index.html", "/observe", "/block", "/slow"])
async def test_a_version_in_the_body_is_known_in_every_mode(sink: Kept, path: str) -> None:
    profile = RULES.rules.profiles[0]
    extract = (r.Extract("body", "data.app.v"),)
    rules = r.Bundle(r.RuleSet((replace(profile, version_from=extract),)))
    inner = base64.b64encode(b'{"app":{"v":4.10}}')
    with taddons.context():
        sidecar = made(sink, rules)
        flow = flow_of(path, b"x")
        await sidecar.requestheaders(flow)
        exchange = exchange_of(flow)
        assert exchange is not None
        exchange.sent.add(b'{"data":"%b"}' % inner)
        await sidecar.request(flow)
        flow.response = flow.response or tutils.tresp(content=b"")
        sidecar.responseheaders(flow)
        sidecar.response(flow)
    assert [record.product_version for record in sink.records] == ["4.10"]


async def test_a_record_goes_with_what_its_spans_need_where_they_are_exported(sink: Kept) -> None:
    parent = "b7ad6b7169203331"
    sent = {"traceparent": f"00-{'a' * 32}-{parent}-01"}
    exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    with taddons.context():
        for environ in ({}, exporting, exporting | {"OTEL_TRACES_SAMPLER": "always_off"}):
            sidecar = made(sink, **environ)
            await run(sidecar, flow_of("/telemetry/index.html", **sent))
            await run(sidecar, flow_of("/slow"))  # the app is away
        other = flow_of("/telemetry/index.html")
        other.request.headers["host"] = other.request.data.host = "other.example"
        await run(made(sink, **exporting), other)
    assert [x is None for x in sink.traced] == [True, True, False, False, True, True]
    here, asked = sink.traced[2:4]
    assert here == Traced(parent, "", 0)
    assert asked is not None and asked.parent_id == ""
    assert {x.trace_id for x in sink.records[::2]} == {"a" * 32}


@pytest.mark.parametrize(("path", "action"), [("/observe", "observe"), ("/other", "pass")])
async def test_a_forwarded_flow_streams_both_ways(
    sidecar: Sidecar, sink: Kept, path: str, action: str
) -> None:
    flow = flow_of(path)
    await run(sidecar, flow)
    assert flow.response is None
    assert flow.request.stream(b"abc") == b"abc"
    flow.response = tutils.tresp(content=None)
    sidecar.responseheaders(flow)
    assert flow.response.stream(b"answer") == b"answer"
    assert sink.records == []
    sidecar.response(flow)
    (record,) = sink.records
    assert (record.action, record.answered_by) == (action, "upstream")
    assert record.request is not None and record.request.body is not None
    assert record.request.body.size == 3
    assert (record.request.body.text is None) == (action == "pass")


@pytest.mark.parametrize("path", ["/block", "/hold"])
async def test_refused_flows(sidecar: Sidecar, sink: Kept, path: str) -> None:
    flow = flow_of(path)
    await run(sidecar, flow)
    assert flow.response is not None and flow.response.status_code == 403
    assert (sink.records[0].kind, sink.records[0].reason) == ("refused", "blocked")


@pytest.mark.parametrize(
    ("mode", "mocked", "blocked"),
    [("mock", "mock", "block"), ("observe", "observe", "block"), ("block", "block", "block")],
)
async def test_the_mode_replaces_what_mocks(
    sink: Kept, mode: str, mocked: str, blocked: str
) -> None:
    with taddons.context():
        sidecar = made(sink, TELEMOCK_MODE=mode)
        for path, action in (
            ("/telemetry/index.html", mocked), ("/block", blocked), ("/observe", "observe"),
            ("/other", "pass"),
        ):  # fmt: skip
            flow = flow_of(path)
            await run(sidecar, flow)
            exchange = exchange_of(flow)
            assert exchange is not None and exchange.action == action


@pytest.mark.parametrize(
    ("body", "action"),
    [
        (b'{"kind":"usage"}', "mock"),
        (b'{"kind":"usage","x":NaN}', "mock"),
        (b'\xef\xbb\xbf{"kind":"x","kind":"usage"}', "mock"),
        (b'{"kind":"x"}', "pass"),
        (b"{", "mock"),  # nobody knows what it says
        (b"", "pass"),
    ],
)
async def test_a_body_condition_waits_for_the_body(
    sidecar: Sidecar, body: bytes, action: str
) -> None:
    flow = flow_of("/body", content_type="application/json")
    await sidecar.requestheaders(flow)
    exchange = exchange_of(flow)
    assert exchange is not None and exchange.undecided and not flow.request.stream
    exchange.sent.add(body)
    await sidecar.request(flow)
    assert not exchange.undecided and exchange.action == action
    assert (flow.response is not None) == (action == "mock")


async def test_host_is_the_one_the_client_means(sidecar: Sidecar) -> None:
    flow = flow_of("/telemetry/index.html")
    flow.request.data.host = "192.0.2.1"
    flow.request.headers["Host"] = "CDN.cribl.io:443"
    await sidecar.requestheaders(flow)
    exchange = exchange_of(flow)
    assert exchange is not None and exchange.seen.host == HOST
    assert flow.request.headers["Host"] == "CDN.cribl.io:443"
    unnamed = flow_of("/telemetry/index.html")
    del unnamed.request.headers["Host"]
    unnamed.client_conn.sni = HOST
    await sidecar.requestheaders(unnamed)
    found = exchange_of(unnamed)
    assert found is not None and found.seen.host == HOST


@pytest.mark.parametrize(
    ("message", "kind", "reason"),
    [
        ("Client disconnected.", "failed", "client_gone"),
        ("HTTP/1 protocol error: peer closed", "failed", "upstream_failed"),
        ("Certificate verify failed: self-signed", "failed", "upstream_failed"),
        ("[Errno 111] Connect call failed ('127.0.0.1', 1)", "failed", "upstream_unreachable"),
        ("Connection killed: upstream_unreachable: DNS", "failed", "upstream_unreachable"),
        ("Connection killed: loop: itself", "refused", "loop"),
    ],
)
async def test_errors_have_their_reasons(
    sidecar: Sidecar, sink: Kept, message: str, kind: str, reason: str
) -> None:
    flow = flow_of("/observe")
    await sidecar.requestheaders(flow)
    flow.error = flows.Error(message)
    sidecar.error(flow)
    (record,) = sink.records
    assert (record.kind, record.reason) == (kind, reason)
    assert record.detail and sidecar.exchanges.in_flight == 0


async def test_what_is_open_at_the_end_is_recorded(sidecar: Sidecar, sink: Kept) -> None:
    flow = flow_of("/observe")
    await sidecar.requestheaders(flow)
    assert sidecar.exchanges.in_flight == 1
    sidecar.exchanges.end()
    assert (sink.records[0].kind, sink.records[0].reason) == ("failed", "shutdown")


async def test_a_slow_body_without_the_app_is_the_static_answer(
    sidecar: Sidecar, sink: Kept
) -> None:
    flow = flow_of("/slow")
    await run(sidecar, flow)
    assert flow.response is not None and flow.response.raw_content == LINE
    assert sink.records[0].reason in ("app_unreachable", "circuit_open")


@pytest.mark.parametrize("broken", ["_begin", "settle", "router"])
async def test_our_own_failure_forwards_nothing(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    of = {"router": sidecar.exchanges, "settle": sidecar.connections}
    monkeypatch.setattr(of.get(broken, sidecar), broken, None)
    flow = flow_of("/body" if broken == "settle" else "/telemetry/index.html")
    flow.request.stream = True
    await sidecar.requestheaders(flow)
    if broken == "_begin":  # said at the head: the body would be forwarded else
        assert flow.response is not None and flow.request.stream is False
    await sidecar.request(flow)
    assert flow.response is not None and flow.response.status_code == 502


async def test_a_line_about_a_request_names_its_trace(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, str]] = []

    class Ears(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(lines.current.get())

    ears = Ears()
    monkeypatch.setattr(sidecar.exchanges, "router", None)
    logging.getLogger("addon.sidecar").addHandler(ears)
    try:
        for trace in ("a" * 32, "b" * 32):
            sent = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
            flow = flow_of("/telemetry/index.html", **sent)
            # mitmproxy runs each hook in a task of its own.
            await asyncio.create_task(sidecar.requestheaders(flow))
            await asyncio.create_task(sidecar.request(flow))
    finally:
        logging.getLogger("addon.sidecar").removeHandler(ears)
    assert [trace for trace, _ in said] == ["a" * 32, "b" * 32]
    assert lines.current.get() == ("", "")


@given(st.binary(max_size=60), st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=60))))
def test_no_bytes_of_a_request_get_it_past_its_rule(
    query: bytes, fields: list[tuple[bytes, bytes]]
) -> None:
    async def ask() -> None:
        with taddons.context():
            sink = Kept()
            flow = flow_of("/telemetry/index.html")
            flow.request.data.path = b"/telemetry/index.html?" + query
            flow.request.headers.fields += tuple(f for f in fields if f[0].lower() != b"host")
            await run(made(sink), flow)
            assert flow.response is not None and flow.response.raw_content == LINE
            assert decode(encode(sink.records[0])).rule == "index"

    asyncio.run(ask())


async def test_announced_trailers_are_refused_before_anything_is_forwarded(
    sidecar: Sidecar, sink: Kept
) -> None:
    for path in ("/observe", "/other"):
        flow = flow_of(path, trailer="x-checksum")
        await sidecar.requestheaders(flow)
        assert flow.response is not None and flow.response.status_code == 501
        assert not flow.request.stream
        flow.response = None


async def test_a_rule_that_resets_kills_the_connection(sink: Kept) -> None:
    rules = bundle_of(rule("reset", "/reset", answer=r.Answer(fault="reset")))
    with taddons.context():
        flow = flow_of("/reset")
        await run(made(sink, rules), flow)
        assert flow.response is None
        assert flow.error is not None and flow.error.msg == flows.Error.KILLED_MESSAGE


async def test_only_telemetry_hosts_are_reached_through_the_egress_proxy(sink: Kept) -> None:
    with taddons.context():
        sidecar = made(sink, TELEMOCK_EGRESS_PROXY="http://proxy.example:3128")
        for host, via in ((HOST, ("http", ("proxy.example", 3128))), ("other.example", None)):
            flow = flow_of("/observe")
            flow.request.headers["host"] = flow.request.data.host = host
            await run(sidecar, flow)
            assert flow.response is None and flow.server_conn.via == via, host


@pytest.mark.parametrize(
    ("host", "path", "count"),
    [(HOST, "/observe", 2), (HOST, "/other", 0), ("other.example", "/observe", 0)],
)
async def test_websocket_messages_are_recorded_and_not_kept(
    sidecar: Sidecar, sink: Kept, host: str, path: str, count: int
) -> None:
    flow: Any = tflow.twebsocketflow()
    flow.request = flow_of(path).request
    flow.request.headers["host"] = flow.request.data.host = host
    flow.websocket.messages.clear()
    await sidecar.requestheaders(flow)
    for number in range(2):
        flow.websocket.messages.append(
            WebSocketMessage(Opcode.TEXT, from_client=not number, content=b"hello")
        )
        sidecar.websocket_message(flow)
        assert flow.websocket.messages == []
    messages = [x.message for x in sink.records if x.message]
    assert len(messages) == count
    assert [m.sender for m in messages] == ["client", "server"][:count]


def test_a_raw_upgrade_keeps_no_message(sidecar: Sidecar) -> None:
    flow = tflow.ttcpflow()
    sidecar.tcp_message(flow)
    assert flow.messages == []
