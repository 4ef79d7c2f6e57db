"""Accepts redirected connections. Those to the redirect's own addresses go to
`addon.arrive.direct`, which answers telemetry, and through it to mitmproxy; of all others only
those that name a profile's host go there. `addon.arrive.splice` relays the rest.

`addon.mitm.modes` has mitmproxy listen through this module instead of its own transparent mode.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from mitmproxy import platform

from addon.arrive.direct import Direct
from addon.arrive.events import ConnectionEvents
from addon.arrive.prefaces import Prefaces
from addon.arrive.splice import Link, Splicer
from addon.target.dns import Address, Destinations
from addon.target.first_bytes import Verdict, Wait, judge
from app.contract.names import REDIRECTED_PORTS

BACKLOG = 1024
AT_ONCE = 16  # connections that are accepted before other work has its turn
PAUSE_S = 1.0  # like asyncio's, when the process may open no more files

log = logging.getLogger(__name__)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Gate:
    """Passes each accepted connection to its handler, in the event loop.

    `prefaces` read where connections were going, if no redirect in the kernel brings them."""

    def __init__(
        self,
        events: ConnectionEvents,
        names: Destinations,
        direct: Direct,
        prefaces: Prefaces | None = None,
    ) -> None:
        self.events, self._names, self._direct = events, names, direct
        self.prefaces = prefaces
        self._splicer: Splicer | None = None  # made for the first connection that needs it
        self._handed: set[asyncio.Task[Any]] = set()

    def enter(self, client: socket.socket, peer: Address, serve: Serve) -> None:
        """Takes the connection; `serve` hands it to mitmproxy."""
        try:
            destination: Address = platform.original_addr(client)  # type: ignore[misc]
        except OSError:  # not redirected; mitmproxy says so
            self._hand(client, serve)
            return
        if destination[1] in REDIRECTED_PORTS or self._names.is_dummy(destination[0]):
            self.events.arrived()
        if not self._names.simple(destination):
            self.admit(client, peer, destination, serve)
            return
        if self._splicer is None:
            by_ipv4 = self._by_ipv4 if self.prefaces else None
            self._splicer = Splicer(self._judge, self.events.left, by_ipv4)
        loop = asyncio.get_running_loop()
        admit = partial(self.admit, client, peer, destination, serve)
        back = partial(loop.call_soon_threadsafe, admit)
        self._splicer.take(Link(client, peer, destination, back))

    def admit(
        self, client: socket.socket, peer: Address, destination: Address, serve: Serve
    ) -> None:
        """Passes on a connection that may carry telemetry."""
        host = self._names.stands_for(destination) or destination[0]
        self._direct.take(client, peer, destination, host, partial(self._hand, client, serve))

    def end(self) -> None:
        """Ends all connections, and records those that are relayed."""
        self._direct.end()
        if self._splicer is not None:
            self._splicer.stop()
            self._splicer = None

    def _judge(self, link: Link, data: bytes) -> Verdict | Wait:
        """Called in the splicer's thread."""
        host = link.destination[0]
        if self.events.unread():
            return Verdict(host, reason="all_ended")
        found = judge(data, host, self.events.names)
        if isinstance(found, Verdict) and found.reason == "not_http":
            # A host of a profile: mitmproxy refuses it if that profile fails closed.
            refused = self.events.fails_closed((found.host,))
            return found._replace(reason="" if refused else found.reason)
        return found

    def _by_ipv4(self, host: str, port: int) -> Address | None:
        """Raises OSError."""
        for *_, found in socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM):
            address = str(found[0]), port
            if self._names.simple(address):
                return address
        return None

    def _hand(self, client: socket.socket, serve: Serve, begun: bytes = b"") -> None:
        """Continues as asyncio's own servers do after accept; `begun` was read already."""
        loop = asyncio.get_running_loop()
        reader = BegunReader(begun)
        protocol = asyncio.StreamReaderProtocol(reader, serve, loop=loop)
        task = loop.create_task(loop.connect_accepted_socket(lambda: protocol, client))
        self._handed.add(task)
        task.add_done_callback(self._handed.discard)


class BegunReader(asyncio.StreamReader):
    """Starts with bytes that were read before."""

    def __init__(self, begun: bytes) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self._begun = begun

    async def read(self, n: int = -1) -> bytes:
        if not self._begun:
            return await super().read(n)
        # Not at once: mitmproxy's handler, still being made, would meet an end before it exists.
        await asyncio.sleep(0)
        begun, self._begun = self._begun, b""
        return begun


class Listener:
    """The part of asyncio.Server that mitmproxy uses: sockets and close."""

    def __init__(
        self,
        host: str,
        port: int,
        enter: Callable[[socket.socket, Address], None],
        prefaces: Prefaces | None = None,
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
        self._socket.setblocking(False)
        self.sockets = (self._socket,)
        self._enter, self._prefaces = enter, prefaces
        if prefaces is not None:
            prefaces.prepare(self._socket)
        self._loop = asyncio.get_running_loop()
        self._listen()

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _listen(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                client, peer = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as e:
                if e.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    raise
                log.error("no connection can be accepted for a while: %s", e.strerror)
                self._loop.remove_reader(self._socket)
                self._loop.call_later(PAUSE_S, self._listen)
                return
            client.setblocking(False)
            if self._prefaces is None or self._prefaces.read(client, peer[:2]):
                self._enter(client, peer[:2])
            else:
                client.close()
