"""What is counted of records once they are stored: who sent what, where to, and what is new.

Called by the writer in `app.ingest.writer` with each group that it committed. Sums are made for a
group first: records of one group are much alike, and an instrument costs more than a dict.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from app.contract.record import CaptureRecord
from app.otel.metrics import Metrics
from app.store import Incoming, Written

# Why the app itself loses a record: ids of `app.contract.record.REASONS`.
LOSSES = ("queue_full", "disk_full", "disk_error", "shutdown", "app_error", "unmaskable")

# Of generated names: no vowels, so that no word comes out, and nothing that looks like another.
_RANDOM = "bcdfghjklmnpqrstvwxz2456789"
_POD = re.compile(
    rf"(.+?)(?:(?:-(?:[{_RANDOM}]{{6,10}}|[0-9]{{8,10}}))?-[{_RANDOM}]{{5}}|-[0-9]{{1,5}})"
)


class Counting:
    """One thread at a time."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        for reason in LOSSES:
            metrics.add("telemock.capture.dropped", (reason,), 0)
        metrics.set("telemock.store.failing", 0)

    def expect(self, profiles: Iterable[str]) -> None:
        """Show what is new in these from 0 on, so that an alert sees the first one."""
        for profile in ("", *profiles):
            self._metrics.add("telemock.inventory.new_fields", (profile,), 0)
            self._metrics.add("telemock.inventory.new_hosts", (profile,), 0)

    def stored(self, group: Sequence[Incoming], written: Written) -> None:
        alike: dict[object, _Sum] = {}
        for index in written.stored:
            one = group[index]
            key = _alike(one.record)
            sum = alike.get(key)
            if sum is None:
                sum = alike[key] = _Sum(one.record)
            sum.count += 1
            sum.left += one.facts.out
        add = self._metrics.add
        for sum in alike.values():
            of, count, left = _Alike._make(_alike(sum.record)), sum.count, sum.left
            status = f"{of.status // 100}xx" if of.status else ""
            add("telemock.captures", (of.kind, of.action, of.profile, of.rule, status), count)
            if left:
                add("telemock.leaving.size", (of.profile, of.host, of.action), left)
            if of.asks:
                by = (of.profile, of.namespace, workload(of.pod))
                add("telemock.workload.captures", by, count)
            if of.asks and of.profile:
                add("telemock.product.captures", (of.profile, of.version), count)
        for field in written.new_fields:
            add("telemock.inventory.new_fields", (field.profile,))
        for host in written.new_hosts:
            add("telemock.inventory.new_hosts", (host.profile,))


@dataclass(slots=True)
class _Sum:
    """Of records that the instruments do not tell apart; `record` is one of them."""

    record: CaptureRecord
    count: int = 0
    left: int = 0


class _Alike(NamedTuple):
    """What the instruments tell records apart by."""

    kind: str
    action: str
    profile: str
    rule: str
    status: int
    host: str
    namespace: str
    pod: str
    version: str
    asks: bool  # has a request of its own


def _alike(record: CaptureRecord) -> tuple[object, ...]:
    """An `_Alike`, for less."""
    response, by = record.response, record.workload
    return (
        record.kind,
        record.action,
        record.profile,
        record.rule,
        response.status if response else 0,
        record.host,
        by.namespace,
        by.pod,
        record.product_version,
        record.request is not None,
    )


@lru_cache(maxsize=4096)
def workload(pod: str) -> str:
    """The pod's name without what its controller put behind its own: a Deployment's hash and five
    letters, a CronJob's time and five, a DaemonSet's or Job's five, a StatefulSet's number."""
    found = _POD.fullmatch(pod)
    return found[1] if found else pod
