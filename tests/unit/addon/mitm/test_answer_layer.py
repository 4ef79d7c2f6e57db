"""addon/mitm/answer_layer.py: what is handed over, and what the client gets.

Connections for real are in tests/integration/test_sidecar_answer.py.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import options as mitmproxy_options
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._hooks import HttpRequestHeadersHook
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons

from addon.exchange.conversation import AHEAD_CAP
from addon.mitm import layers
from addon.mitm.answer_layer import UNSENT_CAP, AnswerLayer, AskAppHook
from addon.sidecar import Sidecar
from app.contract import rules as r
from app.contract.record import CaptureRecord
from tests.sidecar import HOST, LINE, bundle_of, rule
from tests.unit.addon.test_connections import Kept
from tests.unit.addon.test_sidecar import made

RULES = bundle_of(
    rule("index", "/telemetry/index.html"),
    rule("events", "/events"),
    rule("app", "/at-the-app", answer_at="app"),
    rule("observe", "/observe", "observe"),
    rule("block", "/block", "block"),
    rule("body", "/body", match={"body": (r.Value("kind", "equals", "usage"),)}),
    rule("slow", "/slow", answer_at="app", answer=r.Answer(body=LINE, fault="slow_body")),
)
MOCKED = b"GET /telemetry/index.html?v=4.1 HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n"
POSTED = b"POST /events HTTP/1.1\r\nHost: cdn.cribl.io\r\nContent-Length: 5\r\n\r\nhello"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 29\r\n\r\n" + LINE


class Line:
    """A client's connection, with the layer that answers on it and the addon behind it."""

    def __init__(self, chosen: mitmproxy_options.Options) -> None:
        self.sink = Kept()
        self.sidecar: Sidecar = made(self.sink, RULES)
        self.client = Client(
            peername=("127.0.0.1", 5), sockname=("192.0.2.1", 443), timestamp_start=1.0,
            state=ConnectionState.OPEN, proxy_mode=ProxyMode.parse("transparent"), sni=HOST,
        )  # fmt: skip
        context = Context(self.client, chosen)
        context.server.address = (HOST, 443)
        self.layer = AnswerLayer(context, self.sidecar.connections)
        self.give(events.Start())

    def give(self, event: events.Event) -> list[commands.Command]:
        return list(self.layer.handle_event(event))

    def send(self, data: bytes) -> list[commands.Command]:
        return self.give(events.DataReceived(self.client, data))

    def leave(self) -> list[commands.Command]:
        self.client.state &= ~ConnectionState.CAN_READ
        return self.give(events.ConnectionClosed(self.client))

    @property
    def records(self) -> list[CaptureRecord]:
        return self.sink.records


@pytest.fixture
def line() -> Iterator[Line]:
    with taddons.context(Proxyserver()) as master:
        layers.install()
        yield Line(master.options)


def sent(made: list[commands.Command]) -> bytes:
    return b"".join(c.data for c in made if isinstance(c, commands.SendData))


def closed(made: list[commands.Command]) -> bool:
    return any(isinstance(c, commands.CloseConnection) for c in made)


def handed_over(made: list[commands.Command]) -> Any:
    """The request that mitmproxy's own layer begins with."""
    hooks = [c for c in made if isinstance(c, HttpRequestHeadersHook)]
    return hooks[0].flow.request if hooks else None


async def test_a_request_is_answered_and_recorded(line: Line) -> None:
    assert sent(line.send(MOCKED)) == ANSWER
    (record,) = line.records
    assert (record.kind, record.action, record.rule) == ("exchange", "mock", "index")
    assert (record.answered_by, record.product_version) == ("sidecar", "4.1")
    assert record.destination is not None and record.destination.address == "192.0.2.1"
    assert record.response is not None and record.response.body is not None
    assert record.response.body.text == LINE.decode()
    assert line.sidecar.exchanges.in_flight == 0


@given(st.data())
async def test_how_bytes_are_cut_changes_nothing(data: Any) -> None:
    whole = (
        MOCKED + POSTED + b"HEAD /events HTTP/1.1\r\nhost:cdn.cribl.io\r\n\r\n" + POSTED + MOCKED
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    with taddons.context(Proxyserver()) as master:
        line = Line(master.options)
        parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        made = [c for part in parts if part for c in line.send(part)]
        assert sent(made) == ANSWER * 2 + ANSWER.removesuffix(LINE) + ANSWER * 2
        assert [x.rule for x in line.records] == ["index", "events", "events", "events", "index"]
        bodies = [x.request.body for x in line.records if x.request]
        assert [b.text if b else None for b in bodies] == [None, "hello", None, "hello", None]
        assert [x.seq for x in line.records] == [1, 2, 3, 4, 5]


async def test_a_body_over_the_cap_needs_no_memory(line: Line) -> None:
    size = 40 * 1024 * 1024
    line.send(b"POST /events HTTP/1.1\r\nHost: cdn.cribl.io\r\nContent-Length: %d\r\n\r\n" % size)
    assert line.sidecar.exchanges.in_flight == 1
    made = [c for _ in range(size // 65536) for c in line.send(b"x" * 65536)]
    assert sent(made) == ANSWER
    (record,) = line.records
    assert record.request is not None and record.request.body is not None
    assert record.request.body.size == size and record.request.body.truncated


async def test_close_is_the_last(line: Line) -> None:
    made = line.send(MOCKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + MOCKED)
    assert sent(made) == ANSWER and closed(made)
    assert line.send(MOCKED) == [] and len(line.records) == 1


async def test_a_blocked_request_is_refused(line: Line) -> None:
    assert sent(line.send(MOCKED.replace(b"/telemetry/index.html", b"/block"))).startswith(
        b"HTTP/1.1 403 Forbidden\r\n"
    )
    assert (line.records[0].kind, line.records[0].reason) == ("refused", "blocked")


# Handing over.


@pytest.mark.parametrize(
    "request_",
    [
        b"PUT /x HTTP/1.1\r\nHost: cdn.cribl.io\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /telemetry/index.html HTTP/1.0\r\nHost: cdn.cribl.io\r\n\r\n",
        b"GET /telemetry/index.html HTTP/1.1\r\n\r\n",
        MOCKED.replace(b"/telemetry/index.html", b"/observe"),
        MOCKED.replace(b"/telemetry/index.html", b"/passes"),
        MOCKED.replace(b"/telemetry/index.html", b"/slow"),
        POSTED.replace(b"/events", b"/body"),
        MOCKED.replace(b"\r\n\r\n", b"\r\nUpgrade: websocket\r\n\r\n"),
        MOCKED.replace(b"\r\n", b"\n"),
        POSTED.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"),
    ],
)
async def test_what_is_not_taken_goes_to_mitmproxy_whole(line: Line, request_: bytes) -> None:
    made = line.send(MOCKED + request_ + MOCKED)
    assert sent(made).startswith(ANSWER)
    request = handed_over(made)
    assert request is not None and request.data.method == request_.split(b" ")[0]
    assert request.path == request_.split(b" ")[1].decode()
    assert (request.host, request.port, request.scheme) == (HOST, 443, "http")
    # Nothing was begun here: mitmproxy's hooks begin it.
    assert len(line.records) == 1 and line.sink.given == 1 and line.sidecar.exchanges.in_flight == 0


@pytest.mark.parametrize(
    "data",
    [b"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost\r\n\r\n",
     POSTED.replace(b"\r\n\r\n", b"\r\nContent-Length: 6\r\n\r\n")],
)  # fmt: skip
async def test_what_is_no_request_is_refused_as_by_mitmproxy(line: Line, data: bytes) -> None:
    made = line.send(data + MOCKED)
    assert sent(made) != ANSWER
    assert [x.reason for x in line.records if x.kind == "refused"] in ([], ["unjudged"])
    assert not [x for x in line.records if x.kind == "exchange"]


async def test_another_host_is_not_taken_for_who_is_meant(line: Line) -> None:
    """The connection names the host too, and so does its rule take the request."""
    made = line.send(MOCKED.replace(b"Host: cdn", b"Host: other"))
    assert sent(made) == ANSWER
    (record,) = line.records
    assert record.request is not None and record.request.host == "other.cribl.io"
    assert (record.action, record.profile, record.judged_by) == ("mock", "cribl", "name")


async def test_an_endless_head_is_refused(line: Line) -> None:
    made = [c for _ in range(9) for c in line.send(b"GET /" + b"x" * 8192)]
    assert sent(made).startswith(b"HTTP/1.1 431 ") and closed(made)


# With the app.


async def begun(line: Line, data: bytes) -> AskAppHook:
    (hook,) = line.send(data)
    assert isinstance(hook, AskAppHook)
    assert line.sidecar.exchanges.in_flight == 1
    return hook


async def test_while_the_app_is_asked_what_follows_waits(line: Line) -> None:
    hook = await begun(line, MOCKED.replace(b"/telemetry/index.html", b"/at-the-app") + MOCKED[:9])
    assert line.send(MOCKED[9:]) == []
    await line.sidecar.exchanges.ask_app(hook.exchange)
    made = line.give(events.HookCompleted(hook, None))
    assert sent(made) == ANSWER * 2
    first, second = line.records
    assert (first.rule, first.reason, first.answered_by) == ("app", "app_unreachable", "sidecar")
    assert second.rule == "index"


async def test_a_client_that_leaves_is_noticed_while_the_app_is_asked(line: Line) -> None:
    hook = await begun(line, MOCKED.replace(b"/telemetry/index.html", b"/at-the-app"))
    assert closed(line.leave())
    line.sidecar.exchanges.client_disconnected(line.client)
    (record,) = line.records
    assert (record.kind, record.reason) == ("failed", "client_gone")
    assert line.give(events.HookCompleted(hook, None)) == []


async def test_a_client_that_does_not_read_is_looked_at_ever_more_rarely(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line.sidecar.connections, "unsent", lambda _: UNSENT_CAP)
    made, waits = line.send(MOCKED * 100), []
    for _ in range(10):
        (look,) = [x for x in made if isinstance(x, commands.RequestWakeup)]
        waits.append(look.delay)
        made = line.give(events.Wakeup(look))
    assert waits[0] < 0.1 and waits == sorted(waits) and 4 < sum(waits) < 10


async def test_a_client_that_leaves_within_its_request_is_recorded(line: Line) -> None:
    line.send(POSTED[:-2])
    assert closed(line.leave())
    (record,) = line.records
    assert (record.kind, record.reason, record.rule) == ("failed", "client_gone", "events")
    assert record.request is not None and record.request.body is not None
    assert record.request.body.text == "hel"


async def test_what_is_sent_ahead_is_bounded(line: Line) -> None:
    hook = await begun(line, MOCKED.replace(b"/telemetry/index.html", b"/at-the-app"))
    assert line.send(MOCKED * (AHEAD_CAP // len(MOCKED))) == []
    assert closed(line.send(MOCKED * 2))
    assert line.give(events.HookCompleted(hook, None)) == []


async def test_a_killed_exchange_gets_no_answer(line: Line) -> None:
    hook = await begun(line, MOCKED.replace(b"/telemetry/index.html", b"/at-the-app"))
    hook.exchange.killed = True
    made = line.give(events.HookCompleted(hook, None))
    assert sent(made) == b"" and closed(made)


async def test_an_own_error_refuses_the_request(
    line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(line.sidecar.exchanges, "extract_version", None)
    assert re.match(rb"HTTP/1\.1 502 ", sent(line.send(MOCKED)))
    assert "could not be answered" in caplog.text and len(line.records) == 1
