"""Which sidecars the app has heard of lately, and which went silent without taking leave.

Told by the routes in `app.api` that sidecars call, read for the metrics. In memory: after a
start of the app it fills again within the time between two questions for profiles.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from app.auth import Pod

LATELY_S = 150.0  # a sidecar asks every 5 s; in a large fleet, and after failures, every 66
QUESTIONS_S = (
    100  # for profiles, of all sidecars together in a second: about a tenth of a processor
)
REMEMBERED_S = 3600.0  # that a silent one is told of
_NAME_CAP = 64  # characters
MOST = 50_000  # that are remembered; beyond it the one not heard of for longest goes


class Counts(NamedTuple):
    seen: int
    silent: int


class Sidecars:
    """One thread at a time."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._heard: dict[str, float] = {}  # the one not heard of for longest first

    def heard(self, pod: Pod | None, name: str, *, leaving: bool) -> None:
        """`name` is what the sidecar calls itself, "" when others ask; only on a laptop, where
        there is no pod, it tells one from another. Who is leaving is not missed."""
        key = "/".join(pod) if pod else name[:_NAME_CAP]
        if not key:
            return
        self._heard.pop(key, None)
        if leaving:
            return
        self._heard[key] = self._now()
        if len(self._heard) > MOST:
            del self._heard[next(iter(self._heard))]

    def again_s(self) -> int:
        """After how many seconds a sidecar should ask for profiles again; it keeps to 5 to 60."""
        return len(self._heard) // QUESTIONS_S

    def counts(self) -> Counts:
        now = self._now()
        while self._heard:
            oldest = next(iter(self._heard))
            if now - self._heard[oldest] < REMEMBERED_S:
                break
            del self._heard[oldest]
        silent = 0
        for at in self._heard.values():
            if now - at < LATELY_S:
                break
            silent += 1
        return Counts(len(self._heard) - silent, silent)
