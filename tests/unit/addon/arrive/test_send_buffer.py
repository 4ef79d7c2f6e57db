"""addon/arrive/send_buffer.py: what a client's socket does not take, on real sockets."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from addon.arrive.send_buffer import SendBuffer
from tests.waiting import until

MUCH = bytes(range(256)) * 65536


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield ours, theirs


async def test_what_waits_is_sent_in_order_once_the_client_reads(ends):
    ours, theirs = ends
    drained: list[int] = []
    out = SendBuffer(ours, lambda: drained.append(len(out.unsent)))
    assert out.send(b"first") and not out.unsent
    assert not out.send(MUCH)
    assert out.send(b"last") and out.unsent.endswith(b"last") and not drained
    got, loop = b"", asyncio.get_running_loop()
    while not got.endswith(b"last"):
        got += await asyncio.wait_for(loop.sock_recv(theirs, 1 << 20), 10)
    assert got == b"first" + MUCH + b"last"
    await until(lambda: drained)
    assert drained == [0] and not out.gone


async def test_a_client_that_is_gone_takes_nothing(ends):
    ours, theirs = ends
    out = SendBuffer(ours, lambda: None)
    theirs.close()
    assert not out.send(b"x")
    assert out.gone and not out.unsent


async def test_once_closed_nothing_is_sent(ends):
    ours, theirs = ends
    drained: list[bool] = []
    out = SendBuffer(ours, lambda: drained.append(True))
    assert not out.send(MUCH)
    out.close()
    assert not asyncio.get_running_loop().remove_writer(ours)
    loop, sent = asyncio.get_running_loop(), len(MUCH) - len(out.unsent)
    while sent:
        sent -= len(await asyncio.wait_for(loop.sock_recv(theirs, 1 << 20), 10))
    await asyncio.sleep(0)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
    assert not drained
