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
from app.contract.record import Endpoint, Program

_PATIENCE_S = 5  # for which the kernel keeps a connection that has not begun with its line
_DEFER_ACCEPT = getattr(socket, "TCP_DEFER_ACCEPT", 0)


class Prefaces:
    """By the client's address, of which the kernel has as many as ports. `run` is the process id of
    `telemock run`, whose descendants the clients are."""

    def __init__(self, run: int) -> None:
        self._run = run
        self._to: dict[Address, Address] = {}
        self._programs: dict[Address, Program] = {}

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
        self._to[peer] = preface.to.address, preface.to.port
        self._programs[peer] = preface.of
        return True

    def original_addr(self, client: socket.socket) -> Address:
        """In the place of mitmproxy's function of this name, which asks the kernel's NAT."""
        return self._to[client.getpeername()[:2]]

    def look_up(self, peer: Address) -> None:
        """Finds the program that has the socket of this address, if it is one of the run's."""
        self._programs.pop(peer, None)
        inode = next((row.inode for row in processes.tcp() if row.own == peer), 0)
        for pid in processes.descendants(self._run) if inode else ():
            if pid != os.getpid() and inode in processes.sockets_of(pid):
                self._programs[peer] = Program(processes.name_of(pid), pid)
                return

    def program(self, client: Endpoint | None) -> Program | None:
        return self._programs.get((client.address, client.port)) if client else None
