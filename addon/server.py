"""mitmproxy's handler of a connection, without a task for every event.

Put in by `addon.proxy`. mitmproxy reads a connection in one task and starts another for every hook,
and each goes through asyncio's loop again. Here what a client sends is handled where the loop
delivers it, and so are the hooks that wait for nothing, which are most of them. What cannot be
handled at once goes mitmproxy's way: while a hook of the connection waits, or a peer is slow.

All that is known here of the insides of `mitmproxy.proxy.server` is in this file; a test holds it
against the version that is installed.
"""

import asyncio
from collections import deque
from typing import Any

from mitmproxy.proxy import commands, events, mode_servers, server
from mitmproxy.proxy import layer as layers

from addon.hooks import Hooks


class AtOnce(layers.Layer):
    """A connection's top layer, which has hooks called in the place of the handler."""

    def __init__(self, top: layers.Layer, hooks: Hooks) -> None:
        self.context = top.context  # not one layer more in it: they are counted
        self.top = top
        self._hooks = hooks

    def __repr__(self) -> str:
        return repr(self.top)

    def handle_event(self, event: events.Event) -> layers.CommandGenerator[None]:
        waiting = deque((event,))
        while waiting:
            for command in self.top.handle_event(waiting.popleft()):
                if isinstance(command, commands.StartHook) and self._hooks.trigger_now(command):
                    if command.blocking:
                        waiting.append(events.HookCompleted(command, None))
                else:
                    yield command

    def _handle_event(self, event: events.Event) -> layers.CommandGenerator[None]:
        yield from self.top.handle_event(event)


class Handler(mode_servers.ProxyConnectionHandler):
    """`master.addons` is `addon.hooks.Hooks`."""

    def __init__(self, *given: Any) -> None:
        self._hooks: Hooks = given[0].addons
        super().__init__(*given)  # type: ignore[no-untyped-call]
        self._behind = 0  # bytes of the client's that wait for mitmproxy's own task
        self._events = 0  # that are handled or wait for it
        reader = self.transports[self.client].reader
        if isinstance(reader, asyncio.StreamReader):
            self._leave = reader.feed_data
            setattr(reader, "feed_data", self._receive)  # noqa: B010 - mypy forbids it

    @property
    def layer(self) -> layers.Layer:
        return self._top

    @layer.setter
    def layer(self, top: layers.Layer) -> None:
        self._top = AtOnce(top, self._hooks)

    def _receive(self, data: bytes) -> None:
        """In the place of the reader's `feed_data`, which asyncio calls."""
        if not data or self._behind or self._busy():
            self._behind += len(data)
            self._leave(data)
            return
        try:
            self.server_event(events.DataReceived(self.client, data)).send(None)
        except StopIteration:
            return
        raise AssertionError("an event was not handled at once")

    def _busy(self) -> bool:
        client = self.transports.get(self.client)
        if client is None or client.handler is None or self._events:
            return True
        return any(_unsent(io) for io in self.transports.values())

    async def server_event(self, event: events.Event) -> None:
        if (
            self._behind
            and isinstance(event, events.DataReceived)
            and event.connection is self.client
        ):
            self._behind -= len(event.data)
        self._events += 1
        try:
            await super().server_event(event)
        finally:
            self._events -= 1


def _unsent(io: server.ConnectionIO) -> int:
    if not isinstance(io.writer, asyncio.StreamWriter):
        return 0
    return io.writer.transport.get_write_buffer_size()


def install() -> None:
    """Has mitmproxy's listeners use it."""
    setattr(mode_servers, "ProxyConnectionHandler", Handler)  # noqa: B010 - mypy forbids it
