"""Admission of request bodies while they are read: bounds the bytes of all, and each body's time
and minimum rate, with a fair share for each sender.

Called by `app.api.intake` and `app.mock.mock` before a request holds anything else: a client that
trickles its body costs a connection and the bytes that it sent, and no slot. Over a bound the
slowest body is ended, never one that has just begun.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

ALL_BYTES = 32 << 20  # bound on bodies that are being read, or wait for their turn
EACH = 32  # bodies that are read at a time of one sender
WHOLE_S = 30.0  # timeout of one body
GRACE_S = 5.0  # before the minimum rate applies
RATE = 2_048  # minimum rate after that, bytes a second
STOP_S = 2.0  # timeout of all bodies at shutdown
_YOUNG_S = 0.5  # a body younger than this is not ended in favour of others


class Slow(Exception):
    """The body did not arrive in time, or others needed its place. The text gives the reason."""


class Place:
    """One body's share of the bounds, from its first byte until it has been processed."""

    def __init__(
        self, arriving: "Arriving", sender: str, limit: asyncio.Timeout, whole_s: float
    ) -> None:
        self._arriving = arriving
        self._whole_s = whole_s
        self.sender = sender
        self.came = 0
        self.held = 0
        self.began = time.monotonic()
        self.arrived = self.waits = False
        self._waited = 0.0
        self.ended_by = "slow"
        self._limit = limit
        self._allow()

    @property
    def rate(self) -> float:
        return self.came / max(self._passed(), 0.001)

    async def more(self, came: int, held: int) -> None:
        """Adds `came` bytes, of which `held` are kept; waits until there is room for them."""
        if self._arriving.full(held):
            await self._wait(held)
        self._arriving.held += held
        self.held += held
        self.came += came
        self._allow()

    async def _wait(self, held: int) -> None:
        """Waits for room. Its rate does not count this time, which is not the body's fault."""
        since = time.monotonic()
        self.waits = True
        if not self.ending:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._whole_s)
        await self._arriving.room(held)
        self.waits = False
        self._waited += time.monotonic() - since

    def whole(self) -> None:
        """Ends the time limit: the body is complete."""
        self.arrived = True
        if not self._limit.expired():
            self._limit.reschedule(None)

    def end(self) -> None:
        """Ends the body in favour of others."""
        self.ended_by = "crowded"
        self._limit.reschedule(0)

    @property
    def ending(self) -> bool:
        """True if the body's task has been cancelled, or is about to be."""
        return self.ended_by != "slow" or self._limit.expired()

    def hurry(self) -> None:
        if not (self.arrived or self.waits):
            self._allow()

    def _passed(self) -> float:
        return time.monotonic() - self.began - self._waited

    def _allow(self) -> None:
        if not self.ending:
            allowed = min(self._whole_s, GRACE_S + self.came / RATE)
            until = asyncio.get_running_loop().time() + allowed - self._passed()
            self._limit.reschedule(min(until, self._arriving.last))


class Arriving:
    """The bodies being read; for the event loop only. `told` gets the reason of each ended body."""

    def __init__(
        self, told: Callable[[str], None], *, size: int = ALL_BYTES, each: int = EACH
    ) -> None:
        self._told = told
        self._size = size
        self._each = each
        self.held = 0
        self.last = math.inf  # loop time after which no body is waited for
        self._places: set[Place] = set()
        self._senders: Counter[str] = Counter()
        self._left = asyncio.Event()

    @asynccontextmanager
    async def place(self, sender: str, whole_s: float = WHOLE_S) -> AsyncIterator[Place]:
        """Takes a place for one body; its bytes count until the block ends. Raises Slow."""
        limit = asyncio.timeout(None)
        try:
            async with limit:
                place = Place(self, sender, limit, whole_s)
                if self._senders[sender] >= self._each:
                    self._end_slowest(sender)
                self._senders[sender] += 1
                self._places.add(place)
                try:
                    yield place
                finally:
                    self._leave(place)
        except TimeoutError:
            if not limit.expired():
                raise
            self._told(place.ended_by)
            raise Slow(ENDED[place.ended_by]) from None

    def stop(self) -> None:
        """Cuts all time limits to STOP_S: the shutdown waits only for nearly complete bodies."""
        self.last = min(self.last, asyncio.get_running_loop().time() + STOP_S)
        for place in self._places:
            place.hurry()

    def full(self, size: int) -> bool:
        """True if `size` more bytes exceed the bound. A larger body than that is taken alone."""
        return bool(self.held and self.held + size > self._size)

    async def room(self, size: int) -> None:
        while self.full(size):
            self._left.clear()
            self._end_slowest()
            with suppress(TimeoutError):  # by then another body is old enough
                async with asyncio.timeout(_YOUNG_S):
                    await self._left.wait()

    def _end_slowest(self, sender: str = "") -> None:
        """Ends the slowest body that is not young and still arrives, of all or of that sender's."""
        until = time.monotonic() - _YOUNG_S
        coming = [p for p in self._places if not (p.arrived or p.ending)]
        slow = [
            p
            for p in coming
            if p.began < until and not p.waits and (not sender or p.sender == sender)
        ]
        if slow:
            min(slow, key=lambda p: p.rate).end()
        elif coming and all(p.waits for p in self._places):  # a deadlock: each waits for room
            max(coming, key=lambda p: p.began).end()

    def _leave(self, place: Place) -> None:
        self._places.discard(place)
        self.held -= place.held
        self._senders[place.sender] -= 1
        if not self._senders[place.sender]:
            del self._senders[place.sender]
        self._left.set()


ENDED = {
    "slow": f"the body took too long, or came with less than {RATE} bytes a second",
    "crowded": "other bodies needed its place, and this one was the slowest",
}
