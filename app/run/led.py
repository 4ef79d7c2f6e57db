"""Connections that a gate led to the sidecar, and those of them that no record tells of.

`app.run.strict` notes them, `app.run.gate` asks. The kernel gives one local port to several
connections, at once and one after the other: both ends and the time tell them apart.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from app.contract.processes import Address
from app.contract.record import CaptureRecord
from app.run.interception import Passed


class Led(NamedTuple):
    """`to` is where the connection was going, None if that is the proxy. `since_ns` is a time
    before it was made; `passed` is how it is told if no record tells of it."""

    client: Address
    to: Address | None
    since_ns: int
    passed: Passed


class Unrecorded:
    def __init__(self, led: Iterable[Led]) -> None:
        self._by_ends: dict[tuple[Address, Address | None], list[Led]] = {}
        for one in sorted(led, key=lambda one: one.since_ns):
            self._by_ends.setdefault((one.client, one.to), []).append(one)
        self._recorded: set[Led] = set()

    def found(self, record: CaptureRecord) -> None:
        if record.client is None:
            return
        client = record.client.address, record.client.port
        to = (of.address, of.port) if (of := record.destination) else None
        if led := self._by_ends.get((client, to)) or self._by_ends.get((client, None)):
            latest = bisect_right(led, record.time_ns, key=lambda one: one.since_ns) - 1
            self._recorded.add(led[max(latest, 0)])

    def rest(self) -> Counter[Passed]:
        every = (one for of in self._by_ends.values() for one in of)
        return Counter(one.passed for one in every if one not in self._recorded)
