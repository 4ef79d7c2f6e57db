"""The handler of a connection that mitmproxy reads: it can be weighed and evicted by
`addon.arrive.memory`, applies back-pressure, and frees all memory at its end.

`addon.mitm.layers` puts it in place. Only `kept`, `ahead` and `behind` know what mitmproxy's layers
keep in memory.
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

AHEAD_CAP = 256 * 1024  # bytes waiting inside, over which one direction is not read
READ = 64 * 1024  # bytes of one read

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
        if not isinstance(writer, asyncio.StreamWriter):  # UDP, on which nothing listens
            return
        if not self._memory.enter(self):
            writer.transport.abort()
            return
        try:
            await super().handle_client()
            if unsent(writer):  # closed, but its client has not drained it
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(self._memory.bounds.body):
                        await writer.wait_closed()
                writer.transport.abort()
        finally:
            self._memory.leave(self)
            self._dissolve()

    def _dissolve(self) -> None:
        """Breaks the layers' reference cycles: Python collects cycles by their number, which may
        be too late for their size."""
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
            # asyncio's defaults of 256 KiB and 128 KiB are too much for many connections.
            writer.transport.max_size = READ  # type: ignore[attr-defined]
            io.reader._limit = READ // 4  # type: ignore[attr-defined]
            writer.write = partial(_write, writer, writer.write)  # type: ignore[method-assign]
            forgetful(writer.transport)
        try:
            await super().handle_connection(connection)
        finally:
            self._read.pop(connection, None)
            if self.transports.pop(connection, None) is not None and writer is not None:
                # Closed by command while it waited to tell of the peer's end: mitmproxy would leave
                # the socket open.
                writer.close()
            # Nobody waits for bytes that a real host left unread when its connection is closed.
            if connection is not self.client and unsent(writer):
                abort(writer)

    async def server_event(self, event: events.Event) -> None:
        if self._ended:  # the event is of a hook's task
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
        """Back-pressure. mitmproxy's own watches the sockets only, and goes on reading what a
        waiting layer queues."""
        await super().drain_writers()  # type: ignore[no-untyped-call]
        task = asyncio.current_task()
        source = next((c for c, io in self.transports.items() if io.handler is task), None)
        while source is not None and self._aside(source) > AHEAD_CAP:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    def _aside(self, source: Connection) -> int:
        return ahead(self.layer) if source is self.client else behind(self.layer, source)

    # The interface of `addon.arrive.memory.Guest`.

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
    """Closes at once, and drops unsent bytes."""
    if isinstance(writer, asyncio.StreamWriter):
        writer.transport.abort()


def _write(writer: asyncio.StreamWriter, write: Callable[[bytes], None], data: bytes) -> None:
    """Writes in pieces: asyncio keeps each buffer whole until its last byte is sent."""
    if len(data) <= READ:
        write(data)
        return
    for begin in range(0, len(data), READ):
        if writer.is_closing():
            return
        write(data[begin : begin + READ])


def forgetful(transport: Any) -> None:
    """Drops the traceback of a socket's error: it would keep all bytes that were being sent until
    the connection's tasks have ended."""
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
    """This layer and all below it."""
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
            found.append(getattr(one, "over", None))  # of addon.mitm.answer_layer
        # Some layers know their child only by its method.
        below = getattr(one._handle_event, "__self__", None)
        found.append(below if isinstance(below, Layer) else None)


def kept(one: Layer) -> int:
    """Bytes that this layer keeps in memory."""
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
        size += getattr(one, "held", 0)  # of addon.mitm.answer_layer
    return size


def release(one: Layer) -> None:
    """Frees the bytes that this layer keeps, before its connection's tasks have ended."""
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
    """The client's bytes that wait for something other than more bytes."""
    size = 0
    for one in walk(top):
        if one._paused_event_queue:
            size += _size(one._paused_event_queue)
        if isinstance(one, _http1.Http1Server) and one.state == one.wait:
            size += len(one.buf)
        size += getattr(one, "ahead", 0)  # of addon.mitm.answer_layer
    return size


def behind(top: Layer, source: Connection) -> int:
    """This real host's bytes that the client's HTTP/2 windows hold back."""
    for one in walk(top):
        if isinstance(one, http_layers.HttpLayer) and source in one.connections:
            client = frames_of(one.connections.get(one.context.client))
            if client is None:
                return 0
            # Over HTTP/1 the host sends one stream at a time.
            of = [x.stream_id for x in walk(one.connections[source])
                  if isinstance(x, _http1.Http1Client)]  # fmt: skip
            return client.waiting(of[0] if of else None)
    return 0


def stage(one: Layer, found: dict[Stage, int]) -> None:
    """Adds the stages that this layer is receiving from the client."""
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
        found |= getattr(one, "stages", dict)()  # of addon.mitm.answer_layer


def answered(one: Layer) -> bool:
    """True if a request that this layer read was answered."""
    if isinstance(one, _http1.Http1Server):
        return one.stream_id > 1
    if frames := frames_of(one):
        return not frames.config.client_side and frames.highest_inbound_stream_id > 1
    return bool(getattr(one, "answers", 0))  # of addon.mitm.answer_layer


def frames_of(one: Layer | None) -> Frames | None:
    found = getattr(one, "h2_conn", None)
    return found if isinstance(found, Frames) else None


def exchange_of(stream: http_layers.HttpStream) -> Exchange | None:
    flow = getattr(stream, "flow", None)
    found = flow.metadata.get(KEY) if flow is not None else None
    return found if isinstance(found, Exchange) else None


FRAGMENT = 512  # overhead in bytes of one fragment of a WebSocket message


def message_size(side: websocket.WebsocketConnection) -> int:
    """Memory of the message that is being received, in bytes."""
    return sum(map(len, side.frame_buf)) + FRAGMENT * len(side.frame_buf)


def _sides(one: websocket.WebsocketLayer) -> list[websocket.WebsocketConnection]:
    return [x for x in (getattr(one, "client_ws", None), getattr(one, "server_ws", None)) if x]


def _size(waiting: Any) -> int:
    return sum(len(getattr(x, "data", b"") or b"") for x in waiting)
