"""addon/exchanges.py: what is the same for a connection, and what ends an exchange.

What is answered is in test_answer.py and test_main.py, which come here.
"""

from collections.abc import Iterator

import pytest
from mitmproxy.connection import Server
from mitmproxy.test import taddons, tflow, tutils

from addon.exchange.conversation import read_head
from addon.exchange.exchange import Exchange
from addon.exchanges import Exchanges
from addon.sidecar import exchange_of
from app.contract.record import Endpoint
from app.otel import lines
from tests.sidecar import HOST, bundle_of, rule
from tests.unit.addon.test_connections import Kept
from tests.unit.addon.test_sidecar import flow_of, made, run

RULES = bundle_of(rule("index", "/telemetry/index.html"), rule("observe", "/observe", "observe"))


@pytest.fixture
def sink() -> Kept:
    return Kept()


@pytest.fixture
def exchanges(sink: Kept) -> Iterator[Exchanges]:
    before = lines.current.set(("", ""))
    with taddons.context():
        yield made(sink, RULES).exchanges
    lines.current.reset(before)


def begun(exchanges: Exchanges, path: str = "/telemetry/index.html") -> Exchange | None:
    head = read_head(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    assert head is not None
    line = exchanges.line(tflow.tclient_conn(), Server(address=("192.0.2.1", 443)))
    return exchanges.begin(line, head)


def test_a_line_is_named_by_sni_else_by_its_destination(exchanges: Exchanges) -> None:
    client, server = tflow.tclient_conn(), Server(address=("192.0.2.1", 443))
    client.sni = HOST
    assert exchanges.line(client, server).stands_for == HOST
    client.sni = None
    line = exchanges.line(client, server)
    assert (line.stands_for, line.port, line.scheme) == ("192.0.2.1", 443, "http")
    assert line.destination == Endpoint("192.0.2.1", 443)
    asked = exchanges.line(client, Server(address=None), "https", "other.example", 8443)
    assert (asked.stands_for, asked.scheme) == ("other.example", "https")
    assert asked.destination == Endpoint("other.example", 8443)


def test_what_is_forwarded_is_not_begun_here(exchanges: Exchanges, sink: Kept) -> None:
    assert begun(exchanges, "/observe") is None
    assert begun(exchanges, "/passes") is None
    assert sink.given == 0 and exchanges.in_flight == 0


def test_an_exchange_ends_once(exchanges: Exchanges, sink: Kept) -> None:
    exchange = begun(exchanges)
    assert exchange is not None and exchanges.in_flight == 1
    assert exchanges.answer_now(exchange)
    exchanges.answered(exchange)
    exchanges.abandoned(exchange)
    exchanges.end()
    assert [x.kind for x in sink.records] == ["exchange"] and exchanges.in_flight == 0


def test_what_is_open_when_its_client_leaves_or_at_the_end(
    exchanges: Exchanges, sink: Kept
) -> None:
    client = tflow.tclient_conn()
    left, other = begun(exchanges), begun(exchanges)
    assert left is not None and other is not None
    client.id = left.line.id
    exchanges.client_disconnected(client)
    exchanges.end()
    assert [(x.kind, x.reason) for x in sink.records] == [
        ("failed", "client_gone"),
        ("failed", "shutdown"),
    ]


def test_a_fault_of_our_own_leaves_the_request_to_mitmproxy(
    exchanges: Exchanges, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exchanges, "judge", None)
    assert begun(exchanges) is None
    assert "could not be decided" in caplog.text


@pytest.mark.parametrize(("mode", "refused"), [("", True), ("block", True), ("observe", False)])
@pytest.mark.parametrize("method", ["GET /telemetry/ HTTP/1.1\r\nx:", "G(T", ""])
async def test_a_method_that_is_no_token_is_refused_where_something_is_kept(
    sink: Kept, mode: str, refused: bool, method: str
) -> None:
    with taddons.context():
        rules = bundle_of(rule("index", "/telemetry/index.html"))
        sidecar = made(sink, rules, **({"TELEMOCK_MODE": mode} if mode else {}))
        flow = flow_of("/dl/x")
        flow.request.data.method = method.encode()
        await run(sidecar, flow)
    assert (flow.response is not None) == refused
    if refused:
        assert flow.response is not None and flow.response.status_code == 400
        (record,) = sink.records
        assert (record.kind, record.reason) == ("refused", "unjudged")


@pytest.mark.parametrize(
    ("asked", "given", "kept"),
    [("h2c", "h2c", False), ("websocket", "h2c", False), ("WebSocket", "websocket", True),
     ("", "", False)],
)  # fmt: skip
async def test_nothing_that_nobody_reads_follows_a_forwarded_request(
    sink: Kept, asked: str, given: str, kept: bool
) -> None:
    flow = flow_of("/dl/x", upgrade=asked)
    sidecar = made(sink, RULES)
    await run(sidecar, flow)
    assert flow.response is None and flow.request.headers["upgrade"] == asked  # as it came
    flow.response = tutils.tresp(status_code=101, headers=((b"upgrade", given.encode()),))
    sidecar.responseheaders(flow)
    assert (flow.error is None) == kept
    if not kept:
        sidecar.error(flow)
        assert [(x.kind, x.reason) for x in sink.records] == [("refused", "unjudged")]


async def test_absolute_form_names_a_host_too(sink: Kept) -> None:
    sidecar = made(sink, RULES)
    flow = flow_of("/telemetry/index.html")
    flow.request.data.host = flow.request.headers["host"] = "other.example"
    flow.server_conn.address = ("other.example", 80)
    await sidecar.requestheaders(flow)
    exchange = exchange_of(flow)
    assert exchange is not None and exchange.action == "pass"
    flow.request.data.authority = HOST.encode()
    await sidecar.requestheaders(flow)
    exchange = exchange_of(flow)
    assert exchange is not None and (exchange.action, exchange.decision.by) == ("mock", ("name",))
