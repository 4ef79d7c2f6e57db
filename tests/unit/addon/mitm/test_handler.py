"""addon/mitm/handler.py: what is found in mitmproxy's layers, and asyncio's inner names that it
uses.

The handler itself, under attack: tests/integration/test_sidecar_memory.py.
"""

import asyncio
import socket

import pytest
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.layers.http import HTTPMode, HttpStream

from addon.exchange.conversation import Stage
from addon.mitm import handler, layers
from tests.unit.addon.mitm.test_next_layer import Rules

HEAD = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n"


def fed(one: layer.Layer, context: Context, *pieces: bytes) -> list[commands.Command]:
    made = list(one.handle_event(events.Start()))
    for piece in pieces:
        made += one.handle_event(events.DataReceived(context.client, piece))
    return made


def held(top: layer.Layer) -> int:
    return sum(map(handler.kept, handler.walk(top)))


def stages(top: layer.Layer) -> dict[Stage, int]:
    found: dict[Stage, int] = {}
    for one in handler.walk(top):
        handler.stage(one, found)
    return found


def http(context: Context) -> layers.Http:
    return layers.Http(context, HTTPMode.transparent, Rules())


def test_half_a_head_is_held_and_a_stage(context: Context) -> None:
    top = http(context)
    fed(top, context, HEAD[:-5])
    assert held(top) == len(HEAD) - 5
    assert stages(top) == {("head", 1): 0}
    assert handler.ahead(top) == 0


def test_what_arrives_while_a_hook_is_waited_for_is_ahead(context: Context) -> None:
    top = http(context)
    fed(top, context, HEAD, b"x" * 40, b"y" * 30)
    assert any(isinstance(x, HttpStream) and x._paused for x in handler.walk(top))
    assert handler.ahead(top) == held(top) == 70
    for one in handler.walk(top):
        handler.release(one)
    assert handler.ahead(top) == held(top) == 0


@pytest.mark.parametrize("mode", [modes.HttpProxy, modes.TransparentProxy])
def test_a_layer_that_is_not_chosen_yet_is_found(context: Context, mode: type[layer.Layer]) -> None:
    top = mode(context)
    for made in fed(top, context, b"\x16\x03\x01"):
        if isinstance(made, commands.OpenConnection):
            list(top.handle_event(events.OpenConnectionCompleted(made, None)))
    assert held(top) == 3
    assert stages(top) == {("head", 0): 0}


def test_http2_is_found(context: Context) -> None:
    layers.install()
    context.client.alpn = b"h2"
    top = http(context)
    fed(top, context, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\x10")
    (frames,) = [x for x in map(handler.frames_of, handler.walk(top)) if x]
    assert frames.partial() == held(top) == 3
    assert not any(map(handler.answered, handler.walk(top)))


async def test_asyncios_inner_names() -> None:
    """They are set on objects of its own, and a newer Python may have others."""
    ends = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ends[0])
    assert isinstance(writer.transport.max_size, int)  # type: ignore[attr-defined]
    assert callable(writer.transport._fatal_error)  # type: ignore[attr-defined]
    assert isinstance(reader._limit, int) and len(reader._buffer) == 0  # type: ignore[attr-defined]
    ends[1].sendall(b"hello")
    assert await reader.readexactly(1) == b"h" and len(reader._buffer) == 4  # type: ignore[attr-defined]
    writer.close()
    ends[1].close()
    await writer.wait_closed()


async def test_large_data_is_written_in_pieces() -> None:
    ends = socket.socketpair()
    _, writer = await asyncio.open_connection(sock=ends[0])
    pieces: list[bytes] = []
    data = bytes(range(256)) * 1000
    handler._write(writer, pieces.append, data)
    assert b"".join(pieces) == data and max(map(len, pieces)) == handler.READ
    handler.abort(writer)
    pieces.clear()
    handler._write(writer, pieces.append, data)
    assert pieces == []
    ends[1].close()
