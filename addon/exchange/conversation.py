"""Answers HTTP/1.1 requests on an opened connection without mitmproxy's own HTTP layers.

Used by `addon.arrive.direct` on sockets of its own, and by `addon.mitm.answer_layer` on connections
that mitmproxy reads: through CONNECT, or without TLS. It takes only requests of one strict form
that the sidecar or the mock answers. The first request of another form (chunked, HTTP/1.0, Upgrade,
Expect, ambiguous framing) or for another way (to the real host, by the body's content, WebSocket)
hands the connection to mitmproxy's HTTP layer, with every unanswered byte. So both agree where each
request ends: only mitmproxy reads what they could read differently. No mitmproxy flow is made here:
making one takes as long as the rest of an answer.
"""

import logging
import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from mitmproxy.connection import Client, Server

from addon.exchange.exchange import Exchange, Line
from addon.exchange.reply import closes
from addon.target.first_bytes import starts_like_http
from addon.target.hello import HEAD_CAP

TURN = 16  # answers on one connection, of 16 KiB each, before others have their turn
AHEAD_CAP = 1024 * 1024  # bytes that a client may pipeline before the answer it waits for

Stage = tuple[str, int]  # "head" or "body", and the number of the request on its connection

log = logging.getLogger(__name__)

# No bare line feed, folded line or control character, and only the first line's two spaces.
_HEAD = re.compile(
    rb"([A-Z]{3,32}+) (/[\x21-\x7e]*+) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+)\r\n"
)
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")
_NOT_TAKEN = frozenset((b"transfer-encoding", b"expect", b"upgrade", b"trailer"))


class Head(NamedTuple):
    """A request's head as received; its `size` bytes precede a body of `length` bytes."""

    method: bytes
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    size: int
    length: int
    last: bool  # the client will send no other request


class Answers(Protocol):
    """The services of `addon.exchanges` for a conversation; none of them raises."""

    def line(self, client: Client, server: Server) -> Line:
        """Per-connection facts that its requests share."""

    def begin(self, line: Line, head: Head) -> Exchange | None:
        """Begins the exchange from its head. None, and nothing is done, if mitmproxy must read
        the request."""

    def answer_now(self, exchange: Exchange) -> bool:
        """Sets the reply, if nobody has to be asked; True if it did."""

    def answered(self, exchange: Exchange) -> None:
        """Records the exchange."""

    async def ask_app(self, exchange: Exchange) -> None:
        """Sets the reply, or marks the exchange as killed."""

    def abandoned(self, exchange: Exchange) -> None:
        """Records that the client left before its request was complete."""


def read_head(received: bytes) -> Head | None:
    """The head that these bytes begin with, None if they do not begin with one of the strict
    form."""
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
    """True if further bytes can complete a head; False once mitmproxy would see an end or a fault
    where this module sees none."""
    return (
        len(received) <= HEAD_CAP
        and b"\r\n\r\n" not in received
        and received[:1].isalpha()
        and starts_like_http(received) is not False
        and received.count(b"\n") == received.count(b"\r\n")
    )


class Conversation:
    """One client's requests and their answers, independent of I/O.

    `line` is called once, for the first request; `send` takes an answer. After each call:
    `ended`: the connection must be closed; `asked`: pass it to `Answers.ask_app`, then call
    `replied`; `over`: bytes for mitmproxy, with all that follow.
    """

    def __init__(
        self, answers: Answers, line: Callable[[], Line | None], send: Callable[[bytes], None]
    ) -> None:
        self._answers = answers
        self._ask_line = line
        self._send = send
        self._line: Line | None = None
        self._received = b""
        self._exchange: Exchange | None = None  # begun, and not answered yet
        self._last = False  # its head says that no other request follows
        self._missing = 0  # bytes of the request's body
        self.begun = False  # at least one request was taken
        self.count = 0  # of answers
        # No request is read until `go_on`: back-pressure, or others have their turn.
        self.blocked = False
        self._turn = 0  # answers in this turn
        self.asked: Exchange | None = None
        self.ended = False
        self.over: bytes | None = None
        self._left = False  # the client left while this was blocked

    def receive(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        self._turn = 0
        if self.asked is None:
            self._read()
        elif len(self._received) > AHEAD_CAP:
            log.warning("over %d bytes sent ahead of an answer: connection closed", AHEAD_CAP)
            self._end()

    def replied(self) -> None:
        """Told that the app has answered `asked`, or failed to."""
        self.asked, self._turn = None, 0
        if not self.ended:
            self._answer()
            self._read()

    @property
    def exchange(self) -> Exchange | None:
        """The exchange that is not answered yet."""
        return self._exchange

    @property
    def stopped(self) -> bool:
        """True while it takes no bytes, now or for good."""
        return self.blocked or self.ended or self.over is not None

    @property
    def held(self) -> int:
        """Approximate bytes in memory."""
        return len(self._received) + (self._exchange.held if self._exchange else 0)

    @property
    def ahead(self) -> int:
        """Bytes that wait for something other than more bytes."""
        return len(self._received) if self.blocked else 0

    def stages(self) -> dict[Stage, int]:
        """The stages being received, for `addon.arrive.memory`."""
        if self._exchange is None:
            partial = self._received and not self.blocked
            return {("head", self.count): 0} if partial else {}
        return {("body", self.count): self._exchange.sent.size >> 10} if self._missing else {}

    def go_on(self) -> None:
        """Told that the client has drained its answers, and others had their turn."""
        self.blocked = False
        self._turn = 0
        if self.asked is None:
            self._read()
        if self._left and self.over is None:
            self.leave()

    def leave(self) -> None:
        """Told that the client sends no more. Requests that only waited for their turn are
        answered; the app's answer is not waited for, as in mitmproxy's layer."""
        self._left = True
        if self.ahead and self._exchange is None:
            return
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._answers.abandoned(exchange)
        self._end()

    def _read(self) -> None:
        while self._received and not self.ended and not self.blocked:
            if self._exchange is None:
                head = read_head(self._received)
                if head is None and may_become_head(self._received):
                    return
                if head is None or not self._begin(head):
                    self.over, self._received = self._received, b""
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
                self.asked = self._exchange
                return
            self._answer()

    def _begin(self, head: Head) -> bool:
        if self._line is None:
            self._line = self._ask_line()
            if self._line is None:
                return False
        self._exchange = self._answers.begin(self._line, head)
        self._last = head.last
        self.begun = self.begun or self._exchange is not None
        return self._exchange is not None

    def _answer(self) -> None:
        """Sends the answer before it records the exchange: the client waits for no record."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        reply = exchange.reply
        if reply is None or exchange.killed:
            self._end()
            return
        self.count += 1
        self._turn += 1 + (len(reply.body) >> 14)
        if self._turn >= TURN and self._received:
            self.blocked = True
        self._send(reply.bytes)
        self._answers.answered(exchange)
        if self._last or reply.last:
            self._end()

    def _end(self) -> None:
        self.ended = True
        self._received = b""
