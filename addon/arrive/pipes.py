"""Pipes for `addon.arrive.splice`: how bytes get from one socket to another within the kernel.

A connection has one only while bytes of it are on their way, so that idle ones cost nothing. Only
the thread of `addon.arrive.splice` takes and gives them.
"""

import contextlib
import fcntl
import os

# Users without privileges have 64 MiB for all their pipes, and sidecars on one node are one user:
# past it pipes have 8 KiB, and still work. 64 KiB cost a quarter more processor time, 1 MiB a tenth
# less.
PIPE_SIZE = 256 * 1024
KEPT = 4  # free pipes that are kept for the next bytes


class Pipe:
    """`held`: bytes that are in it. Both ends never block."""

    __slots__ = ("held", "reading", "writing")

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.held = 0
        with contextlib.suppress(OSError):  # over the limits: it stays as it was made
            fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, PIPE_SIZE)

    def close(self) -> None:
        os.close(self.reading)
        os.close(self.writing)


class Pipes:
    def __init__(self) -> None:
        self._free: list[Pipe] = []

    def take(self) -> Pipe:
        """An empty one. Raises OSError where no more files may be open."""
        return self._free.pop() if self._free else Pipe()

    def give(self, pipe: Pipe) -> None:
        """Takes it back, with whatever is left in it."""
        if pipe.held or len(self._free) >= KEPT:
            pipe.close()
        else:
            self._free.append(pipe)

    def close(self) -> None:
        while self._free:
            self._free.pop().close()
