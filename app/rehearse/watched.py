"""Watches the command of one run: how long it takes, how many sockets it has; ends it in time."""

import os
import select
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from app.contract import processes

_STEP_S = 0.2
_KILL_S = 5.0  # after SIGTERM


class Watched:
    """`limit` in seconds. `stopped`: the time was over, so the command was ended."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self.seconds, self.sockets, self.stopped = 0.0, 0, False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread:
            self._thread.join()

    def begin(self, pid: int) -> None:
        """Once the command runs."""
        self._thread = threading.Thread(target=self._watch, args=[pid], daemon=True)
        self._thread.start()

    def _watch(self, pid: int) -> None:
        began = time.monotonic()
        try:
            process = os.pidfd_open(pid)
        except OSError:  # it has ended already
            return
        try:
            ended = select.poll()
            ended.register(process, select.POLLIN)
            while not ended.poll(_STEP_S * 1000):
                family = [pid, *processes.descendants(pid)]
                self.sockets = max(self.sockets, len(sockets(family)))
                over = time.monotonic() - began - self._limit
                if over > 0:
                    self.stopped = True
                    _end(family, signal.SIGKILL if over > _KILL_S else signal.SIGTERM)
        finally:
            os.close(process)
        self.seconds = time.monotonic() - began


def sockets(pids: list[int]) -> set[str]:
    """The sockets that these processes have open; those that two share once."""
    found: set[str] = set()
    for pid in pids:
        with suppress(OSError):
            for fd in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    target = str(fd.readlink())
                    if target.startswith("socket:"):
                        found.add(target)
    return found


def _end(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
