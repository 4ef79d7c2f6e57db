"""What is counted of records once they are stored: who sent what, where to, and what is new.

Called by the writer in `app.ingest` with each group that it committed. Sums are made for a group
first: records of one group are much alike, and an instrument costs more than a dict.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from app.contract.record import CaptureRecord
from app.otel.metrics import Metrics
from app.store import Incoming, Written
from app.store.rollup import sizes

# Why the app itself loses a record: ids of `app.contract.record.REASONS`.
LOSSES = ("queue_full", "disk_full", "disk_error", "shutdown", "app_error", "unmaskable")

# Of generated names: no vowels, so that no word comes out, and nothing that looks like another.
_RANDOM = "bcdfghjklmnpqrstvwxz2456789"
_POD = re.compile(
    rf"(.+?)(?:(?:-(?:[{_RANDOM}]{{6,10}}|[0-9]{{8,10}}))?-[{_RANDOM}]{{5}}|-[0-9]{{1,5}})"
)

_Labels = tuple[str, ...]


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
        sums: dict[str, Counter[_Labels]] = {
            name: Counter()
            for name in (
                "telemock.captures",
                "telemock.leaving.size",
                "telemock.product.captures",
                "telemock.workload.captures",
                "telemock.inventory.new_fields",
                "telemock.inventory.new_hosts",
            )
        }
        captures, leaving, products, workloads, fields, hosts = sums.values()
        for index in written.stored:
            record, _, known, _ = group[index]
            captures[labels(record)] += 1
            profile = record.profile
            if left := known.out if known else sizes(record)[0]:
                leaving[profile, record.host, record.action] += left
            if record.request is None:
                continue
            by = record.workload
            workloads[profile, by.namespace, workload(by.pod)] += 1
            if profile:
                products[profile, record.product_version] += 1
        fields.update((field.profile,) for field in written.new_fields)
        hosts.update((host.profile,) for host in written.new_hosts)
        for name, counter in sums.items():
            for key, amount in counter.items():
                self._metrics.add(name, key, amount)


def labels(record: CaptureRecord) -> tuple[str, str, str, str, str]:
    """Of the metric telemock.captures."""
    status = f"{record.response.status // 100}xx" if record.response else ""
    return record.kind, record.action, record.profile, record.rule, status


@lru_cache(maxsize=4096)
def workload(pod: str) -> str:
    """The pod's name without what its controller put behind its own: a Deployment's hash and five
    letters, a CronJob's time and five, a DaemonSet's or Job's five, a StatefulSet's number."""
    found = _POD.fullmatch(pod)
    return found[1] if found else pod
