"""Bytes on their way to a client: the socket takes what it can, and the rest waits for it.

Used by `addon.arrive.direct`.
"""

import asyncio
import socket
from collections.abc import Callable


class SendBuffer:
    """`drained` is called when all that had waited is sent. Runs in the event loop."""

    def __init__(self, client: socket.socket, drained: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = client
        self._drained: Callable[[], None] | None = drained
        self.unsent = bytearray()
        self.gone = False  # a write failed, as the client reset the connection

    def send(self, data: bytes) -> bool:
        """False if the client takes no more, for now or for ever. What waits goes first."""
        if not data or self.unsent:
            self.unsent += data
            return True
        sent = self._write(data)
        if sent == len(data):
            return not self.gone
        self.unsent += data[sent:]
        self._loop.add_writer(self._socket, self._writable)
        return False

    def close(self) -> None:
        """Sends nothing from now on."""
        if self.unsent:
            self._loop.remove_writer(self._socket)
        self._drained = None  # breaks a reference cycle

    def _write(self, data: bytes | bytearray) -> int:
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:  # the next read reports it
            self.gone = True
            return len(data)

    def _writable(self) -> None:
        del self.unsent[: self._write(self.unsent)]
        if not self.unsent:
            self._loop.remove_writer(self._socket)
            if self._drained is not None:
                self._drained()
