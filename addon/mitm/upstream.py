"""HTTP/1 towards the real host, which is trusted as little as a client.

`addon.mitm.layers` puts it in place.
"""

import logging
from typing import ClassVar

from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import _http1
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    HttpEvent,
    RequestHeaders,
    ResponseEndOfMessage,
    ResponseProtocolError,
)

from addon.bounds import DEFAULTS, Bounds
from addon.mitm.legible import final, too_large
from addon.mitm.overrun import exceeded
from addon.target.hello import HEAD_CAP

SAID = 200  # characters of a real host's error that are repeated

log = logging.getLogger(__name__)


class Client(_http1.Http1Client):
    """HTTP/1 towards the real host: frames every body, reads odd answers, and drops an answer's
    trailers, as a proxy may (RFC 9110). It bounds what the host sends before its answer's body, and
    repeats none of it to the client or in a log."""

    bounds: ClassVar[Bounds] = DEFAULTS
    _spent = 0  # bytes of this answer's heads, of which there may be several (1xx)

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        if isinstance(event, events.ConnectionClosed) and self.buf:
            self.buf = ReceiveBuffer()  # mitmproxy would send it to the client
        if self.request is None and self.buf:
            log.warning("a real host sent what nobody had asked for: connection closed")
            self.buf = ReceiveBuffer()
            yield commands.CloseConnection(self.conn)
            return
        before = len(self.buf)
        if over := too_large(
            bytes(self.buf), self.bounds.response_head - self._spent, self.bounds.response_fields
        ):
            yield from self._refuse("response_fields" if over == "fields" else "response_head")
            return
        if self.request is not None and isinstance(event, events.DataReceived):
            answer = final(bytes(self.buf), http2=self.request.is_http2)
            self.buf = ReceiveBuffer()
            self.buf += answer
        for command in super().read_headers(event):
            yield _shortened(command)
        self._spent += before - len(self.buf)

    def _refuse(self, bound: str) -> layer.CommandGenerator[None]:
        exceeded(bound, self)
        self.buf = ReceiveBuffer()
        self.state = self.done
        yield commands.CloseConnection(self.conn)
        if self.stream_id is not None:
            message = "the head of the real host's answer is too large"
            error = ResponseProtocolError(self.stream_id, message, ErrorCode.GENERIC_SERVER_ERROR)
            yield ReceiveHttp(error)

    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        if self.state == self.done:
            return
        if isinstance(event, RequestHeaders):
            self._spent = 0
        if isinstance(event, RequestHeaders) and not event.end_stream and event.request.is_http2:
            headers = event.request.headers
            if "content-length" not in headers and "transfer-encoding" not in headers:
                # HTTP/2 frames the body itself. mitmproxy would send it unframed, and the real host
                # would read it as the next request.
                request = event.request.copy()
                request.headers["transfer-encoding"] = "chunked"
                event = RequestHeaders(event.stream_id, request, end_stream=False)
        yield from super().send(event)

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        try:
            yield from super().read_body(event)
        except NotImplementedError:
            if self.stream_id is not None:
                yield ReceiveHttp(ResponseEndOfMessage(self.stream_id))
            yield from self.mark_done(response=True)
        chunked = isinstance(getattr(self, "body_reader", None), ChunkedReader)
        # Data is passed on at once: only a chunk's extensions, or trailers, stay in the buffer.
        if chunked and self.state == self.read_body and len(self.buf) > HEAD_CAP:
            yield from self._refuse("response_head")


def _shortened(command: commands.Command) -> commands.Command:
    """Truncates a real host's error message."""
    event = command.event if isinstance(command, ReceiveHttp) else None
    if isinstance(event, ResponseProtocolError) and len(event.message) > SAID:
        event.message = event.message[:SAID] + "…"
    return command
