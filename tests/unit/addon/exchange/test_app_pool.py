"""addon/exchange/app_pool.py: one request, one answer, over kept connections, within bounds."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from addon.exchange import app_pool as pools
from addon.exchange.app_pool import AppFailed, Pool
from tests.peers import Listener, Reader, send
from tests.waiting import until

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
Answer = Callable[[socket.socket, bytes], None]


class Server(Listener):
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__()

    def connected(self, connection: socket.socket) -> None:
        reader = Reader(connection)
        while True:
            self.answer(connection, reader.until(b"\r\n\r\n"))


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Server]]:
    servers: list[Server] = []

    def start(answer: Answer) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


Serve = Callable[[Answer], Server]


async def test_answers_come_over_one_connection(serve: Serve) -> None:
    server = serve(lambda c, head: send(c, b"hello", headers=b"X-A: 1\r\nx-a: 2\r\n"))
    pool = Pool("127.0.0.1", server.port)
    for _ in range(3):
        answered = await pool.ask(GET, within=5)
        assert (answered.status, answered.reason, answered.body) == (200, b"OK", b"hello")
        assert answered.headers == [(b"X-A", b"1"), (b"x-a", b"2")]
    assert server.accepted == 1
    pool.close()


async def test_a_fresh_connection_on_demand_and_after_close(serve: Serve) -> None:
    server = serve(lambda c, head: send(c, b"", headers=b"connection: close\r\n"))
    pool = Pool("127.0.0.1", server.port)
    await pool.ask(GET, within=5)
    await pool.ask(GET, within=5)
    assert server.accepted == 2
    server.answer = lambda c, head: send(c, b"")
    await pool.ask(GET, within=5)
    await pool.ask(GET, within=5, fresh=True)
    assert server.accepted == 4
    pool.close()


@pytest.mark.parametrize(
    ("second", "asked"),
    [
        # Nothing came: the app closed the connection at rest, before it saw the request.
        (b"", 3),
        # Something came: the app has the request, and must not get it twice.
        (b"H", 2),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", 2),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", 2),
    ],
)
async def test_a_request_is_sent_again_only_when_no_answer_began(
    serve: Serve, second: bytes, asked: int
) -> None:
    seen = 0

    def answer(connection: socket.socket, head: bytes) -> None:
        nonlocal seen
        seen += 1
        if seen != 2:
            send(connection, b"ok")
            return
        connection.sendall(second)
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    server = serve(answer)
    pool = Pool("127.0.0.1", server.port)
    await pool.ask(GET, within=5)
    if asked == 3:
        assert (await pool.ask(GET, within=5)).body == b"ok"
    else:
        with pytest.raises(AppFailed) as e:
            await pool.ask(GET, within=5)
        assert not e.value.cut
    assert seen == asked
    pool.close()


async def test_chunks_informational_answers_and_head(serve: Serve) -> None:
    def chunked(connection: socket.socket, head: bytes) -> None:
        if head.startswith(b"HEAD"):
            send(connection, b"never sent", bodiless=True)
            return
        connection.sendall(
            b"HTTP/1.1 103 Early Hints\r\nx: 1\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        )

    server = serve(chunked)
    pool = Pool("127.0.0.1", server.port)
    answered = await pool.ask(GET, within=5)
    assert (answered.status, answered.body, answered.headers) == (200, b"ok", [])
    answered = await pool.ask(b"HEAD / HTTP/1.1\r\n\r\n", within=5, bodiless=True)
    assert (answered.status, answered.body) == (200, b"")
    pool.close()


async def test_no_more_connections_than_allowed(serve: Serve) -> None:
    all_asked = threading.Event()

    def answer(connection: socket.socket, head: bytes) -> None:
        all_asked.wait(5)
        send(connection, b"")

    server = serve(answer)
    pool = Pool("127.0.0.1", server.port, size=2)
    asking = [asyncio.create_task(pool.ask(GET, within=10)) for _ in range(8)]
    await until(lambda: server.accepted == 2)
    all_asked.set()
    await asyncio.gather(*asking)
    assert server.accepted == 2
    pool.close()


async def test_slow_rules_hold_up_no_other(serve: Serve) -> None:
    going_on = threading.Event()

    def answer(connection: socket.socket, head: bytes) -> None:
        if head.startswith(b"POST"):
            going_on.wait(10)
        send(connection, b"")

    pool = Pool("127.0.0.1", serve(answer).port, size=2)
    post = GET.replace(b"GET", b"POST")
    slow = [asyncio.create_task(pool.ask(post, within=20, slow=True)) for _ in range(5)]
    await pool.ask(GET, within=5)
    going_on.set()
    await asyncio.gather(*slow)
    pool.close()


@pytest.mark.parametrize(
    ("answer", "cut"),
    [
        (lambda c, head: c.close(), True),
        (lambda c, head: (c.sendall(b"HTTP/1.1 200 OK\r\ncontent-le"), c.close()), False),
        (
            lambda c, head: c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"),
            False,
        ),
        (lambda c, head: c.sendall(b"no http at all\r\n\r\n"), False),
        (lambda c, head: send(c, b"", headers=b"a: b\r\n" * 300), False),
    ],
)
async def test_what_is_no_answer(serve: Serve, answer: Answer, cut: bool) -> None:
    pool = Pool("127.0.0.1", serve(answer).port)
    with pytest.raises(AppFailed) as e:
        await pool.ask(GET, within=5)
    assert (e.value.reason, e.value.cut) == ("app_error", cut)


async def test_too_large_an_answer(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "LARGEST_ANSWER", 1000)
    pool = Pool("127.0.0.1", serve(lambda c, head: send(c, b"x" * 1001)).port)
    with pytest.raises(AppFailed) as e:
        await pool.ask(GET, within=5)
    assert e.value.reason == "app_error"


async def test_time_limit_and_refused_connection(serve: Serve) -> None:
    pool = Pool("127.0.0.1", serve(lambda c, head: None).port)
    with pytest.raises(AppFailed) as e:
        await pool.ask(GET, within=0.05)
    assert (e.value.reason, e.value.late) == ("app_unreachable", True)
    server = serve(lambda c, head: None)
    server.close()
    gone = Pool("127.0.0.1", server.port)
    with pytest.raises(AppFailed) as e:
        await gone.ask(GET, within=5)
    assert (e.value.reason, e.value.late) == ("app_unreachable", False)
    assert not await gone.reachable()


async def test_reachable_keeps_the_connection_it_made(serve: Serve) -> None:
    server = serve(lambda c, head: send(c, b""))
    pool = Pool("127.0.0.1", server.port)
    assert await pool.reachable() and await pool.reachable()
    await pool.ask(GET, within=5)
    assert server.accepted == 1
    pool.close()
