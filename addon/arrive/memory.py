"""Bounds what all connections together hold in memory, and evicts those that hold too much.

`addon.arrive.direct` and `addon.mitm.handler` have each of their connections enter and leave.
Connections that the kernel relays (`addon.arrive.splice`) are not counted.
"""

import asyncio
import gc
import resource
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cache

from addon.bounds import Bounds
from addon.exchange.conversation import Stage
from app.otel.metrics import Metrics

SWEEP_S = 1.0
LIGHT = 16 * 1024  # bytes that a connection may hold however much the others hold
LEFT = 64  # closed connections after which memory is given back
GIVE_BACK_S = 5.0  # between two times: it takes some 50 ms; after as many evictions, at once
FILES_EACH = 3  # open files per connection: its own, one to the real host, one spare
FILES_OURS = 64  # for the rest of the process


class Guest(ABC):
    """A connection, as `Memory` sees it."""

    active: float  # time.monotonic() of the last byte

    @property
    @abstractmethod
    def served(self) -> bool:
        """True if one of its requests was answered."""

    @abstractmethod
    def busy(self) -> bool:
        """True while one of its requests is in progress."""

    @abstractmethod
    def held(self) -> int:
        """Approximate bytes in memory."""

    @abstractmethod
    def stages(self) -> Mapping[Stage, int]:
        """The stages being received, each with a number that changes when it progresses."""

    @abstractmethod
    def evict(self, bound: str) -> None:
        """Closes the connection for this bound, records why, and leaves."""


class _Seen:
    """The last sweep's findings. `since`: by stage, its progress and when that was first seen."""

    __slots__ = ("since", "size")

    def __init__(self) -> None:
        self.size = 0
        self.since: dict[Stage, tuple[int, float]] = {}


class Memory:
    """Runs in the event loop."""

    def __init__(
        self, bounds: Bounds, metrics: Metrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.bounds = bounds
        self._metrics = metrics
        self._clock = clock
        self._guests: dict[Guest, _Seen] = {}
        self._held = 0
        self._most = 0
        self._left = self._evicted = 0  # connections since memory was given back
        self._gave_back = 0.0
        self._sweeping: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._guests)

    @property
    def held(self) -> int:
        """Bytes of all connections together, as last weighed."""
        return self._held

    def exceeded(self, bound: str) -> None:
        """Counts that a bound was exceeded."""
        self._metrics.add("telemock.bounds.exceeded", (bound,))

    def enter(self, guest: Guest) -> bool:
        """False when the limit is reached: the connection must be closed. A connection that never
        had an answer is evicted before one that had, and among these the idlest first."""
        if self._sweeping is None:
            self._most = min(self.bounds.connections, _files())
            self._sweep()
        if len(self._guests) >= self._most:
            idle = self._idlest()
            if idle is None:
                self.exceeded("connections")
                return False
            self._evict(idle, "connections")
        self._guests[guest] = _Seen()
        return True

    def leave(self, guest: Guest) -> None:
        seen = self._guests.pop(guest, None)
        if seen is not None:
            self._held -= seen.size
            self._left += 1

    def weigh(self, guest: Guest) -> None:
        """Updates the size of a connection; over the bound, evicts the one that holds most without
        progress."""
        seen = self._guests.get(guest)
        if seen is None:
            return
        size = guest.held()
        self._held += size - seen.size
        seen.size = size
        if self._held > self.bounds.held:
            self._make_room()

    def end(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()

    def _evict(self, guest: Guest, bound: str) -> None:
        guest.evict(bound)
        self.leave(guest)
        self._evicted += 1

    def _idlest(self) -> Guest | None:
        known = None
        for guest in sorted(self._guests, key=lambda x: x.active):
            if not guest.busy():
                if not guest.served:
                    return guest
                known = known or guest
        return known

    def _make_room(self) -> None:
        now = self._clock()
        while self._held > self.bounds.held:
            heavy = [x for x, seen in self._guests.items() if seen.size > LIGHT]
            if not heavy:
                return
            # Bytes that have just arrived weigh a tenth of those that lie for a second.
            guest = max(heavy, key=lambda x: self._guests[x].size * (now - x.active + 0.1))
            self._evict(guest, "held")

    def _sweep(self) -> None:
        self._sweeping = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        self.sweep()

    def sweep(self) -> None:
        """Weighs all connections, and evicts those that are too slow."""
        now = self._clock()
        for guest in list(self._guests):
            if late := self._late(guest, now):
                self._evict(guest, late)
            else:
                self.weigh(guest)
        many = self._left > LEFT and now - self._gave_back > GIVE_BACK_S
        if many or self._evicted > LEFT:
            self._left = self._evicted = 0
            self._gave_back = now
            _give_back()

    def _late(self, guest: Guest, now: float) -> str:
        """The bound that a stage exceeds, "" for none."""
        seen = self._guests.get(guest)
        if seen is None:  # another's eviction closed it, too
            return ""
        stages = guest.stages()
        if not stages:
            seen.since = {}
            return ""
        since = {}
        for stage, progress in stages.items():
            before = seen.since.get(stage)
            since[stage] = before if before and before[0] == progress else (progress, now)
        seen.since = since
        limits = {"head": self.bounds.head, "body": self.bounds.body}
        for stage, (_, first) in since.items():
            if now - first > limits[stage[0]]:
                return stage[0]
        return ""


def _files() -> int:
    """The number of connections that the limit of open files allows."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1_000_000
    return max(1, (soft - FILES_OURS) // FILES_EACH)


def _give_back() -> None:
    """Collects cycles, which Python does by their number alone, and returns memory that glibc keeps
    between used blocks: both count against the container's limit."""
    gc.collect()
    if (trim := _malloc_trim()) is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    import ctypes  # not before it is used: it is a fiftieth of a start

    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # none in musl
