"""Answers HTTP/1.1 requests on an opened connection without mitmproxy's own HTTP layers.

Used by `addon.arrive.direct` on sockets of its own, and as a layer by `addon.mitm.next_layer` for
connections that mitmproxy reads: through CONNECT, or without TLS. It takes only requests of one
strict form whose answer is made here or by the mock; the connection goes over to mitmproxy's HTTP
layer, with every byte that was not answered, at the first request of another form (chunked,
HTTP/1.0, Upgrade, Expect, ambiguous framing) or with another way (to the real host, on the body's
content, WebSocket). Both therefore agree on where each request ends: what they could read
differently is read by mitmproxy alone. There is no flow of mitmproxy's here: making one takes as
long as the rest of an answer.
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

TURN = 16  # answers of one connection, of 16 KiB each, before others have their turn
AHEAD_CAP = 1024 * 1024  # bytes that a client may send before the answer it waits for

Stage = tuple[str, int]  # "head" or "body", and the number of the request on its connection

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

    async def ask_app(self, exchange: Exchange) -> None:
        """Sets the reply, or says that there is none."""

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
        and starts_like_http(received) is not False
        and received.count(b"\n") == received.count(b"\r\n")
    )


class Conversation:
    """One client's requests and their answers, whoever reads and writes the bytes.

    `line` is asked once, with the first request; `send` takes an answer. After each call: `ended`,
    the connection is to be closed; `asked`, an exchange for `Answers.ask_app` and then `replied`;
    `over`, bytes that are for mitmproxy, with all that follows.
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
        self._last = False  # as its head says
        self._missing = 0  # bytes of the request's body
        self.begun = False  # a request was taken, at least
        self.count = 0  # of answers
        # No request is read until `go_on`: the client does not read, or it is another's turn.
        self.blocked = False
        self._turn = 0  # answers in it
        self.asked: Exchange | None = None
        self.ended = False
        self.over: bytes | None = None
        self._left = False  # while it was blocked

    def receive(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        self._turn = 0
        if self.asked is None:
            self._read()
        elif len(self._received) > AHEAD_CAP:
            log.warning("over %d bytes sent ahead of an answer: connection closed", AHEAD_CAP)
            self._end()

    def replied(self) -> None:
        """The app has answered `asked`, or failed to."""
        self.asked, self._turn = None, 0
        if not self.ended:
            self._answer()
            self._read()

    @property
    def exchange(self) -> Exchange | None:
        """What has begun and was not answered."""
        return self._exchange

    @property
    def stopped(self) -> bool:
        """Takes nothing now, or for good."""
        return self.blocked or self.ended or self.over is not None

    @property
    def held(self) -> int:
        """Bytes in memory, about."""
        return len(self._received) + (self._exchange.held if self._exchange else 0)

    @property
    def ahead(self) -> int:
        """Bytes that wait for something else than the client's next ones."""
        return len(self._received) if self.blocked else 0

    def stages(self) -> dict[Stage, int]:
        """What is being received, as `addon.arrive.memory` asks for it."""
        if self._exchange is None:
            partial = self._received and not self.blocked
            return {("head", self.count): 0} if partial else {}
        return {("body", self.count): self._exchange.sent.size >> 10} if self._missing else {}

    def go_on(self) -> None:
        """The client has read, and others had their turn."""
        self.blocked = False
        self._turn = 0
        if self.asked is None:
            self._read()
        if self._left and self.over is None:
            self.leave()

    def leave(self) -> None:
        """The client will send no more. What it has asked before is answered, where nothing but its
        turn was missing; for the app's answer it does not wait, as with mitmproxy's layer."""
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
        """Sends the answer, then has the exchange recorded: the client does not wait for that."""
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
