"""Who is connected, over all listeners, and what each holds in memory; who leaves when it is too
much.

`addon.arrive.direct` and `addon.mitm.handler` have each of their connections enter and leave. What
they relay unread in the kernel (`addon.arrive.splice`) is not theirs and not counted.
"""

import asyncio
import ctypes
import gc
import resource
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from addon.bounds import Bounds
from addon.exchange.conversation import Stage
from app.otel.metrics import Metrics

SWEEP_S = 1.0
LIGHT = 16 * 1024  # bytes that a connection may hold whatever the others do
LEFT = 64  # connections that left, after which their memory is given back
GIVE_BACK_S = 5.0  # between two times: it takes some 50 ms
FILES_EACH = 3  # open files of a connection: its own, one to the real host, one to spare
FILES_OURS = 64  # of the rest of the process


class Guest(ABC):
    """A connection."""

    active: float  # time.monotonic() of the last byte

    @property
    @abstractmethod
    def served(self) -> bool:
        """Whether a request of it had an answer."""

    @abstractmethod
    def busy(self) -> bool:
        """Whether a request of it is under way."""

    @abstractmethod
    def held(self) -> int:
        """Bytes in memory, about."""

    @abstractmethod
    def stages(self) -> Mapping[Stage, int]:
        """What is being received, with a number that changes where it makes progress."""

    @abstractmethod
    def evict(self, bound: str) -> None:
        """Ends it, for this bound, says so in a record, and leaves."""


class _Seen:
    """What the last look found. `since`: by stage, its progress and when that was first seen."""

    __slots__ = ("since", "size")

    def __init__(self) -> None:
        self.size = 0
        self.since: dict[Stage, tuple[int, float]] = {}


class Memory:
    """In the event loop."""

    def __init__(
        self, bounds: Bounds, metrics: Metrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.bounds = bounds
        self._metrics = metrics
        self._clock = clock
        self._guests: dict[Guest, _Seen] = {}
        self._held = 0
        self._most = 0
        self._left = 0  # connections, since memory was given back
        self._gave_back = 0.0
        self._sweeping: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._guests)

    @property
    def held(self) -> int:
        """Bytes of all together, as last seen."""
        return self._held

    def exceeded(self, bound: str) -> None:
        """Counts what a bound ended."""
        self._metrics.add("telemock.bounds.exceeded", (bound,))

    def enter(self, guest: Guest) -> bool:
        """False when there is no room for one more: its connection is to be closed. Who never had
        an answer goes before who had one, and among these the idlest."""
        if self._sweeping is None:
            self._most = min(self.bounds.connections, _files())
            self._sweep()
        if len(self._guests) >= self._most:
            idle = self._idlest()
            if idle is None:
                self.exceeded("connections")
                return False
            idle.evict("connections")
            self.leave(idle)
        self._guests[guest] = _Seen()
        return True

    def leave(self, guest: Guest) -> None:
        seen = self._guests.pop(guest, None)
        if seen is not None:
            self._held -= seen.size
            self._left += 1

    def weigh(self, guest: Guest) -> None:
        """Looks at what the connection holds now; over the bound, who holds most of what does not
        move leaves."""
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
            # What has just come in weighs a tenth of what lies for a second.
            guest = max(heavy, key=lambda x: self._guests[x].size * (now - x.active + 0.1))
            guest.evict("held")
            self.leave(guest)

    def _sweep(self) -> None:
        self._sweeping = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        self.sweep()

    def sweep(self) -> None:
        """Looks at all of them."""
        now = self._clock()
        for guest in list(self._guests):
            if late := self._late(guest, now):
                guest.evict(late)
                self.leave(guest)
            else:
                self.weigh(guest)
        if self._left > LEFT and now - self._gave_back > GIVE_BACK_S:
            self._left, self._gave_back = 0, now
            _give_back()

    def _late(self, guest: Guest, now: float) -> str:
        """The bound that a stage is over, "" for none."""
        seen = self._guests.get(guest)
        if seen is None:  # another one's leaving was its, too
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
    """As many connections as there may be files for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1_000_000
    return max(1, (soft - FILES_OURS) // FILES_EACH)


def _give_back() -> None:
    """Python looks for circles by their number, and glibc keeps what is free between what is used:
    both count against the container's limit."""
    gc.collect()
    if _trim is not None:
        _trim(0)


_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # none in musl
