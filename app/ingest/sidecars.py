"""Tracks sidecars: seen lately, or silent without having said goodbye.

`app.api.intake` and `app.api.profiles` report their requests; metrics read the counts. In memory:
after a restart it fills again when each sidecar next asks for profiles. `app.runtime` takes what
was heard to the store, once a minute.
"""

import re
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from app.auth import Pod
from app.contract import presence
from app.store import Heard

LATELY_S = 150.0  # a sidecar asks every 5 s; in a large fleet, and after failures, every 66
QUESTIONS_S = (
    100  # for profiles, of all sidecars together in a second: about a tenth of a processor
)
REMEMBERED_S = 3600.0  # a silent sidecar is counted for this long
_NAME_CAP = 64  # characters
_BOOT = re.compile(r"[0-9a-f]{16,32}")
MOST = 50_000  # sidecars remembered; beyond it the one silent for longest is evicted


class Counts(NamedTuple):
    seen: int
    silent: int


class Sidecars:
    """Not thread-safe: one thread at a time."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._heard: dict[str, float] = {}  # name -> time; the one silent for longest first
        self._notes: dict[str, Heard] = {}  # name/boot -> what the store was not told yet

    def heard(self, pod: Pod | None, name: str, *, leaving: bool, said: str = "") -> None:
        """Notes a sidecar's request. `name` is its boot, "" for other callers; it is its key only
        on a laptop, where there is no pod. A sidecar that is `leaving` will not count as silent.
        `said` is its header `contract.presence`."""
        key = "/".join(pod) if pod else name[:_NAME_CAP]
        if not key:
            return
        if _BOOT.fullmatch(name) and len(self._notes) < MOST:
            self._notes[f"{key}/{name}"] = Heard(
                boot=name,
                namespace=pod.namespace if pod else "",
                pod=pod.name if pod else "",
                at_ns=time.time_ns(),
                left=leaving,
                said=presence.decode(said),
            )
        self._heard.pop(key, None)
        if leaving:
            return
        self._heard[key] = self._now()
        if len(self._heard) > MOST:
            del self._heard[next(iter(self._heard))]

    def untold(self) -> list[Heard]:
        """Returns who was heard of and is not in the store. Any thread may ask."""
        return list(self._notes.values())

    def told(self, heard: Iterable[Heard]) -> None:
        """These are in the store now."""
        ids = {id(one) for one in heard}
        self._notes = {key: one for key, one in self._notes.items() if id(one) not in ids}

    def again_s(self) -> int:
        """Seconds after which a sidecar should ask for profiles again; it stays within 5 to 60."""
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
