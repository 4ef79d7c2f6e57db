"""Prints lines for people on standard output and standard error, which may be slow or closed.

The shipper prints one line per capture, the log handler one per message. Neither may wait for a
terminal or a pipe that nobody reads: a thread writes, from a bounded queue.
"""

import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterable
from typing import BinaryIO

QUEUE_SIZE = 4 << 20  # bytes that wait to be printed
PIECE = 64 << 10  # approximate bytes of one write: a blocked stream holds up so much
POLL_MS = 1000  # between looks at a non-blocking stream that takes nothing


class Printer:
    """Owns a thread and a duplicate of the stream's descriptor, from `start` to `close`.

    `lost` is called with the number of lines that the stream did not take.
    """

    def __init__(self, stream: BinaryIO, lost: Callable[[int], None]) -> None:
        self._write: Callable[[bytes], int]
        self._fd = -1
        self._lost = lost
        try:
            # A duplicate: a closed descriptor's number may be reused, for a socket to somewhere.
            fd = self._fd = os.dup(stream.fileno())
            self._write = lambda data: os.write(fd, data)
        except (OSError, ValueError):  # not backed by a file, or closed
            self._write = stream.write
        self._changed = threading.Condition()
        self._lines: list[bytes] = []
        self._size = 0
        self._writing = 0
        self._closing = False
        self._torn = False
        self._thread = threading.Thread(target=self._run, name="telemock-printer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, lines: Iterable[bytes]) -> None:
        """Prints lines (given without their ends) soon. Never waits; drops what does not fit."""
        lost = 0
        with self._changed:
            for line in lines:
                if self._closing or self._size + len(line) > QUEUE_SIZE:
                    lost += 1
                    continue
                self._lines.append(line)
                self._size += len(line)
            self._changed.notify()
        if lost:
            self._lost(lost)

    def close(self, timeout: float) -> None:
        """Prints the queued lines, for at most `timeout` seconds. Later lines are lost."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        with self._changed:
            left, self._lines, self._writing = len(self._lines) + self._writing, [], 0
        if left:  # a write that does not end: the thread is a daemon
            self._lost(left)

    def _run(self) -> None:
        while lines := self._take():
            start = size = 0
            for end, line in enumerate(lines, 1):
                size += len(line)
                if size < PIECE and end < len(lines):
                    continue
                lost = self._print(lines[start:end])
                with self._changed:
                    if not self._writing:  # given up, and counted
                        break
                    self._writing = len(lines) - end
                if lost:
                    self._lost(lost)
                start, size = end, 0
        if self._fd >= 0:
            os.close(self._fd)

    def _take(self) -> list[bytes]:
        """The lines to print; none at the end."""
        with self._changed:
            while not self._lines and not self._closing:
                self._changed.wait()
            lines, self._lines, self._size = self._lines, [], 0
            self._writing = len(lines)
            return lines

    def _print(self, lines: list[bytes]) -> int:
        """The number of lines that the stream did not take."""
        ends_torn = b"\n" if self._torn else b""
        data = ends_torn + b"\n".join([*lines, b""])
        done = 0
        while done < len(data):
            try:
                done += self._write(data[done:])
            except BlockingIOError:
                if self._fd >= 0:
                    _wait_for(self._fd)
            except (OSError, ValueError):  # closed, or a full disk; both may be temporary
                break
        if done == len(data):
            self._torn = False
            return 0
        if done:
            self._torn = data[done - 1] != 10
        return len(lines) - data.count(b"\n", len(ends_torn), done)


def _wait_for(fd: int) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    with contextlib.suppress(OSError):
        poll.poll(POLL_MS)
