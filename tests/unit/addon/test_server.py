"""addon/server.py on real connections: order, hooks that wait, peers that are slow."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from mitmproxy import options
from mitmproxy.master import Master
from mitmproxy.proxy import commands, events, layer, mode_servers, server
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.mode_specs import ProxyMode

from addon.hooks import Hooks
from addon.server import Handler

PATIENCE_S = 10


@dataclass
class AtOnceHook(commands.StartHook):
    seen: list[bytes]


@dataclass
class LaterHook(commands.StartHook):
    seen: list[bytes]


class Echo(layer.Layer):
    """Sends back what it gets; asks `hook` first."""

    hook: Callable[[list[bytes]], commands.StartHook] | None = None

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.DataReceived):
            if self.hook is not None:
                yield self.hook([event.data])
            yield commands.SendData(self.context.client, event.data)
        elif isinstance(event, events.ConnectionClosed):
            yield commands.CloseConnection(self.context.client)


class Ears:
    def __init__(self) -> None:
        self.now: list[bytes] = []
        self.waiting = asyncio.Event()
        self.go = asyncio.Event()

    def at_once(self, seen: list[bytes]) -> None:
        self.now += seen

    async def later(self, seen: list[bytes]) -> None:
        self.waiting.set()
        await self.go.wait()


class Lab:
    def __init__(self, top: type[Echo]) -> None:
        self.ears = Ears()
        self.top = top
        self.master: Any = Master(options.Options())
        self.master.addons = Hooks(self.master)
        self.master.addons.add(self.ears)
        self.handlers: list[Handler] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mode = ProxyMode.parse("regular")
        handler = Handler(self.master, reader, writer, self.master.options, mode)
        self.handlers.append(handler)
        handler.layer = self.top(Context(handler.client, self.master.options))
        await handler.handle_client()


@asynccontextmanager
async def served(top: type[Echo]) -> AsyncIterator[tuple[Lab, asyncio.StreamReader, Any]]:
    lab = Lab(top)
    listener = await asyncio.start_server(lab.handle, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield lab, reader, writer
    finally:
        writer.close()
        listener.close()


async def test_what_comes_is_handled_in_order() -> None:
    async with served(Echo) as (lab, reader, writer):
        for number in range(50):
            writer.write(b"%d," % number)
            await reader.readuntil(b"%d," % number)
        assert lab.handlers[0]._behind == 0


async def test_a_hook_that_waits_for_nothing_is_called_at_once() -> None:
    class Asking(Echo):
        hook = AtOnceHook

    async with served(Asking) as (lab, reader, writer):
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        assert lab.ears.now == [b"one"]


async def test_while_a_hook_waits_the_rest_waits_behind_it() -> None:
    class Waiting(Echo):
        hook = LaterHook

    async with served(Waiting) as (lab, reader, writer):
        writer.write(b"one")
        await lab.ears.waiting.wait()
        for part in (b"two", b"three"):
            writer.write(part)
            await asyncio.sleep(0.02)
        lab.ears.go.set()
        assert await reader.readexactly(11) == b"onetwothree"


async def test_a_client_that_reads_slowly_holds_itself_up() -> None:
    """What waits for it is bounded, and nothing is lost or mixed up."""
    size = 16 << 20
    async with served(Echo) as (lab, reader, writer):

        async def send() -> None:
            for number in range(size // 65536):
                writer.write(bytes([number % 256]) * 65536)
                await writer.drain()

        sending = asyncio.create_task(send())
        await asyncio.sleep(0.3)
        io = lab.handlers[0].transports[lab.handlers[0].client]
        assert io.writer is not None
        assert io.writer.transport.get_write_buffer_size() < 1 << 20
        got = await reader.readexactly(size)
        await sending
        assert got == b"".join(bytes([n % 256]) * 65536 for n in range(size // 65536))
        assert lab.handlers[0]._behind == 0


async def test_the_end_of_the_client_is_seen() -> None:
    async with served(Echo) as (_, reader, writer):
        writer.write(b"last")
        writer.write_eof()
        assert await reader.read() == b"last"


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (mode_servers.ServerInstance.handle_stream, ["ProxyConnectionHandler(", "handler.layer ="]),
        (server.ConnectionHandler.server_event,
         ["async with self._server_event_lock", "self.layer.handle_event(event)",
          "commands.StartHook", "self.hook_task(command)"]),
        (server.ConnectionHandler.handle_connection,
         ["await reader.read(65535)", "self.server_event(events.DataReceived(connection, data))"]),
        (mode_servers.ProxyConnectionHandler.handle_hook, ["handle_lifecycle(hook)"]),
        (server.LiveConnectionHandler.__init__, ["reader=reader, writer=writer"]),
    ],
)  # fmt: skip
def test_what_is_known_of_mitmproxy_holds(of: Any, words: list[str]) -> None:
    source = inspect.getsource(of)
    assert all(word in source for word in words)
