"""app/cli/heads.py, under a real uvicorn as `telemock serve` configures it."""

import asyncio
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from app.cli import heads
from app.cli.server import config
from tests.serving import on_thread
from tests.waiting import wait_for


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body's length; of /early before it read any, of /slow after a while."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"]})
        return
    size, more = 0, scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message.get("more_body", False)
    if scope["path"] == "/slow":
        await asyncio.sleep(1.5 * heads.HEAD_S)  # only time shows that it ends nothing
    body = b"%d" % size
    head = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[uvicorn.Server]:
    monkeypatch.setattr(heads, "HEAD_S", 0.4)
    listener = socket.create_server(("127.0.0.1", 0))
    with on_thread(config(echo, lifespan="off"), listener) as server:
        yield server


@pytest.fixture
def port(server: uvicorn.Server) -> int:
    return int(server.servers[0].sockets[0].getsockname()[1])


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def answer(client: socket.socket) -> bytes:
    """The body of the next answer."""
    with client.makefile("rb") as stream:
        while line := stream.readline().strip():
            if line.startswith(b"content-length: "):
                size = int(line[16:])
        return stream.read(size)


def ended(client: socket.socket, trickle: bytes = b"") -> float:
    """Seconds until the server closes, while the client sends that again and again."""
    began = time.monotonic()
    client.settimeout(0.05)
    try:
        while True:
            if time.monotonic() > began + 10:
                raise AssertionError("not closed within 10 s")
            try:
                if trickle:
                    client.sendall(trickle)
                if not client.recv(65536):
                    break
            except TimeoutError:
                continue
    except OSError:
        pass
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("first", "trickle"),
    [(b"", b""), (b"GET / HT", b""), (b"GET / HTTP/1.1\r\n", b"a: b\r\n"), (b"", b"\r\n")],
)
def test_a_head_that_does_not_come_ends_the_connection(
    port: int, first: bytes, trickle: bytes
) -> None:
    with connect(port) as client:
        client.sendall(first)
        assert 0.2 < ended(client, trickle) < 3


def test_the_second_head_has_an_end_too(port: int) -> None:
    with connect(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\n")
        assert b"200" in client.recv(65536)
        assert 0.2 < ended(client, b"a: b\r\n") < 3


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\na: ",
        b"POST /slow HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
    ],
)
def test_a_head_without_end_ends_the_connection(port: int, first: bytes) -> None:
    for piece in (b"a: " + b"b" * 4000 + b"\r\n", b"b" * 4000):
        with connect(port) as client:
            client.sendall(first)
            sent = 0
            try:
                while sent < 8 << 20:
                    sent += client.send(piece)
            except OSError:
                pass
            assert sent < 8 << 20


def test_requests_are_answered_however_they_come(server: uvicorn.Server, port: int) -> None:
    def fed() -> list[int]:
        return [connection._fed for connection in server.server_state.connections]

    with connect(port) as client:
        for body in (b"", b"x" * 200_000):  # more than a head may have
            head = b"POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
            client.sendall(head[:20])
            wait_for(lambda: fed() == [20])
            client.sendall(head[20:] + body)
            assert answer(client) == b"%d" % len(body)
        client.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(20_000):  # 120 kB of frames around 20 kB
            client.sendall(b"1\r\nx\r\n")
        client.sendall(b"0\r\nt: u\r\n\r\n")
        assert answer(client) == b"20000"
        client.sendall(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n")
        assert answer(client) == b"0"
        client.sendall(b"x" * 300_000 + b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert answer(client) == b"0"


def test_a_websocket_is_not_a_head(port: int) -> None:
    from websockets.sync.client import connect as open_websocket

    with open_websocket(f"ws://127.0.0.1:{port}/", proxy=None) as client:
        for text in ("a", "b"):
            client.send(text)
            assert client.recv(timeout=5) == text
            time.sleep(1.25 * heads.HEAD_S)  # only time shows that it ends nothing
