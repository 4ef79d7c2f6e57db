"""Shares the event loop: runs a slice of the waiting work in each round, in turns.

Used by `addon.arrive.direct` for clients whose pipelined requests would starve the others.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

SLICE_S = 0.01  # of a round


class Turns:
    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._due = False

    def later(self, step: Callable[[], None]) -> None:
        self._waiting.append(step)
        self._schedule()

    def _schedule(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._round)

    def _round(self) -> None:
        self._due = False
        end = time.monotonic() + SLICE_S
        try:
            for _ in range(len(self._waiting)):
                self._waiting.popleft()()
                if time.monotonic() > end:
                    return
        finally:
            if self._waiting:
                self._schedule()
