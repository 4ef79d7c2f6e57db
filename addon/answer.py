"""Answers HTTP/1.1 requests on an opened connection without mitmproxy's own HTTP layers.

Put in by `addon.next_layer` for hosts that a profile names. It takes only requests of one strict
form whose answer is made here or by the mock; the connection goes over to mitmproxy's HTTP layer,
with every byte that was not answered, at the first request of another form (chunked, HTTP/1.0,
Upgrade, Expect, ambiguous framing) or with another way (to the real host, on the body's content,
WebSocket). Both therefore agree on where each request ends: what they could read differently is
read by mitmproxy alone. There is no flow of mitmproxy's here: making one takes as long as the rest
of an answer.
"""

import logging
import re
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from mitmproxy.connection import Client, Server
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode

from addon.exchange import Exchange, Line
from addon.judge import HEAD_CAP
from addon.layers import Http, Sidecar
from addon.reply import closes

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
    last: bool  # the client will send no other request


@dataclass
class AskAppHook(commands.StartHook):
    """mitmproxy calls `ask_app` of `addon.exchanges` with it, which has the exchange answered."""

    exchange: Exchange


class Answers(Protocol):
    """What the layer asks of `addon.exchanges`; nothing of it raises."""

    def line(self, client: Client, server: Server) -> Line:
        """What is the same for all requests of the connection."""

    def begin(self, line: Line, head: Head) -> Exchange | None:
        """Begins the exchange from its head; None, and nothing was done, when its way is not to be
        answered by the rule alone."""

    def answer_now(self, exchange: Exchange) -> bool:
        """Sets the reply, when nobody has to be waited for."""

    def answered(self, exchange: Exchange) -> None:
        """Records the exchange."""

    def abandoned(self, exchange: Exchange) -> None:
        """Records that the client left before its request was whole."""


def read_head(received: bytes) -> Head | None:
    """The head that these bytes begin with, None when they do not begin with one of the form that
    is taken here."""
    found = _HEAD.match(received)
    if found is None or found.end() > HEAD_CAP:
        return None
    fields = []
    length, hosts, connection = b"", 0, []
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
        elif lower == b"connection":
            connection.append(value)
        elif lower in _NOT_TAKEN:
            return None
    if hosts != 1:
        return None
    last = bool(connection) and closes(connection)
    return Head(found[1], found[2], tuple(fields), found.end(), int(length or 0), last)


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
    """One client's connection. `_exchange` was begun and is not answered yet."""

    def __init__(self, context: Context, sidecar: Sidecar, answers: Answers) -> None:
        super().__init__(context)
        self._sidecar = sidecar
        self._answers = answers
        self._line: Line | None = None
        self._received = b""
        self._exchange: Exchange | None = None
        self._last = False  # as its head says
        self._missing = 0  # bytes of the request's body
        self._asked: AskAppHook | None = None
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
            if self._exchange is not None and self._asked is None:
                self._answers.abandoned(self._exchange)
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
            if self._exchange is None:
                return
            if self._missing:
                part = self._received[: self._missing]
                self._exchange.sent.add(part)
                self._missing -= len(part)
                self._received = self._received[len(part) :]
                if self._missing:
                    return
            if not self._answers.answer_now(self._exchange):
                self._asked = AskAppHook(self._exchange)
                # With a layer there mitmproxy tells when the hook has ended, and until then this
                # layer still gets events: it must see that the client leaves.
                self._asked.blocking = self  # type: ignore[assignment]
                yield self._asked
                return
            yield from self._send()

    def _begin(self, head: Head) -> bool:
        if self._line is None:
            if self.context.server.address is None:
                return False
            self._line = self._answers.line(self.context.client, self.context.server)
        self._exchange = self._answers.begin(self._line, head)
        self._last = head.last
        return self._exchange is not None

    def _send(self) -> layer.CommandGenerator[None]:
        """Sends the answer, then has the exchange recorded: the client does not wait for that."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        reply = exchange.reply
        if reply is None or exchange.killed:
            yield from self._end()
            return
        yield commands.SendData(self.context.client, reply.head + reply.body)
        self._answers.answered(exchange)
        if self._last or reply.last:
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
