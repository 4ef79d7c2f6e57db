"""addon/mitm/layers.py: what each layer does with its events; the path: tests/integration."""

from dataclasses import replace
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseEndOfMessage,
)
from mitmproxy.test import tutils

from addon.bounds import DEFAULTS
from addon.mitm import layers
from addon.target.hello import HEAD_CAP
from tests.unit.addon.conftest import Told
from tests.unit.addon.mitm.test_next_layer import Rules


def sent(made: Any) -> bytes:
    return b"".join(c.data for c in made if isinstance(c, commands.SendData))


def received(made: Any) -> list[Any]:
    return [c.event for c in made if isinstance(c, layers.ReceiveHttp)]


def test_install_reaches_the_http1_client() -> None:
    layers.install()
    assert http_layers.Http1Client is layers.Client  # type: ignore[attr-defined]


def request_over(version: bytes, *headers: tuple[bytes, bytes]) -> http.Request:
    return tutils.treq(method=b"POST", http_version=version, headers=headers, content=None)


def through_client(context: Context, request: http.Request) -> bytes:
    client = layers.Client(context)
    list(client.handle_event(events.Start()))
    made = [
        *client.handle_event(RequestHeaders(1, request, end_stream=False)),
        *client.handle_event(RequestData(1, b"hello")),
        *client.handle_event(RequestEndOfMessage(1)),
    ]
    return sent(made)


def test_a_body_from_http2_is_framed(context: Context) -> None:
    request = request_over(b"HTTP/2.0", (b"x-a", b"1"))
    wire = through_client(context, request)
    assert b"transfer-encoding: chunked\r\n" in wire
    assert wire.endswith(b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    assert "transfer-encoding" not in request.headers  # what is recorded is what was sent


def test_a_body_that_is_framed_stays_as_it_is(context: Context) -> None:
    wire = through_client(context, request_over(b"HTTP/2.0", (b"content-length", b"5")))
    assert b"transfer-encoding" not in wire and wire.endswith(b"\r\n\r\nhello")


def test_an_answers_trailers_are_left_out(context: Context) -> None:
    client = layers.Client(context)
    list(client.handle_event(events.Start()))
    request = tutils.treq(method=b"GET", content=b"")
    list(client.handle_event(RequestHeaders(1, request, end_stream=True)))
    list(client.handle_event(RequestEndOfMessage(1)))
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\na: b\r\n\r\n"
    made = received(client.handle_event(events.DataReceived(context.server, answer)))
    assert isinstance(made[-1], ResponseEndOfMessage)


@pytest.fixture
def server(context: Context) -> layers.Http1Server:
    server = layers.Http1Server(context, Rules())
    list(server.handle_event(events.Start()))
    return server


def test_a_requests_trailers_are_handed_on(server: layers.Http1Server, context: Context) -> None:
    wire = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: b\r\n\r\n"
    made = received(server.handle_event(events.DataReceived(context.client, wire)))
    assert isinstance(made[-1], RequestTrailers)


@pytest.mark.parametrize(("size", "refused"), [(1000, False), (HEAD_CAP + 1, True)])
def test_a_head_has_an_end(
    server: layers.Http1Server, context: Context, size: int, refused: bool
) -> None:
    begin = b"GET / HTTP/1.1\r\na: "
    wire = begin + b"x" * (size - len(begin))
    made = list(server.handle_event(events.DataReceived(context.client, wire)))
    assert (b" 431 " in sent(made)) == refused
    assert any(isinstance(c, commands.CloseConnection) for c in made) == refused
    again = list(server.handle_event(events.DataReceived(context.client, b"y" * 99)))
    assert again == []


@pytest.mark.parametrize(
    "wire",
    [b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
     b"\nM-SEARCH /x HTTP/1.2\nHost: a\n\n", b"\r\ngo /x HTTP/1.0\r\n\r\n"],
)  # fmt: skip
def test_a_request_of_any_method_is_read_also_behind_empty_lines(
    server: layers.Http1Server, context: Context, wire: bytes
) -> None:
    for at in range(1, len(wire)):
        one = layers.Http1Server(context, Rules())
        list(one.handle_event(events.Start()))
        made = [
            *one.handle_event(events.DataReceived(context.client, wire[:at])),
            *one.handle_event(events.DataReceived(context.client, wire[at:])),
        ]
        heads = [e for e in received(made) if isinstance(e, RequestHeaders)]
        assert [e.request.path for e in heads] == ["/x"] and not sent(made)


@pytest.mark.parametrize(
    "wire",
    [b"\x00", b"\r\n\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /x\r\n", b"{}\r\n",
     b"GET /x HTTP/3.0\r\n", b"\x16\x03\x01", b"GET x HTTP/1.1\r\n\r\n",
     b"GET / HTTP/1.1\r\nno field\r\n\r\n"],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused_and_recorded(context: Context, wire: bytes) -> None:
    rules = Rules()
    refused: list[bytes] = []
    rules.refused = lambda _, data: refused.append(data)  # type: ignore[method-assign]
    server = layers.Http1Server(context, rules)
    list(server.handle_event(events.Start()))
    made = list(server.handle_event(events.DataReceived(context.client, wire)))
    assert sent(made).startswith(b"HTTP/1.1 400 ") and received(made) == []
    assert isinstance(made[-1], commands.CloseConnection | commands.Log)
    assert refused == [wire]
    assert list(server.handle_event(events.DataReceived(context.client, b"GET /"))) == []


def test_install_reaches_all_that_is_mitmproxys() -> None:
    """The names must exist there, or what we put in would never be used."""
    for module, name, ours in layers._OURS:
        assert isinstance(getattr(module, name), type)
        parents = [x.__name__ for x in ours.__mro__[1:]]
        assert name in parents, (name, parents)
    layers.install(replace(DEFAULTS, websocket=99_999))
    for module, name, ours in layers._OURS:
        assert getattr(module, name) is ours
    assert layers.Inflate.most == layers.Messages.bounds.websocket == 99_999
    layers.install()


def test_a_request_of_too_many_fields_is_refused(
    server: layers.Http1Server, context: Context, told: Told
) -> None:
    wire = b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 1200 + b"\r\n"
    made = list(server.handle_event(events.DataReceived(context.client, wire)))
    assert sent(made).startswith(b"HTTP/1.1 431 ") and received(made) == []
    assert told.bounds == ["request_fields"]


@pytest.mark.parametrize(
    ("chunks", "extended"),
    [
        (b"5\r\na;b;c\r\n0\r\n\r\n", False),
        (b"5;user=x\r\nhello\r\n0\r\n\r\n", True),
        (b"5\r\nhello\r\n0;user=x\r\n\r\n", True),
        (b"1\r\na\r\n1;u\r\nb\r\n0\r\n\r\n", True),
    ],
)
@pytest.mark.parametrize("piece", [1, 1000])
def test_extensions_of_chunks_are_told(
    server: layers.Http1Server, context: Context, chunks: bytes, extended: bool, piece: int
) -> None:
    wire = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + chunks
    made: list[Any] = []
    for at in range(0, len(wire), piece):
        data = wire[at : at + piece]
        made += server.handle_event(events.DataReceived(context.client, data))
    assert isinstance(received(made)[-1], RequestEndOfMessage)
    assert server.has_extensions is extended


@pytest.mark.parametrize("begin", [b"5;", b"0\r\na: "])
def test_a_requests_chunk_has_an_end(
    server: layers.Http1Server, context: Context, told: Told, begin: bytes
) -> None:
    head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + begin
    made = list(server.handle_event(events.DataReceived(context.client, head)))
    for _ in range(3):
        made += server.handle_event(events.DataReceived(context.client, b"x" * 30_000))
    assert sent(made).startswith(b"HTTP/1.1 400 ")
    assert [type(x) for x in received(made)] == [RequestHeaders, RequestProtocolError]
    assert told.bounds == ["request_fields"] and len(server.buf) == 0
