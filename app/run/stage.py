"""Fails connections of a run to some hosts, in place of the sidecar: `app.run.interception` leads
them here. Nothing of it leaves the machine. Used by `app.rehearse`.
"""

import errno
import os
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from app.contract.faults import ALERT, HostFailure

_READ_S = 5.0
_LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


class FailingHosts:
    """Listens on loopback while it is entered. `port` is 0 where nobody listens. `tried` are the
    times (s, monotonic) of the connections that were led here."""

    def __init__(self, failure: HostFailure, hosts: frozenset[str]) -> None:
        self.failure, self.hosts = failure, hosts
        self.port = 0
        self.tried: list[float] = []
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        if self.failure == "refused":
            return self
        for family, address in _LOOPBACK:
            try:
                sock = socket.create_server((address, self.port), family=family, backlog=0)
            except OSError:
                if family == socket.AF_INET:
                    raise
                continue  # no IPv6 here
            self.port = sock.getsockname()[1]
            self._open.append(sock)
            if self.failure == "dropped":
                self._fill(family, address)
            else:
                threading.Thread(target=self._alert, args=[sock], daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            sock.close()

    def lead(self, sock: socket.socket, listener: str) -> int | None:
        """Connects the command's socket here, by that address of loopback. Returns what its call
        returns; None if the kernel is to go on with it, which then waits as long as it would."""
        self.tried.append(time.monotonic())
        if not self.port:
            return errno.ECONNREFUSED
        waits = os.get_blocking(sock.fileno())
        os.set_blocking(sock.fileno(), False)
        try:
            error = sock.connect_ex((listener, self.port))
        finally:
            os.set_blocking(sock.fileno(), waits)
        return None if waits and error == errno.EINPROGRESS else error

    def _fill(self, family: int, address: str) -> None:
        """Fills the queue of a socket that never accepts: Linux drops what comes then, so that
        those who connect wait as for a host that is gone."""
        for _ in range(4):
            sock = socket.socket(family)
            sock.setblocking(False)
            sock.connect_ex((address, self.port))
            self._open.append(sock)

    def _alert(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, suppress(OSError):
                client.settimeout(_READ_S)
                if client.recv(1, socket.MSG_PEEK) == b"\x16":
                    client.sendall(ALERT)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65_536):  # else what was not read resets the alert away
                    pass
