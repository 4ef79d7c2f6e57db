"""addon/mitm/upstream.py: what a real host may say before its answer's body."""

from typing import Any

import pytest
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseEndOfMessage,
    ResponseProtocolError,
)
from mitmproxy.test import tutils

from addon.mitm import upstream
from tests.unit.addon.conftest import Told
from tests.unit.addon.mitm.test_layers import received


def asked(context: Context) -> upstream.Client:
    """A client that waits for the answer."""
    client = upstream.Client(context)
    list(client.handle_event(events.Start()))
    request = tutils.treq(method=b"GET", content=b"")
    list(client.handle_event(RequestHeaders(1, request, end_stream=True)))
    list(client.handle_event(RequestEndOfMessage(1)))
    return client


def said(context: Context, client: upstream.Client, *pieces: bytes) -> list[Any]:
    return [
        made
        for piece in pieces
        for made in client.handle_event(events.DataReceived(context.server, piece))
    ]


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "bound"),
    [
        ([OK + b"X: ", *[b"x" * 30_000] * 3], "response_head"),
        ([OK + b"a: b\r\n" * 60], "response_fields"),
        ([OK + b"a: b\r\n" * 60 + b"content-length: 2\r\n\r\nok"], "response_fields"),
        ([CHUNKED + b"5;", *[b"x" * 30_000] * 3], "response_head"),
        ([CHUNKED + b"0\r\n", *[b"a: b\r\n" * 5000] * 3], "response_head"),
    ],
)
def test_what_a_real_host_says_before_its_body_has_an_end(
    context: Context, told: Told, pieces: list[bytes], bound: str
) -> None:
    client = asked(context)
    made = said(context, client, *pieces)
    assert told.bounds == [bound]
    (error,) = [x for x in received(made) if isinstance(x, ResponseProtocolError)]
    assert len(error.message) < 100 and "xxx" not in error.message
    assert any(isinstance(x, commands.CloseConnection) for x in made)
    assert len(client.buf) == 0
    assert said(context, client, b"more") == []
    stop = RequestProtocolError(1, "gone", ErrorCode.CANCEL)
    assert list(client.handle_event(stop)) == []


@pytest.mark.parametrize("fields", [1, 45])
def test_an_ordinary_answer_is_not_over_them(context: Context, told: Told, fields: int) -> None:
    client = asked(context)
    head = OK + b"a: b\r\n" * fields + b"content-length: 200000\r\n\r\n"
    made = said(context, client, head + b"\n" * 100_000, b"\n" * 100_000)
    assert isinstance(received(made)[-1], ResponseEndOfMessage)
    assert told.bounds == []


@pytest.mark.parametrize("left", [b"HTTP/1.1 200 OK\r\nX: secret", b"HTTP/1.1 200"])
def test_a_cut_head_is_not_repeated(context: Context, left: bytes) -> None:
    client = asked(context)
    said(context, client, left)
    made = received(client.handle_event(events.ConnectionClosed(context.server)))
    assert [x.message for x in made] == ["server closed connection"]


def test_of_a_wrong_head_little_is_repeated(context: Context) -> None:
    client = asked(context)
    (error,) = received(said(context, client, b"x" * 5000 + b"\r\n\r\n"))
    assert len(error.message) <= upstream.SAID + 1


def test_what_nobody_asked_for_is_not_logged(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    client = upstream.Client(context)
    list(client.handle_event(events.Start()))
    made = said(context, client, b"HTTP/1.1 200 OK\r\nX: secret\r\n\r\n")
    assert [type(x) for x in made] == [commands.CloseConnection]
    assert "secret" not in caplog.text
