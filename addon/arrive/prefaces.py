"""Reads where connections of `telemock run` were going, and which program made them: from the line
that each begins with (`app.contract.preface`), or, of clients of the explicit proxy, from /proc.

`addon.arrive.accept` reads the line of each connection that it accepts, `addon.connections` tells
of the explicit proxy's, and `addon.record.capture` asks who a client is.
"""

import os
import socket

from addon.target.dns import Address
from app.contract import processes
from app.contract.preface import MOST, decode
from app.contract.record import Program

_PATIENCE_S = 5  # for which the kernel keeps a connection that has not begun with its line
_DEFER_ACCEPT = getattr(socket, "TCP_DEFER_ACCEPT", 0)


class Prefaces:
    """Connections by both ends: the kernel gives one local port to several at once, and again.
    `run` is the process id of `telemock run`, whose descendants the clients are."""

    def __init__(self, run: int) -> None:
        self._run = run
        self._to: dict[int, Address] = {}  # by file descriptor, while it is open
        # The latest of each client's address, of which the kernel has as many as ports: where it
        # was going, and who made it.
        self._led: dict[Address, tuple[Address, Program]] = {}
        self._to_proxy: dict[Address, tuple[Address, Program]] = {}

    @staticmethod
    def prepare(listener: socket.socket) -> None:
        """From now on a connection is accepted once its first bytes are there."""
        listener.setsockopt(socket.IPPROTO_TCP, _DEFER_ACCEPT, _PATIENCE_S)

    def read(self, client: socket.socket, peer: Address) -> bool:
        """Takes the line from the connection; False if it has none: then nobody of this run made
        it."""
        try:
            found = decode(client.recv(MOST, socket.MSG_PEEK))
            if found is None:
                return False
            preface, length = found
            client.recv(length)
        except OSError:
            return False
        to = self._to[client.fileno()] = preface.to.address, preface.to.port
        self._led[peer] = to, preface.of
        return True

    def original_addr(self, client: socket.socket) -> Address:
        """In the place of mitmproxy's function of this name, which asks the kernel's NAT."""
        return self._to[client.fileno()]

    def look_up(self, peer: Address, proxy: Address) -> None:
        """Finds the program that is connected from here to the proxy, if it is one of the run's."""
        self._to_proxy.pop(peer, None)
        ends = peer, proxy
        inode = next((row.inode for row in processes.tcp() if (row.own, row.peer) == ends), 0)
        for pid in processes.descendants(self._run) if inode else ():
            if pid != os.getpid() and inode in processes.sockets_of(pid):
                self._to_proxy[peer] = proxy, Program(processes.name_of(pid), pid)
                return

    def program(self, peer: Address, to: Address) -> Program | None:
        """`to` is where the connection was going, or the proxy."""
        for latest in (self._led, self._to_proxy):
            if (found := latest.get(peer)) and found[0] == to:
                return found[1]
        return None
