"""Looks at sockets after the kernel has connected them: to whom they were, is known only then.

Used by `app.run.interception`. It holds a copy of each socket, for as short as it can: the other
end sees no end of the connection before.
"""

import os
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

_STEP_S = 0.002
_PATIENCE_S = 0.5  # of a call that the kernel does at once, on a machine under load
_MOST = 256  # sockets at a time


class _Waiting(NamedTuple):
    sock: socket.socket
    connected: Callable[[socket.socket], None]
    late: Callable[[socket.socket], None] | None
    until: float


class Later:
    """`failed`: of some socket it could not be told to whom it is."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        self._change = threading.Condition()
        self._over = False
        self.failed = False
        self._thread = threading.Thread(target=self._look, name="telemock-later", daemon=True)
        self._thread.start()

    def once_connected(
        self,
        sock: socket.socket,
        connected: Callable[[socket.socket], None],
        late: Callable[[socket.socket], None] | None = None,
    ) -> None:
        """Calls `connected` with a copy of the socket once it has a peer, or `late` if it gets none
        at once."""
        # Its own `dup` would make the caller's socket a blocking one: they share that.
        copy = socket.socket(fileno=os.dup(sock.fileno()))
        one = _Waiting(copy, connected, late, time.monotonic() + _PATIENCE_S)
        with self._change:
            self._waiting.append(one)
            self._change.notify()

    def stop(self) -> None:
        with self._change:
            self._over = True
            self._change.notify()
        self._thread.join()

    def _look(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._over)
                if not self._waiting:
                    return
                waiting, self._waiting = self._waiting, []
            now = time.monotonic()
            late = len(waiting) - _MOST
            left = [one for n, one in enumerate(waiting) if not self._done(one, n < late, now)]
            with self._change:
                self._waiting = left + self._waiting
            if left:
                time.sleep(_STEP_S)

    def _done(self, one: _Waiting, hasten: bool, now: float) -> bool:
        connected = has_peer(one.sock)
        if not connected and now < one.until and not hasten and not self._over:
            return False
        try:
            if look := one.connected if connected else one.late:
                look(one.sock)
        except Exception:  # whatever it is, the next one is looked at
            self.failed = True
        one.sock.close()
        return True


def has_peer(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def outcome(sock: socket.socket, seconds: float) -> int | None:
    """With what a connect ends that was begun; None if it did not within this time."""
    ends = select.poll()
    ends.register(sock, select.POLLOUT)
    if not ends.poll(seconds * 1000):
        return None
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
