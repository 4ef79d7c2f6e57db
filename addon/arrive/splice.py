"""Relays connections unread, outside of Python's event loop: in one thread, in which the kernel
moves the bytes from socket to socket (splice(2)) and tells how many.

`addon.arrive.accept` gives it the redirected connections. It peeks at a client's first bytes, asks
for whom they are, and gives back each connection that is not to be relayed.
"""

import errno
import logging
import os
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from addon.arrive.pipes import PIPE_SIZE, Pipe, Pipes
from addon.target.dns import Address
from addon.target.first_bytes import Verdict, Wait

# Bytes of a beginning that are peeked at: any receive buffer holds them, and ClientHellos are far
# smaller. A connection that is still unclear after them is given back.
LOOK_CAP = 16 * 1024
TURNS = 16  # pipes full that one direction moves before others have their turn
PATIENCE_S = 1.0  # with a host's IPv6 address, where there may be another way
STARVED_S = 0.05  # until the next try when the process may open no more files
SWEEP_S = 600.0
IDLE_SECONDS = 24 * 3600  # a connection without a byte for so long is closed

# Edge-triggered: a socket is registered once, and read or written until it would block.
_EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_BROKEN = select.EPOLLERR | select.EPOLLHUP
_ANY = -1  # in place of a file descriptor
_FLAGS = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE
LINGER = struct.pack("ii", 1, 0)  # for SO_LINGER: close sends a reset

log = logging.getLogger(__name__)


class Way:
    """One direction. `moved`: bytes that were read from the source."""

    __slots__ = ("ended", "moved", "pipe", "shut", "sink", "source")

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source, self.sink = source, sink
        self.pipe: Pipe | None = None  # while the sink has not taken all of it
        self.moved = 0
        self.ended = False  # the source has no more
        self.shut = False  # the sink was told so


class Link:
    """One connection since its arrival: first bytes, then `server`, then `ways`.

    `back` takes the client's socket, untouched, if it is not to be relayed; called in the thread.
    `began` is a time.time(). `verdict` tells why it is relayed, `error` why that failed.
    """

    __slots__ = ("active", "back", "began", "client", "destination", "error", "peer", "seen",
                 "server", "verdict", "ways")  # fmt: skip

    def __init__(
        self,
        client: socket.socket,
        peer: Address,
        destination: Address,
        back: Callable[[], object],
    ) -> None:
        self.client, self.peer, self.destination, self.back = client, peer, destination, back
        self.began, self.active = time.time(), time.monotonic()
        self.verdict: Verdict | None = None
        self.seen = 0  # bytes on which the verdict is based
        self.server: socket.socket | None = None
        self.ways: tuple[Way, Way] | None = None  # from the client, and to the client
        self.error = ""

    @property
    def sent(self) -> int:
        """Bytes from the client, even if they reached no server."""
        return self.ways[0].moved if self.ways else self.seen

    @property
    def received(self) -> int:
        return self.ways[1].moved if self.ways else 0


class Splicer:
    """`judge` decides by a client's first bytes; `over` is called for each relayed connection when
    it has ended. Both are called in the thread.

    `by_ipv4` finds a host's other address, in threads of its own, where clients are connected
    before their host is: they would take it themselves if its IPv6 address led nowhere."""

    def __init__(
        self,
        judge: Callable[[Link, bytes], Verdict | Wait],
        over: Callable[[Link], None],
        by_ipv4: Callable[[str, int], Address | None] | None = None,
    ) -> None:
        self._judge, self._over, self._by_ipv4 = judge, over, by_ipv4
        self._slow: dict[Link, float] = {}  # by IPv6, and until when
        self._found: deque[tuple[Link, Address | None, str]] = deque()
        self._open = threading.Lock()  # while held, `_wake` is not closed
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._new: deque[Link] = deque()
        self._links: dict[int, Link] = {}  # by both file descriptors
        self._again: set[Link] = set()  # could move more, but used up their turns
        self._starved: set[Link] = set()
        self._swept = time.monotonic()
        self._pipes = Pipes()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="telemock-splice", daemon=True)
        self._thread.start()

    def take(self, link: Link) -> None:
        """From any thread, until `stop`. The client's socket must be non-blocking."""
        self._new.append(link)
        os.eventfd_write(self._wake, 1)

    def stop(self) -> None:
        """Ends all connections, and reports each."""
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        self._pipes.close()
        self._epoll.close()
        with self._open:
            os.close(self._wake)

    def _run(self) -> None:
        while not self._stopping:
            wait = 0.0 if self._again else STARVED_S if self._starved else SWEEP_S
            happened = self._epoll.poll(min(wait, STARVED_S) if self._slow else wait)
            now = time.monotonic()
            again, self._again, self._starved = self._again | self._starved, set(), set()
            for file, events in happened:
                if file == self._wake:
                    os.eventfd_read(self._wake)
                    self._begin()
                    self._connect_otherwise()
                elif (link := self._links.get(file)) is not None:
                    link.active = now
                    self._go_on(link, file, events)
            for link in again:
                if link.client.fileno() in self._links:
                    self._go_on(link, _ANY, 0)
            for link in [link for link, until in self._slow.items() if until < now]:
                self._fall_back(link, "connection timed out")
            self._sweep(now)
        self._begin()
        for link in set(self._links.values()):
            self._end(link)

    def _begin(self) -> None:
        while self._new:
            link = self._new.popleft()
            try:
                self._register(link, link.client)
            except OSError as e:
                log.error("a connection cannot be watched, so it is reset: %s", e.strerror)
                self._end(link, reset=True)
            else:
                self._go_on(link, _ANY, 0)

    def _register(self, link: Link, end: socket.socket) -> None:
        self._links[end.fileno()] = link
        self._epoll.register(end.fileno(), _EVENTS)

    def _sweep(self, now: float) -> None:
        if now - self._swept < SWEEP_S:
            return
        self._swept = now
        for link in {x for x in self._links.values() if now - x.active > IDLE_SECONDS}:
            self._end(link)

    def _go_on(self, link: Link, file: int, events: int) -> None:
        """An error ends this connection, and no other."""
        try:
            if link.ways is not None:
                self._relay(link, link.ways, file, events)
            elif link.server is not None:
                self._connecting(link, link.server, file, events)
            elif link.verdict is None:
                self._look(link, events)
            elif events & _BROKEN:  # while another address is looked up
                self._end(link, reset=True, error="connection cancelled")
        except OSError as e:
            if e.errno in (errno.EMFILE, errno.ENFILE):  # no pipe now
                self._starved.add(link)
            else:  # one end was reset, so the other is reset, too
                self._end(link, reset=True)
        except Exception:
            log.exception("a connection could not be relayed, so it is reset")
            self._end(link, reset=True)

    def _look(self, link: Link, events: int) -> None:
        try:
            data = link.client.recv(LOOK_CAP, socket.MSG_PEEK)
        except BlockingIOError:
            return
        found = self._judge(link, data) if data else Wait.WAIT
        if isinstance(found, Verdict) and found.reason:
            link.verdict, link.seen = found, len(data)
            self._connect(link)
        elif isinstance(found, Verdict) or len(data) >= LOOK_CAP:
            self._epoll.unregister(link.client)
            del self._links[link.client.fileno()]
            link.back()
        elif not data or events & select.EPOLLRDHUP:  # nothing more will come
            self._end(link)

    def _connect(self, link: Link) -> None:
        family = socket.AF_INET6 if ":" in link.destination[0] else socket.AF_INET
        try:
            link.server = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as e:
            self._end(link, reset=True, error=str(e))
            return
        number = link.server.connect_ex(link.destination)
        self._register(link, link.server)
        if number != errno.EINPROGRESS:
            self._connected(link, link.server, number)
        elif self._has_another(link):
            self._slow[link] = time.monotonic() + PATIENCE_S

    def _has_another(self, link: Link) -> bool:
        """True if the host may have another address."""
        named = link.verdict is not None and link.verdict.host != link.destination[0]
        return self._by_ipv4 is not None and named and ":" in link.destination[0]

    def _fall_back(self, link: Link, error: str) -> None:
        del self._slow[link]
        if link.server is not None:
            del self._links[link.server.fileno()]
            link.server.close()
            link.server = None
        threading.Thread(
            target=self._find, args=(link, error), name="telemock-ipv4", daemon=True
        ).start()

    def _find(self, link: Link, error: str) -> None:
        """In a thread of its own: a look-up may take long."""
        found = None
        with suppress(OSError):
            if self._by_ipv4 and link.verdict:
                found = self._by_ipv4(link.verdict.host, link.destination[1])
        with self._open:
            if not self._stopping:
                self._found.append((link, found, error))
                os.eventfd_write(self._wake, 1)

    def _connect_otherwise(self) -> None:
        while self._found:
            link, address, error = self._found.popleft()
            if link.client.fileno() not in self._links:  # it has left
                continue
            if address is None:
                self._end(link, reset=True, error=error)
            else:
                link.destination = address
                self._connect(link)

    def _connecting(self, link: Link, server: socket.socket, file: int, events: int) -> None:
        if file == server.fileno():
            number = server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._connected(link, server, number)
        elif events & _BROKEN:
            self._end(link, reset=True, error="connection cancelled")

    def _connected(self, link: Link, server: socket.socket, number: int) -> None:
        """`number`: an errno, 0 for success."""
        if number:
            error = str(OSError(number, f"Connect call failed {link.destination}"))
            if self._has_another(link):
                self._slow.setdefault(link, 0.0)
                self._fall_back(link, error)
            else:
                self._end(link, reset=True, error=error)
            return
        self._slow.pop(link, None)
        for end in (link.client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.ways = Way(link.client, server), Way(server, link.client)
        self._relay(link, link.ways, _ANY, 0)

    def _relay(self, link: Link, ways: tuple[Way, Way], file: int, events: int) -> None:
        for way in ways:
            its_own = file in (way.source.fileno(), _ANY)
            # A sink's readiness matters only if it did not take all before.
            if (its_own or way.pipe is not None) and self._move(way):
                self._again.add(link)
            if way.ended and way.pipe is None and not way.shut:
                way.shut = True
                way.sink.shutdown(socket.SHUT_WR)
            if its_own and way.ended and events & select.EPOLLERR:
                raise ConnectionResetError  # reset after its end: no read would tell
        if ways[0].shut and ways[1].shut:
            self._end(link)

    def _move(self, way: Way) -> bool:
        """Moves bytes until one end blocks or the source ends. True when there may be more."""
        for _ in range(TURNS):
            pipe = way.pipe or self._fill(way)
            if pipe is None:
                return False
            try:
                pipe.held -= os.splice(pipe.reading, way.sink.fileno(), pipe.held, flags=_FLAGS)
            except BlockingIOError:
                return False
            if not pipe.held:
                way.pipe = None
                self._pipes.give(pipe)
        return True

    def _fill(self, way: Way) -> Pipe | None:
        """A pipe with the source's next bytes; None when it has none now, or has ended."""
        if way.ended:
            return None
        pipe = self._pipes.take()
        try:
            pipe.held = os.splice(way.source.fileno(), pipe.writing, PIPE_SIZE, flags=_FLAGS)
            way.ended = not pipe.held
        except BlockingIOError:
            pass
        finally:
            if pipe.held:
                way.pipe = pipe
            else:
                self._pipes.give(pipe)
        way.moved += pipe.held
        return way.pipe

    def _end(self, link: Link, *, reset: bool = False, error: str = "") -> None:
        link.error = error
        self._slow.pop(link, None)
        for end in (link.client, link.server):
            if end is None:
                continue
            self._links.pop(end.fileno(), None)
            if reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            end.close()
        for way in link.ways or ():
            if way.pipe is not None:
                self._pipes.give(way.pipe)
        if link.verdict is None:
            return
        try:
            self._over(link)
        except Exception:
            log.exception("a relayed connection could not be recorded")
