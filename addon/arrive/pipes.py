"""Pipes for `addon.arrive.splice`: they carry bytes between two sockets within the kernel.

A connection has one only while bytes of it are in transit, so that idle ones cost nothing. Only
the thread of `addon.arrive.splice` uses them.
"""

import contextlib
import fcntl
import os

# Users without privileges have 64 MiB for all their pipes, and sidecars on one node are one user:
# past it pipes have 8 KiB, and still work. 64 KiB cost a quarter more processor time, 1 MiB a tenth
# less.
PIPE_SIZE = 256 * 1024
KEPT = 4  # free pipes that are kept for reuse


class Pipe:
    """`held`: bytes in the pipe. Both ends are non-blocking."""

    __slots__ = ("held", "reading", "writing")

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.held = 0
        with contextlib.suppress(OSError):  # over the user's limit: it keeps its default size
            fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, PIPE_SIZE)

    def close(self) -> None:
        os.close(self.reading)
        os.close(self.writing)


class Pipes:
    def __init__(self) -> None:
        self._free: list[Pipe] = []

    def take(self) -> Pipe:
        """An empty pipe. Raises OSError when the process may open no more files."""
        return self._free.pop() if self._free else Pipe()

    def give(self, pipe: Pipe) -> None:
        """Takes a pipe back, whatever is left in it."""
        if pipe.held or len(self._free) >= KEPT:
            pipe.close()
        else:
            self._free.append(pipe)

    def close(self) -> None:
        while self._free:
            self._free.pop().close()
