"""What is counted of records once they are stored: who sent what, where to, and what is new.

Called by the writer in `app.ingest.writer` with each group that it committed. Sums are made for a
group first: records of one group are much alike, and an instrument costs more than a dict.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

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
        sums: dict[_Alike, list[int]] = defaultdict(lambda: [0, 0])  # records, bytes that left
        for index in written.stored:
            sum = sums[_alike(group[index].record)]
            sum[0] += 1
            sum[1] += group[index].facts.out
        add = self._metrics.add
        for alike, (count, left) in sums.items():
            kind, action, profile, rule, status, host, namespace, pod, version, asks = alike
            of = f"{status // 100}xx" if status else ""
            add("telemock.captures", (kind, action, profile, rule, of), count)
            if left:
                add("telemock.leaving.size", (profile, host, action), left)
            if asks:
                add("telemock.workload.captures", (profile, namespace, workload(pod)), count)
            if asks and profile:
                add("telemock.product.captures", (profile, version), count)
        for field in written.new_fields:
            add("telemock.inventory.new_fields", (field.profile,))
        for new_host in written.new_hosts:
            add("telemock.inventory.new_hosts", (new_host.profile,))


_Alike = tuple[str, str, str, str, int, str, str, str, str, bool]


def _alike(record: CaptureRecord) -> _Alike:
    """What the instruments tell records apart by; at last, whether it has a request of its own."""
    response, by = record.response, record.workload
    return (
        record.kind, record.action, record.profile, record.rule, response.status if response else 0,
        record.host, by.namespace, by.pod, record.product_version, record.request is not None,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def workload(pod: str) -> str:
    """The pod's name without what its controller put behind its own: a Deployment's hash and five
    letters, a CronJob's time and five, a DaemonSet's or Job's five, a StatefulSet's number."""
    found = _POD.fullmatch(pod)
    return found[1] if found else pod
