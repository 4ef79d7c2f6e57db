"""Answers HTTP/1.1 requests on an opened connection without mitmproxy's own HTTP layers.

Put in by `addon.next_layer` for hosts that a profile names. It takes only requests of one strict
form whose answer is made here or by the mock; the connection goes over to mitmproxy's HTTP layer,
with every byte that was not answered, at the first request of another form (chunked, HTTP/1.0,
Upgrade, Expect, ambiguous framing) or with another way (to the real host, on the body's content,
WebSocket). Both therefore agree on where each request ends: what they could read differently is
read by mitmproxy alone. The flow is a real one, given to `addon.main` as its hooks would be.
"""

import logging
import re
import time
from typing import NamedTuple, Protocol

from mitmproxy import flow as flows
from mitmproxy import http
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook

from addon.exchange import Exchange
from addon.layers import HEAD_CAP, Http, Sidecar

AHEAD_CAP = 1024 * 1024  # bytes that a client may send before the answer it waits for

log = logging.getLogger(__name__)

# No bare line feed, no folded line, no control character, no space but the two in the first line.
_HEAD = re.compile(
    rb"([A-Z]{3,32}+) (/[\x21-\x7e]*+) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+)\r\n"
)
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")
_NOT_TAKEN = frozenset((b"transfer-encoding", b"expect", b"upgrade", b"trailer"))


class Head(NamedTuple):
    """A request's head as it was received; `length` bytes of body follow its `size` bytes."""

    method: bytes
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    size: int
    length: int


class Answers(Protocol):
    """What the layer asks of `addon.main`; nothing of it raises."""

    def begin(self, flow: http.HTTPFlow) -> Exchange | None:
        """Begins the exchange from its head; None, and nothing was done, when its way is not to be
        answered by the rule alone."""

    def answer_now(self, flow: http.HTTPFlow) -> bool:
        """Sets the answer, when nobody has to be waited for."""

    def answered(self, flow: http.HTTPFlow) -> None:
        """Records the exchange."""

    def abandoned(self, flow: http.HTTPFlow) -> None:
        """Records that the client left before its request was whole."""


def read_head(received: bytes) -> Head | None:
    """The head that these bytes begin with, None when they do not begin with one of the form that
    is taken here."""
    found = _HEAD.match(received)
    if found is None or found.end() > HEAD_CAP:
        return None
    fields = []
    length, hosts = b"", 0
    for line in found[3].split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        value = value.strip(b" \t")
        fields.append((name, value))
        lower = name.lower()
        if lower == b"host":
            hosts += 1
        elif lower == b"content-length":
            if length or not _LENGTH.fullmatch(value):
                return None
            length = value
        elif lower in _NOT_TAKEN:
            return None
    if hosts != 1:
        return None
    return Head(found[1], found[2], tuple(fields), found.end(), int(length or 0))


def may_become_head(received: bytes) -> bool:
    """Whether what follows can complete a head: false once mitmproxy would see an end, or a fault,
    where this module sees none."""
    return (
        len(received) <= HEAD_CAP
        and b"\r\n\r\n" not in received
        and received[:1].isalpha()
        and received.count(b"\n") == received.count(b"\r\n")
    )


class AnswerLayer(layer.Layer):
    """One client's connection. `_flow` is the exchange that was begun and is not answered yet."""

    def __init__(self, context: Context, sidecar: Sidecar, answers: Answers) -> None:
        super().__init__(context)
        self._sidecar = sidecar
        self._answers = answers
        self._received = b""
        self._flow: http.HTTPFlow | None = None
        self._exchange: Exchange | None = None
        self._missing = 0  # bytes of the request's body
        self._asked: HttpRequestHook | None = None
        self._http: Http | None = None
        self._ended = False

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self._http is not None:
            yield from self._http.handle_event(event)
        elif self._ended:
            return
        elif isinstance(event, events.DataReceived):
            self._received += event.data
            if self._asked is None:
                yield from self._read()
            elif len(self._received) > AHEAD_CAP:
                log.warning("over %d bytes sent ahead of an answer: connection closed", AHEAD_CAP)
                yield from self._end()
        elif isinstance(event, events.HookCompleted) and event.command is self._asked:
            self._asked = None
            yield from self._send()
            yield from self._read()
        elif isinstance(event, events.ConnectionClosed):
            # As with mitmproxy's: who closes one direction waits for no answer.
            if self._flow is not None and self._asked is None:
                self._answers.abandoned(self._flow)
            yield from self._end()

    def _read(self) -> layer.CommandGenerator[None]:
        while self._received and not self._ended:
            if self._exchange is None:
                head = read_head(self._received)
                if head is None and may_become_head(self._received):
                    return
                if head is None or not self._begin(head):
                    yield from self._hand_over()
                    return
                self._received = self._received[head.size :]
                self._missing = head.length
            if self._exchange is not None and self._missing and self._received:
                part = self._received[: self._missing]
                self._exchange.sent.add(part)
                self._missing -= len(part)
                self._received = self._received[len(part) :]
            if self._missing or self._flow is None:
                return
            self._flow.request.timestamp_end = time.time()
            if not self._answers.answer_now(self._flow):
                self._asked = HttpRequestHook(self._flow)
                # With a layer there mitmproxy tells when the hook has ended, and until then this
                # layer still gets events: it must see that the client leaves.
                self._asked.blocking = self  # type: ignore[assignment]
                yield self._asked
                return
            yield from self._send()

    def _begin(self, head: Head) -> bool:
        server = self.context.server
        if server.address is None:
            return False
        began = time.time()
        flow = http.HTTPFlow(self.context.client, server, live=True)
        flow.request = http.Request(
            host=server.address[0],
            port=server.address[1],
            method=head.method,
            scheme=b"https" if server.tls else b"http",
            authority=b"",
            path=head.target,
            http_version=b"HTTP/1.1",
            headers=http.Headers(head.fields),
            content=b"",
            trailers=None,
            timestamp_start=began,
            timestamp_end=None,
        )
        self._exchange = self._answers.begin(flow)
        if self._exchange is None:
            return False
        self._flow = flow
        return True

    def _send(self) -> layer.CommandGenerator[None]:
        """Sends the answer, then has the exchange recorded: the client does not wait for that."""
        flow, self._flow, self._exchange = self._flow, None, None
        if flow is None:
            return
        response = flow.response
        killed = flow.error is not None and flow.error.msg == flows.Error.KILLED_MESSAGE
        if response is None or killed:
            yield from self._end()
            return
        response.timestamp_start = response.timestamp_end = time.time()
        head = http1.assemble_response_head(response)
        yield commands.SendData(self.context.client, head + (response.raw_content or b""))
        self._answers.answered(flow)
        flow.live = False
        if _last(flow.request, response):
            yield from self._end()

    def _end(self) -> layer.CommandGenerator[None]:
        self._ended = True
        self._received = b""
        yield commands.CloseConnection(self.context.client)

    def _hand_over(self) -> layer.CommandGenerator[None]:
        received, self._received = self._received, b""
        self._http = Http(self.context, HTTPMode.transparent, self._sidecar)
        yield from self._http.handle_event(events.Start())
        yield from self._http.handle_event(events.DataReceived(self.context.client, received))


def _last(request: http.Request, response: http.Response) -> bool:
    """Whether no request may follow on the connection."""
    of_answer = {name.lower() for name, _ in response.headers.fields}
    if (b"connection" in of_answer or _has(request, b"connection")) and (
        http1.connection_close("HTTP/1.1", request.headers)
        or http1.connection_close("HTTP/1.1", response.headers)
    ):
        return True
    if b"content-length" in of_answer and b"transfer-encoding" not in of_answer:
        return False
    # Without a length, or with a coding that is not sent here, the end of the connection is the
    # end of the answer.
    return http1.expected_http_body_size(request, response) in (None, -1)


def _has(request: http.Request, lower: bytes) -> bool:
    return any(name.lower() == lower for name, _ in request.headers.fields)
