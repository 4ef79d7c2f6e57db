"""Answers telemetry without mitmproxy: TLS and HTTP/1.1 on the client's own socket.

`addon.arrive.accept` gives it the connections that the redirect brings. A client whose first bytes
name a host of a profile is answered here, request by request, as long as a rule or the mock
answers; mitmproxy's objects and events for a connection cost several times as much as the answer
itself. Whatever else a client wants (HTTP/2, no TLS, a request for the real host, WebSocket, a form
that `addon.exchange.conversation` does not take) goes to mitmproxy, which begins as if nothing had
happened: it gets the client's first bytes again, and a TLS connection whose handshake is done.
"""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count

from mitmproxy.connection import Client

from addon.arrive.endings import FIN, GOODBYE, HERE, IDLE, RESETS, RST, SHUTDOWN
from addon.arrive.events import ConnectionEvents
from addon.arrive.failing import Failing
from addon.arrive.memory import Guest, Memory
from addon.arrive.send_buffer import SendBuffer
from addon.arrive.splice import IDLE_SECONDS, LINGER, SWEEP_S
from addon.arrive.turns import Turns
from addon.exchange.conversation import Answers, Conversation, Stage
from addon.exchange.endpoint import endpoint
from addon.exchange.exchange import Exchange, Line
from addon.target.dns import Address, Ends
from addon.target.first_bytes import Verdict, judge
from addon.target.hello import Hello, look
from addon.tls.connection import RECORD, Connection
from app.contract.faults import HostFault
from app.contract.names import REDIRECT_PROOF
from app.contract.record import Endpoint, Tls, short

SIZE = 64 * 1024  # bytes of one read

log = logging.getLogger(__name__)

Back = Callable[[bytes], None]
_nothing: Back = lambda data: None  # noqa: E731 - the last step
_numbers = count(1)


class Direct:
    """Runs in the event loop. `context_of` gets the SNI and the host that it means, `leave` gives
    the connection's TLS to mitmproxy, `answers` decides and answers."""

    def __init__(
        self,
        events: ConnectionEvents,
        context_of: Callable[[str, str], ssl.SSLContext],
        leave: Callable[[Ends, Connection], None],
        answers: Answers,
        memory: Memory,
    ) -> None:
        self.events, self.context_of, self.leave, self.answers = events, context_of, leave, answers
        self.memory, self.turns, self.failing = memory, Turns(), Failing(events.failure)
        self.connections: set[DirectConnection] = set()
        self._sweeping: asyncio.TimerHandle | None = None

    def take(
        self, client: socket.socket, peer: Address, destination: Address, host: str, back: Back
    ) -> None:
        """Takes a connection. The destination stands for `host`; `back` gives the connection to
        mitmproxy, with the bytes that were read of it."""
        if self._sweeping is None:
            self._sweep()
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = DirectConnection(self, client, peer, destination, host, back)
        except OSError:  # the client left already
            client.close()
            return
        self.connections.add(connection)
        if not self.memory.enter(connection):
            connection.close()
        else:
            self.failing.accepted(connection)

    def end(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
        for each in list(self.connections):
            each.close(SHUTDOWN)

    def _sweep(self) -> None:
        self._sweeping = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        before = time.monotonic() - IDLE_SECONDS
        for each in [x for x in self.connections if x.active < before]:
            each.close(IDLE)


class DirectConnection(Guest):
    """One client's connection, until it is closed or handed to mitmproxy."""

    tls: Connection | None = None  # once a ClientHello was read; `_tls` is the same
    _tls: Connection
    _talk: Conversation  # exists once the handshake is done

    def __init__(
        self,
        direct: Direct,
        client: socket.socket,
        peer: Address,
        destination: Address,
        host: str,
        back: Back,
    ) -> None:
        self.peer, self.destination, self.host, self.sni = peer, destination, host, ""
        self.names: tuple[str, ...] = (host,)
        self.began, self.active = time.time(), time.monotonic()
        self._direct, self._socket, self._back = direct, client, back
        self._loop = asyncio.get_running_loop()
        self._take: Callable[[bytes], None] = self._first
        self.hello, self.sent = b"", 0  # the first bytes, from which mitmproxy would start; all
        self.failing: HostFault | None = None  # a rehearsal's
        self._asking: asyncio.Task[None] | None = None  # until `_replied`
        self._out, self._weighed = SendBuffer(client, self._sent), 0  # as `memory` last saw it
        self._drained: Callable[[], None] | None = None  # the next step once all is sent
        self._open = True
        self.client: Client | None = None  # as mitmproxy would know it, for records
        self._loop.add_reader(client, self._readable)

    def close(self, how: str = HERE) -> None:
        """`how` it ended, of `addon.arrive.endings`; "" is not reported."""
        if not self._open:
            return
        self._let_go()
        if self._take == self._go_on:
            self._talk.leave()
        if how and (self._take != self._go_on or not self._talk.begun):
            self._direct.events.ended(self, how)
        if how in RESETS:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        self._socket.close()
        self._dissolve()

    def _dissolve(self) -> None:
        """Breaks the reference cycles, each of which would keep a TLS connection in memory."""
        self._take, self._drained, self.tls = _nothing, None, None
        for name in ("_talk", "_tls"):
            vars(self).pop(name, None)

    def _let_go(self) -> None:
        self._open = False
        self._direct.connections.discard(self)
        self._direct.memory.leave(self)
        self._direct.failing.leave(self)
        self._loop.remove_reader(self._socket)
        self._out.close()

    def _readable(self) -> None:
        how = RST if self._out.gone else FIN
        try:
            data = self._socket.recv(SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, how = b"", RST
        self.active = time.monotonic()
        self.sent += len(data)
        if data:
            self._safely(self._take, data)
        else:
            self._safely(self.close, how)
        self._weigh()

    def _safely[*Ts](self, step: Callable[[*Ts], None], *given: *Ts) -> None:
        """An error in the step ends this connection, and no other."""
        try:
            step(*given)
        except Exception:
            log.exception("a connection could not be answered, so it is closed")
            self.close()

    # The interface of `addon.arrive.memory.Guest`.

    @property
    def exchange(self) -> Exchange | None:
        """The exchange that is not answered yet."""
        return self._talk.exchange if self._take == self._go_on else None

    @property
    def served(self) -> bool:
        return self._take == self._go_on and self._talk.count > 0

    def busy(self) -> bool:
        patience = self._direct.memory.bounds.body
        return self.exchange is not None and time.monotonic() - self.active < patience

    def held(self) -> int:
        kept = self._talk.held + self._tls.waiting if self._take == self._go_on else 0
        return kept + len(self.hello) + len(self._out.unsent)

    def stages(self) -> dict[Stage, int]:
        if self._take == self._go_on:
            return self._talk.stages()
        return {("head", 0): 0} if self.hello else {}

    def evict(self, bound: str) -> None:
        self._direct.events.evicted(self, bound)
        self.close()

    def _weigh(self) -> None:
        if self._open and (held := self.held()) != self._weighed:
            self._weighed = held
            self._direct.memory.weigh(self)

    def fail(self, alert: bytes) -> None:
        """Answers nothing from now on, or with no more than this alert."""
        self.hello, self._take = b"", _nothing
        if alert and self._out.send(alert):
            with suppress(OSError):  # reset meanwhile
                self._socket.shutdown(socket.SHUT_WR)

    # The steps that take the client's bytes, one after the other.

    def _first(self, data: bytes) -> None:
        self.hello += data
        events, failing = self._direct.events, self._direct.failing
        if self.hello == REDIRECT_PROOF:
            self.close("")
            return
        if failing.meets(self, self.hello):
            return
        if events.unread() or events.takes_lines((self.host,), self.destination[1]):
            self._hand_over()
            return
        if (hello := look(self.hello)) is not Hello.READY:
            if hello is Hello.SHREDDED:
                self.evict("head")
            return
        found = judge(self.hello, self.host, events.names)
        if isinstance(found, Verdict):
            names = (found.sni, found.host, self.host)
            self.host, self.sni = found.host, found.sni
            if failing.meets(self, self.hello):
                return
            if not found.tls or found.h2 or events.takes_lines(names, self.destination[1]):
                self._hand_over()
                return
            self.names = tuple(dict.fromkeys(filter(None, names)))
            context = self._direct.context_of(found.sni or self.destination[0], found.host)
            self.tls = self._tls = Connection(context)
            self._take = self._shake
            self._shake(self.hello)

    def _shake(self, data: bytes) -> None:
        self._tls.take(data)
        try:
            done = self._tls.shake()
        except ssl.SSLError:
            self._flush()  # the alert
            self.close()
            return
        if done:
            self._talk = Conversation(self._direct.answers, self._line, self._send)
            self._take = self._go_on
            self._go_on(b"")
        if self._open:
            self._flush()

    def _go_on(self, data: bytes) -> None:
        talk, tls = self._talk, self._tls
        # In pieces: OpenSSL's buffer stays as large as its largest content was.
        for begin in range(0, len(data) or 1, RECORD):
            tls.take(data[begin : begin + RECORD])
            while not talk.stopped and (plain := tls.plain()):
                talk.receive(plain)
        if talk.over is None and tls.ended:
            talk.leave()
        self._follow()

    def _again(self) -> None:
        if self._open and not self._out.unsent:
            self._loop.add_reader(self._socket, self._readable)
            self._safely(self._resume)
            self._weigh()

    def _follow(self) -> None:
        talk = self._talk
        if talk.over is not None:
            self._when_drained(self._hand_over)
        elif talk.ended:
            self._tls.part()
            self._flush()
            self._when_drained(partial(self.close, GOODBYE if self._tls.ended else HERE))
        elif talk.asked is not None and self._asking is None:
            # With mitmproxy's eager tasks it may be done here already. The loop calls its callback
            # later in any case: after this assignment, and never from within itself.
            self._asking = self._loop.create_task(self._direct.answers.ask_app(talk.asked))
            self._asking.add_done_callback(self._replied)
        elif talk.blocked and not self._out.unsent and not self._out.gone:
            # Others have their turn: what the client sends meanwhile stays in the kernel.
            self._loop.remove_reader(self._socket)
            self._direct.turns.later(self._again)

    def _replied(self, asking: asyncio.Task[None]) -> None:
        self._asking = None
        if self._open and (asking.cancelled() or asking.exception() is not None):
            log.error("an answer was not made: connection closed: %r", asking)
            self.close()
        elif self._open:
            self._safely(self._go_on_replied)

    def _go_on_replied(self) -> None:
        self._talk.replied()
        self._follow()
        self._weigh()

    def _line(self) -> Line:
        return Line(
            id=f"direct-{next(_numbers)}",
            client=endpoint(self.peer),
            destination=Endpoint(*self.destination),
            tls=Tls(
                sni=short(self.sni),
                version=self._tls.get_protocol_version_name(),
                alpn=self._tls.get_alpn_proto_negotiated().decode(),
            ),
            scheme="https",
            port=self.destination[1],
            stands_for=self.host,
            names=self.names,
            program=self._direct.events.program(self.peer, self.destination),
        )

    def _hand_over(self) -> None:
        """Gives the connection to mitmproxy, once all answers made here are sent."""
        opened = self._take == self._go_on
        if opened and self._direct.events.unread():
            self.close()  # mitmproxy would relay it, and its client must reconnect in any case
            return
        self._let_go()
        if opened:
            self._tls.answered = self._talk.begun
            self._tls.leave(self._talk.over or b"")
            self._direct.leave((self.peer, self.destination), self._tls)
        begun, self.hello = self.hello, b""
        self._back(begun)
        self._dissolve()

    # Sending.

    def _send(self, data: bytes) -> None:
        self._tls.seal(data)
        self._flush()

    def _flush(self) -> None:
        if self._out.send(self._tls.out()):
            return
        # Until the next read reports that the client is gone, no request is answered.
        if self._take == self._go_on:
            self._talk.blocked = True
        if self._out.unsent:  # back-pressure: stop reading until the client has drained its answers
            self._loop.remove_reader(self._socket)

    def _sent(self) -> None:
        if self._drained is not None:
            self._safely(self._drained)
        elif self._take == self._go_on and not self._out.gone:
            self._direct.turns.later(self._again)  # reads again, once all before is answered
        else:
            self._loop.add_reader(self._socket, self._readable)
        self._weigh()

    def _resume(self) -> None:
        self._talk.go_on()
        self._go_on(b"")

    def _when_drained(self, then: Callable[[], None]) -> None:
        if self._out.unsent:
            self._drained = then
        else:
            then()
