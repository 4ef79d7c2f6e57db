"""addon/exchange/conversation.py: where a request ends, what is handed over, and what the client
gets.

Connections for real are in tests/integration/test_sidecar_answer.py.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from h11._receivebuffer import ReceiveBuffer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mitmproxy import options as mitmproxy_options
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.net.http import http1, validate
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._hooks import HttpRequestHeadersHook
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons

from addon.exchange.conversation import (
    AHEAD_CAP,
    UNSENT_CAP,
    AnswerLayer,
    AskAppHook,
    may_become_head,
    read_head,
)
from addon.mitm import layers
from addon.sidecar import Sidecar
from addon.target.first_bytes import HEAD_CAP
from app.contract import rules as r
from app.contract.record import CaptureRecord
from tests.conversing import Client as Conversing
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
        self.layer = AnswerLayer(context, self.sidecar.connections, self.sidecar.exchanges)
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


# Framing: whatever is read here, mitmproxy's parser reads in the same way.


def by_mitmproxy(data: bytes) -> tuple[Any, int] | None:
    """The request at the beginning of these bytes and the size of its head; None while it has no
    end. Raises ValueError where mitmproxy refuses it."""
    buffer = ReceiveBuffer()
    buffer += data
    lines = buffer.maybe_extract_lines()
    if lines is None:
        return None
    if not lines:
        raise ValueError("an empty line first")
    request = http1.read_request_head([bytes(x) for x in lines])
    validate.validate_headers(request)
    return request, len(data) - len(buffer)


PIECES = st.sampled_from(
    [b"GET", b"POST", b"get", b" ", b"  ", b"/", b"/a?b=c", b"http://x/", b" HTTP/1.1",
     b" HTTP/1.0", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b"\0", b"\t", b":",
     b"Host: a", b"host:b",
     b"Content-Length: 5", b"content-length: 05", b"Content-Length: +5", b"Content-Length:",
     b"Content-Length : 5", b"content-length: 5, 5", b"Transfer-Encoding: chunked", b"X: y",
     b"X:  y \t", b" folded", b"X\xff: y", b"X: \xe9\xff", b"X: a\x0bb", b"body", b"\x1c"]
)  # fmt: skip
FIELDS = st.lists(
    st.sampled_from([b"X: y", b"Content-Length: 5", b"Content-Length:\t0 ", b"Connection: close",
                     b"A:", b"Transfer-Encoding: identity", b"Cookie: \xff=1", b"Te: trailers",
                     b"Host: b", b"X : y", b"X:\ty\t", b" y", b"\xc3\xa9: x",
                     b"content-length: 7"]),
    max_size=5,
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map(b"".join))
@example(b"GET / HTTP/1.1\nHost: a\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost: a\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n")
def test_any_bytes_are_read_as_mitmproxy_reads_them(data: bytes) -> None:
    agree(data)


@given(st.sampled_from([b"GET", b"POST", b"BREW"]), FIELDS, st.binary(max_size=20))
def test_any_request_is_read_as_mitmproxy_reads_it(
    method: bytes, fields: list[bytes], body: bytes
) -> None:
    agree(b"\r\n".join([method + b" /a?b HTTP/1.1", b"Host: a", *fields, b"", body]))


def agree(data: bytes) -> None:
    head = read_head(data)
    if head is not None:
        found = by_mitmproxy(data)
        assert found is not None
        request, size = found
        assert (request.data.method, request.data.path) == (head.method, head.target)
        assert request.data.headers.fields == head.fields
        assert size == head.size
        assert http1.expected_http_body_size(request) == head.length
        assert head.last or not http1.connection_close("HTTP/1.1", request.headers)
    elif may_become_head(data):
        assert by_mitmproxy(data) is None


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 0\r\nContent-Length: 5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 05\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 5\x0b\r\n",
        b"Content-Length : 5\r\n",
        b"Content-Length:\r\n 5\r\n",
        b"Content-Length: 1" + b"0" * 30 + b"\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"X: a\nContent-Length: 5\r\n",
        b"X: a\rContent-Length: 5\r\n",
        b"X: a\0\r\n",
        b"X\r\n",
        b": a\r\n",
        b"Host: other.example\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: websocket\r\n",
        b"Trailer: x\r\n",
    ],
)
def test_no_other_form_is_taken(fields: bytes) -> None:
    data = b"POST /events HTTP/1.1\r\nHost: cdn.cribl.io\r\n" + fields + b"\r\n"
    assert read_head(data) is None and not may_become_head(data)


@pytest.mark.parametrize(
    "first",
    [b"GET / HTTP/1.0", b"GET / HTTP/2.0", b"get / HTTP/1.1", b"CONNECT a:443 HTTP/1.1",
     b"GET http://a/ HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ",
     b"GET /\xe9 HTTP/1.1", b"GET /a\tb HTTP/1.1", b"", b" GET / HTTP/1.1"],
)  # fmt: skip
def test_no_other_first_line_is_taken(first: bytes) -> None:
    assert read_head(first + b"\r\nHost: a\r\n\r\n") is None


def test_a_head_is_waited_for_only_while_it_can_become_one() -> None:
    assert all(may_become_head(MOCKED[:n]) for n in range(1, len(MOCKED)))
    assert not may_become_head(b"GET / HTTP/1.1\nHost: a")
    assert not may_become_head(b"\r\nGET /")
    assert not may_become_head(b"G" * (HEAD_CAP + 1))


# Answering.


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


TestConversation = Conversing.TestCase
TestConversation.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
