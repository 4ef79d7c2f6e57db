"""mitmproxy's HTTP and TCP layers, where its own would buffer without bound, crash or not count.

Put in place by `addon.next_layer`. They go through mitmproxy's public `next_layer` hook; only the
clients of real hosts and the WebSocket layer, which no hook reaches, are put in by `install`.
"""

import logging
from typing import Protocol

from h11._receivebuffer import ReceiveBuffer
from mitmproxy import connection, http
from mitmproxy.proxy import commands, events, layer, layers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers import websocket
from mitmproxy.proxy.layers.http import (
    DropStream,
    HTTPMode,
    HttpStream,
    SendHttp,
    _http1,
)
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    HttpEvent,
    RequestData,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook

from addon.dns import is_address
from addon.exchange import KEY, Exchange
from addon.judge import HEAD_CAP
from addon.legible import final
from addon.routing import refuse_trailers

log = logging.getLogger(__name__)

MESSAGE_CAP = 16 * 1024 * 1024  # bytes of one WebSocket message


class Sidecar(Protocol):
    """What the layers ask of `addon.main`."""

    def names(self, host: str) -> bool:
        """Whether a profile names the host."""

    def unread(self) -> bool:
        """Whether the time is over in which redirected connections are looked into."""

    def heard(self, client: connection.Client) -> None:
        """A request of this client's leaves a record."""

    def settle(self, exchange: Exchange, flow: http.HTTPFlow) -> None:
        """Decides what waited for the body: its conditions are judged on what was kept of it."""

    def spliced(self, relay: "Relay") -> None:
        """Remembers a connection that is relayed unread, to record it when it ends."""


class Relay(layers.TCPLayer):
    """Relays a connection's bytes unread and counts them."""

    def __init__(
        self, context: Context, sidecar: Sidecar, *, host: str, sni: str = "", reason: str
    ) -> None:
        super().__init__(context, ignore=True)
        self.host, self.sni, self.reason = host, sni, reason
        self.sent = self.received = 0
        sidecar.spliced(self)

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.DataReceived):
            if event.connection == self.context.client:
                self.sent += len(event.data)
            else:
                self.received += len(event.data)
        yield from super().handle_event(event)


class Stream(HttpStream):
    """One request: of a body that is answered here only the first bytes are kept, however long."""

    def __init__(self, context: Context, stream_id: int, sidecar: Sidecar) -> None:
        super().__init__(context, stream_id)
        self.sidecar = sidecar

    def state_consume_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestTrailers):
            yield from self.refuse_trailers()
            return
        exchange = self.flow.metadata.get(KEY)
        if exchange is None or not isinstance(event, RequestData):
            yield from super().state_consume_request_body(event)
            return
        exchange.sent.add(event.data)
        if not exchange.undecided:
            return
        # The rule looks into the body: it is held back until it has ended, or is over the cap.
        self.request_body_buf += event.data
        if exchange.sent.whole:
            return
        self.sidecar.settle(exchange, self.flow)
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
            yield from super().state_stream_request_body(event)

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
        """A tunnel to a host by name that no profile names is connected at once, so that protocols
        in which the server speaks first work, and that a failure is told to the client."""
        host = self.flow.request.host
        if is_address(host) or self.sidecar.names(host):
            yield from super().handle_connect_regular()  # type: ignore[no-untyped-call]
            return
        relay = Relay(self.context, self.sidecar, host=host, reason="not_named")
        err = yield commands.OpenConnection(self.context.server)
        if err:
            self.flow.response = http.Response.make(502, f"cannot connect: {err}\n")
        self.child_layer = relay
        yield from self.handle_connect_finish()  # type: ignore[no-untyped-call]


class Server(_http1.Http1Server):
    """HTTP/1 towards the client: bounds the head, and hands trailers on instead of crashing."""

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        yield from super().read_headers(event)
        if self.state == self.read_headers and len(self.buf) > HEAD_CAP:
            log.warning("request head over %d bytes refused", HEAD_CAP)
            message = f"The request's head is larger than {HEAD_CAP} bytes."
            yield commands.SendData(self.conn, _http1.make_error_response(431, message))
            yield commands.CloseConnection(self.conn)
            self.state = self.done

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        try:
            yield from super().read_body(event)
        except NotImplementedError:  # how mitmproxy 12 says that there are trailers
            yield ReceiveHttp(RequestTrailers(self.stream_id, http.Headers()))
            yield from self.mark_done(request=True)


class Client(_http1.Http1Client):
    """HTTP/1 towards the real host: frames every body, reads odd answers, and leaves an answer's
    trailers out, as a proxy may (RFC 9110)."""

    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestHeaders) and not event.end_stream and event.request.is_http2:
            headers = event.request.headers
            if "content-length" not in headers and "transfer-encoding" not in headers:
                # HTTP/2 ends a body by itself. mitmproxy would send it without any frame, for the
                # real host to read it as the next request.
                request = event.request.copy()
                request.headers["transfer-encoding"] = "chunked"
                event = RequestHeaders(event.stream_id, request, end_stream=False)
        yield from super().send(event)

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        if self.request is not None and isinstance(event, events.DataReceived):
            answer = final(bytes(self.buf), http2=self.request.is_http2)
            self.buf = ReceiveBuffer()
            self.buf += answer
        yield from super().read_headers(event)

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        try:
            yield from super().read_body(event)
        except NotImplementedError:
            if self.stream_id is not None:
                yield ReceiveHttp(ResponseEndOfMessage(self.stream_id))
            yield from self.mark_done(response=True)


class Messages(layers.WebsocketLayer):
    """WebSocket messages, each of which mitmproxy holds until it is whole: not without bound."""

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super().handle_event(event)
        if not isinstance(event, events.DataReceived) or self._handle_event == self.done:
            return
        for side in (self.client_ws, self.server_ws):
            if sum(map(len, side.frame_buf)) > MESSAGE_CAP:
                log.warning("WebSocket message over %d bytes: connection closed", MESSAGE_CAP)
                self._handle_event = self.done
                yield commands.CloseConnection(self.context.server)
                yield commands.CloseConnection(self.context.client)
                return


class Http(layers.HttpLayer):
    """HTTP on a connection, with the streams and the HTTP/1 server above."""

    def __init__(self, context: Context, mode: HTTPMode, sidecar: Sidecar) -> None:
        super().__init__(context, mode)
        self.sidecar = sidecar

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start) and self.context.client.alpn not in (b"h2", b"h3"):
            # mitmproxy keeps a connection's layer that is there before the start.
            self.connections[self.context.client] = Server(self.context.fork())
        yield from super()._handle_event(event)

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        self.streams[stream_id] = Stream(self.context.fork(), stream_id, self.sidecar)
        yield from self.event_to_child(self.streams[stream_id], events.Start())


def install() -> None:
    """Makes mitmproxy use `Client` for every HTTP/1 connection to a server, and `Messages`."""
    setattr(websocket, "WebsocketLayer", Messages)  # noqa: B010 - mypy forbids it
    setattr(http_layers, "Http1Client", Client)  # noqa: B010 - mypy knows no such attribute
