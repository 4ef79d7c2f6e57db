"""A connection that mitmproxy reads: one guest of `addon.arrive.memory`, that is not read from
while what it sent cannot go on, and that leaves nothing behind.

Put in place by `addon.mitm.layers`. All that is known here of what mitmproxy keeps in its layers
stands in `kept`, `ahead` and `behind`.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from h11._receivebuffer import ReceiveBuffer
from mitmproxy.connection import Connection
from mitmproxy.proxy import events, layer, mode_servers, tunnel
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers import websocket
from mitmproxy.proxy.layers.http import _http1
from mitmproxy.proxy.layers.tls import ClientTLSLayer

from addon.arrive.memory import Guest
from addon.exchange.conversation import Stage
from addon.exchange.exchange import KEY, Exchange
from addon.mitm.flood import Frames
from addon.mitm.relay import LayerEvents

AHEAD_CAP = 256 * 1024  # bytes that wait inside of one direction before it is read no further
READ = 64 * 1024  # bytes that are read of a socket at once

Layer = layer.Layer


class Handler(mode_servers.ProxyConnectionHandler, Guest):
    def __init__(self, told: LayerEvents, *args: Any) -> None:
        super().__init__(*args)  # type: ignore[no-untyped-call]
        self._told, self._memory = told, told.memory
        self.active = time.monotonic()
        self._served = self._ended = False
        self._read: dict[Connection, int] = {}  # size of the last piece, which its task keeps
        self._waiting: list[asyncio.Future[None]] = []

    async def handle_client(self) -> None:
        writer = self.transports[self.client].writer
        if not isinstance(writer, asyncio.StreamWriter):  # of UDP, which nobody listens to
            return
        if not self._memory.enter(self):
            writer.transport.abort()
            return
        try:
            await super().handle_client()
            if unsent(writer):  # closed, but its client does not read
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(self._memory.bounds.body):
                        await writer.wait_closed()
                writer.transport.abort()
        finally:
            self._memory.leave(self)
            self._dissolve()

    def _dissolve(self) -> None:
        """Layers know each other, and Python would find such circles by their number only, when it
        may be too late for their size."""
        self._ended = True
        for one in list(walk(self.layer)):
            one.context.layers.clear()
            vars(one).clear()
        self.timeout_watchdog.callback = _nothing
        self.transports.clear()

    async def handle_connection(self, connection: Connection) -> None:
        io = self.transports[connection]
        writer = io.writer
        if isinstance(writer, asyncio.StreamWriter) and isinstance(io.reader, asyncio.StreamReader):
            # asyncio's 256 KiB and 128 KiB, before anybody has seen them, are much for many.
            writer.transport.max_size = READ  # type: ignore[attr-defined]
            io.reader._limit = READ // 4  # type: ignore[attr-defined]
            writer.write = partial(_write, writer, writer.write)  # type: ignore[method-assign]
            forgetful(writer.transport)
        try:
            await super().handle_connection(connection)
        finally:
            self._read.pop(connection, None)
            # What a real host has not taken when its connection is closed, nobody waits for.
            if connection is not self.client and unsent(writer):
                abort(writer)

    async def server_event(self, event: events.Event) -> None:
        if self._ended:  # a hook's task
            return
        await super().server_event(event)
        if isinstance(event, events.DataReceived):
            self.active = time.monotonic()
            self._read[event.connection] = len(event.data)
        self._memory.weigh(self)
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def drain_writers(self) -> None:
        """Back-pressure. mitmproxy's own looks at the sockets only, and goes on reading what a
        layer that waits puts aside."""
        await super().drain_writers()  # type: ignore[no-untyped-call]
        task = asyncio.current_task()
        source = next((c for c, io in self.transports.items() if io.handler is task), None)
        while source is not None and self._aside(source) > AHEAD_CAP:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    def _aside(self, source: Connection) -> int:
        return ahead(self.layer) if source is self.client else behind(self.layer, source)

    # As a guest of `addon.arrive.memory`.

    @property
    def served(self) -> bool:
        self._served = (
            self._served
            or self._told.answered_by_relay(self.client)
            or any(map(answered, walk(self.layer)))
        )
        return self._served

    def busy(self) -> bool:
        idle = time.monotonic() - self.active
        return idle < self._memory.bounds.body and bool(self._told.open_of(self.client))

    def held(self) -> int:
        size = sum(map(kept, walk(self.layer))) + sum(self._read.values())
        for io in self.transports.values():
            size += unsent(io.writer) + len(getattr(io.reader, "_buffer", b""))
        return size

    def stages(self) -> Mapping[Stage, int]:
        found: dict[Stage, int] = {}
        for one in walk(self.layer):
            stage(one, found)
        return found

    def evict(self, bound: str) -> None:
        self._memory.leave(self)
        self._told.exceeded(bound, self.client)
        self._told.gone(self.client)
        for one in walk(self.layer):
            release(one)
        for io in list(self.transports.values()):
            if io.handler is not None:
                io.handler.cancel("over a bound")
            abort(io.writer)
            if isinstance(io.reader, asyncio.StreamReader):
                io.reader._buffer.clear()  # type: ignore[attr-defined]


def abort(writer: Any) -> None:
    """Closes, whatever was not sent."""
    if isinstance(writer, asyncio.StreamWriter):
        writer.transport.abort()


def _write(writer: asyncio.StreamWriter, write: Callable[[bytes], None], data: bytes) -> None:
    """In pieces: of what asyncio is given at once it keeps all until the last byte is sent."""
    if len(data) <= READ:
        write(data)
        return
    for begin in range(0, len(data), READ):
        if writer.is_closing():
            return
        write(data[begin : begin + READ])


def forgetful(transport: Any) -> None:
    """An error of the socket is kept until the connection's tasks have ended, and its traceback
    would keep all that was being sent."""
    lost = transport._fatal_error
    transport._fatal_error = lambda error, *said: lost(error.with_traceback(None), *said)


async def _nothing() -> None:
    pass


def unsent(writer: Any) -> int:
    """Bytes that the kernel has not taken."""
    if not isinstance(writer, asyncio.StreamWriter):
        return 0
    return writer.transport.get_write_buffer_size()


def walk(top: Layer | None) -> Iterator[Layer]:
    """This layer and all below."""
    found, seen = [top], set[int]()
    while found:
        one = found.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, layer.NextLayer):
            found.append(one.layer)
        elif isinstance(one, http_layers.HttpLayer):
            found += one.connections.values()
            found += one.streams.values()
        else:
            found.append(getattr(one, "child_layer", None))
            found.append(getattr(one, "over", None))  # of addon.exchange.conversation
        # Some know the one below only by its function.
        below = getattr(one._handle_event, "__self__", None)
        found.append(below if isinstance(below, Layer) else None)


def kept(one: Layer) -> int:
    """Bytes that this layer keeps."""
    size = _size(one._paused_event_queue) if one._paused_event_queue else 0
    if isinstance(one, layer.NextLayer):
        size += _size(one.events)
    elif isinstance(one, tunnel.TunnelLayer):
        size += _size(one._event_queue) + len(getattr(one, "recv_buffer", b""))
    elif isinstance(one, _http1.Http1Connection):
        size += len(one.buf)
    elif isinstance(one, http_layers.HttpStream):
        size += len(one.request_body_buf) + len(one.response_body_buf)
        if exchange := exchange_of(one):
            size += exchange.held
    elif isinstance(one, websocket.WebsocketLayer):
        size += sum(map(message_size, _sides(one)))
    elif frames := frames_of(one):
        size += frames.waiting() + frames.partial()
    else:
        size += getattr(one, "held", 0)  # of addon.exchange.conversation
    return size


def release(one: Layer) -> None:
    """Lets go of what this layer keeps, before its connection's tasks have ended."""
    one._paused_event_queue.clear()
    if isinstance(one, layer.NextLayer):
        one.events.clear()
    elif isinstance(one, tunnel.TunnelLayer):
        one._event_queue.clear()
    elif isinstance(one, _http1.Http1Connection):
        one.buf = ReceiveBuffer()
    elif isinstance(one, http_layers.HttpStream):
        one.request_body_buf.clear()
        one.response_body_buf.clear()
    elif isinstance(one, websocket.WebsocketLayer):
        for side in _sides(one):
            side.frame_buf = [b""]
    elif frames := frames_of(one):
        frames.stream_buffers.clear()
        frames.incoming_buffer._headers_buffer.clear()


def ahead(top: Layer) -> int:
    """Bytes of the client's that wait for something else than the client."""
    size = 0
    for one in walk(top):
        if one._paused_event_queue:
            size += _size(one._paused_event_queue)
        if isinstance(one, _http1.Http1Server) and one.state == one.wait:
            size += len(one.buf)
        size += getattr(one, "ahead", 0)  # of addon.exchange.conversation
    return size


def behind(top: Layer, source: Connection) -> int:
    """Bytes of this real host's that wait for the client to allow more, in HTTP/2."""
    for one in walk(top):
        if isinstance(one, http_layers.HttpLayer) and source in one.connections:
            client = frames_of(one.connections.get(one.context.client))
            if client is None:
                return 0
            # Over HTTP/1 one stream at a time comes from there.
            of = [x.stream_id for x in walk(one.connections[source])
                  if isinstance(x, _http1.Http1Client)]  # fmt: skip
            return client.waiting(of[0] if of else None)
    return 0


def stage(one: Layer, found: dict[Stage, int]) -> None:
    """Adds what this layer is receiving from the client."""
    if isinstance(one, layer.NextLayer):
        if one.layer is None and _size(one.events):
            found["head", 0] = 0
    elif isinstance(one, ClientTLSLayer):
        if one.tunnel_state is tunnel.TunnelState.ESTABLISHING:
            found["head", 0] = 0
    elif isinstance(one, _http1.Http1Server):
        if one.state == one.read_headers and one.buf:
            found["head", one.stream_id] = 0
    elif isinstance(one, http_layers.HttpStream):
        exchange = exchange_of(one)
        if (
            exchange is not None
            and not (exchange.forwarded or exchange.routed)
            and one.client_state == one.state_consume_request_body
            and not one._paused
        ):
            found["body", one.stream_id] = exchange.sent.size >> 10
    elif frames := frames_of(one):
        if not frames.config.client_side and frames.incoming_buffer._headers_buffer:
            found["head", frames.highest_inbound_stream_id] = 0
    else:
        found |= getattr(one, "stages", dict)()  # of addon.exchange.conversation


def answered(one: Layer) -> bool:
    """Whether a request that this layer read had its answer."""
    if isinstance(one, _http1.Http1Server):
        return one.stream_id > 1
    if frames := frames_of(one):
        return not frames.config.client_side and frames.highest_inbound_stream_id > 1
    return bool(getattr(one, "answers", 0))  # of addon.exchange.conversation


def frames_of(one: Layer | None) -> Frames | None:
    found = getattr(one, "h2_conn", None)
    return found if isinstance(found, Frames) else None


def exchange_of(stream: http_layers.HttpStream) -> Exchange | None:
    flow = getattr(stream, "flow", None)
    found = flow.metadata.get(KEY) if flow is not None else None
    return found if isinstance(found, Exchange) else None


FRAGMENT = 512  # bytes that one fragment of a WebSocket message counts for, besides its content


def message_size(side: websocket.WebsocketConnection) -> int:
    """Bytes that the message which is being received takes."""
    return sum(map(len, side.frame_buf)) + FRAGMENT * len(side.frame_buf)


def _sides(one: websocket.WebsocketLayer) -> list[websocket.WebsocketConnection]:
    return [x for x in (getattr(one, "client_ws", None), getattr(one, "server_ws", None)) if x]


def _size(waiting: Any) -> int:
    return sum(len(getattr(x, "data", b"") or b"") for x in waiting)
