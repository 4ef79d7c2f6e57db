"""HTTP and TCP layers in place of mitmproxy's, which buffer without bound, crash or do not count.

`addon.mitm.next_layer` chooses them, through mitmproxy's public `next_layer` hook. `install` adds
those that no hook reaches: the clients of real hosts, HTTP/2, WebSocket and the connection's
handler.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import wsproto.extensions
from h11 import Data, EndOfMessage
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy import http
from mitmproxy.proxy import commands, events, layer, layers, mode_servers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers import websocket
from mitmproxy.proxy.layers.http import (
    DropStream,
    HTTPMode,
    HttpStream,
    SendHttp,
    _http1,
    _http2,
)
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook

from addon.bounds import DEFAULTS, Bounds
from addon.exchange.exchange import KEY
from addon.exchange.routing import refuse_trailers
from addon.mitm import overrun
from addon.mitm.flood import Frames, Http2Client, Http2Server
from addon.mitm.handler import Handler
from addon.mitm.inflate import Inflate, Messages, WebSocketSide
from addon.mitm.legible import too_large
from addon.mitm.overrun import exceeded
from addon.mitm.relay import LayerEvents, Relay, UnnamedTunnel
from addon.mitm.upstream import Client
from addon.target.first_bytes import starts_like_http
from addon.target.hello import HEAD_CAP
from app.contract.hosts import is_address

log = logging.getLogger(__name__)


class Stream(HttpStream):
    """One request. Of a body that is answered here only the first bytes are kept."""

    def __init__(
        self,
        context: Context,
        stream_id: int,
        told: LayerEvents,
        has_extensions: Callable[[], bool],
    ) -> None:
        super().__init__(context, stream_id)
        self.told = told
        self._has_extensions = has_extensions  # the chunks of the request that was read last

    def state_consume_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestTrailers):
            yield from self.refuse_trailers()
            return
        exchange = self.flow.metadata.get(KEY)
        self._note_extensions(event)
        if exchange is None or not isinstance(event, RequestData):
            yield from super().state_consume_request_body(event)
            return
        exchange.sent.add(event.data)
        if not exchange.undecided:
            return
        # The rule judges the body: it is held back until it is whole, or over the cap.
        self.request_body_buf += event.data
        if exchange.sent.whole:
            return
        self.told.settle(exchange, self.flow)
        held = bytes(self.request_body_buf)
        self.request_body_buf.clear()
        if exchange.forwarded:
            self.flow.request.stream = exchange.sent.add
            yield from self.start_request_stream()
            if self.client_state == self.state_stream_request_body:
                yield SendHttp(RequestData(self.stream_id, held), self.context.server)

    def state_stream_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestTrailers):
            yield from self.refuse_trailers()
        else:
            self._note_extensions(event)
            yield from super().state_stream_request_body(event)

    def _note_extensions(self, event: events.Event) -> None:
        exchange = self.flow.metadata.get(KEY)
        if exchange is not None and isinstance(event, RequestEndOfMessage):
            exchange.chunk_extensions = self._has_extensions()

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        if isinstance(event, ResponseProtocolError) and self._mock_owes():
            # The mock, which was to speak with the client itself, left without an answer.
            reply = self.told.unrouted(self.flow.metadata[KEY], event.message)
            if reply is not None:
                self.flow.response = reply.for_mitmproxy(self.flow.request)
                yield from self.send_response()
                return
            event = ResponseProtocolError(self.stream_id, "killed", ErrorCode.KILL)
        yield from super().handle_protocol_error(event)
        # A stream refers to itself, so only Python's cycle collector frees it.
        self.request_body_buf.clear()
        self.response_body_buf.clear()

    def _mock_owes(self) -> bool:
        """True if the mock has the whole request, and sent nothing of an answer."""
        exchange = self.flow.metadata.get(KEY)
        waits = self.server_state == self.state_wait_for_response_headers
        return bool(exchange and exchange.routed) and self.client_state == self.state_done and waits

    def refuse_trailers(self) -> layer.CommandGenerator[None]:
        """501 and the end: mitmproxy cannot carry trailers over HTTP/1, and would hang."""
        exchange = self.flow.metadata.get(KEY)
        if exchange is not None:
            exchange.reason = "trailers"
        streaming = self.client_state == self.state_stream_request_body
        too_late = self.server_state != self.state_wait_for_response_headers
        self.client_state = self.server_state = self.state_errored
        if streaming:
            stop = RequestProtocolError(self.stream_id, "trailers", ErrorCode.GENERIC_CLIENT_ERROR)
            yield SendHttp(stop, self.context.server)
        if too_late:
            cut = ResponseProtocolError(self.stream_id, "trailers", ErrorCode.KILL)
            yield SendHttp(cut, self.context.client)
        else:
            answer = refuse_trailers(self.flow.request)
            self.flow.response = answer
            yield SendHttp(ResponseHeaders(self.stream_id, answer), self.context.client)
            content = answer.raw_content or b""
            yield SendHttp(ResponseData(self.stream_id, content), self.context.client)
            yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
        yield HttpErrorHook(self.flow)
        self.flow.live = False
        yield DropStream(self.stream_id)

    def handle_connect_regular(self) -> layer.CommandGenerator[None]:
        """Connects a tunnel at once to a host that no profile names: so protocols work in which
        the server speaks first, and the client learns of a failure."""
        host = self.flow.request.host
        if is_address(host) or self.told.names(host):
            yield from super().handle_connect_regular()  # type: ignore[no-untyped-call]
            return
        err = yield commands.OpenConnection(self.context.server)
        if err:
            self.flow.response = http.Response.make(502, f"cannot connect: {err}\n")
            Relay(self.context, self.told, host=host, reason="not_named")  # to be recorded
        self.child_layer = UnnamedTunnel(self.context, self.told, host)
        yield from self.handle_connect_finish()  # type: ignore[no-untyped-call]


class Chunks(ChunkedReader):
    """Chunks of a request. Their extensions are lost, as h11 drops them: `extended` says so."""

    extended = False

    def __call__(self, buf: ReceiveBuffer) -> Data | EndOfMessage | None:
        if not (self.extended or self._reading_trailer or self._bytes_in_chunk):
            at = len(self._bytes_to_discard)
            self.extended = buf._data.find(b";", at, max(buf._data.find(b"\r\n", at), at)) >= 0
        return super().__call__(buf)


class Http1Server(_http1.Http1Server):
    """HTTP/1 towards the client: refuses what cannot be judged, bounds the head, and passes
    trailers on instead of crashing."""

    bounds: ClassVar[Bounds] = DEFAULTS

    def __init__(self, context: Context, told: LayerEvents) -> None:
        super().__init__(context)
        self._told = told

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        if over := too_large(bytes(self.buf), HEAD_CAP, self.bounds.request_fields):
            yield from self._refuse(431, self._too_large(over))
            return
        begun = bytes(self.buf)
        if (ahead := len(begun) - len(begun.lstrip(b"\r\n"))) and isinstance(
            event, events.DataReceived
        ):
            self.buf.maybe_extract_at_most(ahead)  # mitmproxy would wait for more after it
        left = begun[ahead:]
        if left and not starts_like_http(left):
            self._told.refused(self.context, begun)
            yield from self._refuse(400, "This is no request of HTTP/1.0 or HTTP/1.1.")
            return
        yield from super().read_headers(event)
        if self.state == self.done and self.request is None:  # mitmproxy refused it
            self._told.refused(self.context, begun)

    def _too_large(self, over: str) -> str:
        if over == "size":
            log.warning("request head over %d bytes refused", HEAD_CAP)
            return f"The request's head is larger than {HEAD_CAP} bytes."
        exceeded("request_fields", self)
        return f"The request has more than {self.bounds.request_fields} header lines."

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if type(self.body_reader) is ChunkedReader:
            self.body_reader = Chunks()
        try:
            yield from super().read_body(event)
        except NotImplementedError:  # mitmproxy 12's way to say that there are trailers
            yield ReceiveHttp(RequestTrailers(self.stream_id, http.Headers()))
            yield from self.mark_done(request=True)
        if self.state == self.read_body and len(self.buf) > HEAD_CAP:  # not data: it is passed on
            exceeded("request_fields", self)
            message = "A chunk's extensions or the trailers are without end."
            stop = RequestProtocolError(self.stream_id, message, ErrorCode.GENERIC_CLIENT_ERROR)
            yield from self._refuse(400, message)
            yield ReceiveHttp(stop)

    @property
    def has_extensions(self) -> bool:
        return isinstance(reader := getattr(self, "body_reader", None), Chunks) and reader.extended

    def _refuse(self, status: int, message: str) -> layer.CommandGenerator[None]:
        yield commands.SendData(self.conn, _http1.make_error_response(status, message))
        yield commands.CloseConnection(self.conn)
        self.state = self.done
        self.buf = ReceiveBuffer()


class Http(layers.HttpLayer):
    """HTTP on a connection, with the `Stream` and `Http1Server` of this module."""

    def __init__(self, context: Context, mode: HTTPMode, told: LayerEvents) -> None:
        super().__init__(context, mode)
        self.told = told
        self._failed = False

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """An error ends this connection: read on, its bytes might be taken for something else."""
        if self._failed:
            return
        try:
            yield from super().handle_event(event)
        except Exception:
            log.exception("a connection could not be read, so it is closed")
            self._failed = True
            yield commands.CloseConnection(self.context.client)

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start) and self.context.client.alpn not in (b"h2", b"h3"):
            # mitmproxy keeps a layer that the connection has before the start.
            self.connections[self.context.client] = Http1Server(self.context.fork(), self.told)
        yield from super()._handle_event(event)

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        self.streams[stream_id] = Stream(
            self.context.fork(), stream_id, self.told, self._has_extensions
        )
        yield from self.event_to_child(self.streams[stream_id], events.Start())

    def _has_extensions(self) -> bool:
        client = self.connections[self.context.client]
        return isinstance(client, Http1Server) and client.has_extensions


def install(bounds: Bounds = DEFAULTS, told: LayerEvents | None = None) -> None:
    """Makes mitmproxy use these layers for every connection, and report to `told`."""
    if told is not None:
        overrun.listen(told.exceeded)
        mode_servers.ProxyConnectionHandler = partial(Handler, told)  # type: ignore[assignment,misc]
    for bounded in (Http1Server, Client, Messages, Frames):
        bounded.bounds = bounds
    Inflate.most = bounds.websocket
    for module, name, ours in _OURS:
        setattr(module, name, ours)


_OURS: tuple[tuple[Any, str, type], ...] = (
    (http_layers, "Http1Client", Client),
    (http_layers, "Http2Client", Http2Client),
    (http_layers, "Http2Server", Http2Server),
    (_http2, "BufferedH2Connection", Frames),
    (websocket, "WebsocketLayer", Messages),
    (websocket, "WebsocketConnection", WebSocketSide),
    (wsproto.extensions, "PerMessageDeflate", Inflate),
)
