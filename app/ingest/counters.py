"""Counts stored records for metrics: senders, destinations, and what is new.

Called by `app.ingest.writer` with each committed group. It sums a group first: its records are much
alike, and an instrument costs more than a dict.
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from app.contract.canary.setting import SOURCES
from app.contract.classes import about, members
from app.contract.decoding.bounds import BOUNDS, taken
from app.contract.record import CaptureRecord
from app.otel.metrics import Metrics
from app.store import CANARY, OTHER, Incoming, Written
from app.store.classes import NO_WORDS, ProfileClasses
from app.store.sightings import workload

# The app's own reasons for losing a record: ids of `app.contract.record.REASONS`.
LOSSES = ("queue_full", "disk_full", "disk_error", "shutdown", "app_error", "unmaskable")

_RECOUNT_S = 60.0


class Counting:
    """Not thread-safe, but for `recounted`: one thread at a time."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._profiles = NO_WORDS.profiles
        self._fields: Mapping[tuple[str, str], int] = {}
        self.recount = False
        self._until = 0.0
        self._lock = threading.Lock()
        for reason in LOSSES:
            metrics.add("telemock.capture.dropped", (reason,), 0)
        for bound in BOUNDS:
            metrics.add("telemock.decoding.bounded", (bound,), 0)
        metrics.set("telemock.store.failing", 0)

    def recounted(self, fields: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """Tells `known` anew, where some are new or somebody spoke of one, and once a minute: a
        known one may have values of another class. Raises what `fields` raises."""
        with self._lock:
            if not self.recount and time.monotonic() < self._until:
                return
            self.recount, self._until = False, time.monotonic() + _RECOUNT_S
            try:
                self.known(fields())
            except BaseException:
                self.recount = True
                raise

    def known(self, fields: Mapping[tuple[str, str], int]) -> None:
        """Takes the number of fields that the store has, by profile and class."""
        for labels in {*self._fields, *fields}:
            more = fields.get(labels, 0) - self._fields.get(labels, 0)
            self._metrics.add("telemock.inventory.fields", labels, more)
        self._fields = fields

    def expect(self, profiles: Iterable[str], classes: ProfileClasses = NO_WORDS.profiles) -> None:
        """Starts counters of new things at 0 for these: alerts see the first increase. `classes`
        are the profiles' words."""
        self._profiles, self.recount = classes, True
        for profile in ("", *profiles):
            self._metrics.add("telemock.inventory.new_fields", (profile,), 0)
            self._metrics.add("telemock.inventory.new_hosts", (profile,), 0)
            for of in members("sensitive") if profile else ():
                self._metrics.add("telemock.inventory.new_sensitive", (profile, of), 0)
            self._metrics.add("telemock.inbox.objected", (profile,), 0)

    def stored(self, group: Sequence[Incoming], written: Written) -> None:
        sums: dict[_Alike, list[int]] = defaultdict(lambda: [0, 0])  # records, bytes sent
        for index in written.stored:
            sum = sums[_alike(group[index].record)]
            sum[0] += 1
            sum[1] += group[index].facts.out
        add = self._metrics.add
        for bound, times in taken().items():
            add("telemock.decoding.bounded", (bound,), times)
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
        for source, count in _known_values(group[index] for index in written.stored).items():
            add("telemock.canary.found", source, count)
        for field in written.new_fields:
            add("telemock.inventory.new_fields", (field.profile,))
            of = field.class_ and (self._profiles(field.profile, field.path) or field.class_)
            if about(of):
                add("telemock.inventory.new_sensitive", (field.profile, of))
        for field in written.turned:
            if not self._profiles(field.profile, field.path):
                add("telemock.inventory.new_sensitive", (field.profile, field.class_))
        self.recount |= bool(written.new_fields or written.turned)
        for new_host in written.new_hosts:
            add("telemock.inventory.new_hosts", (new_host.profile,))
        for objected in written.objected:
            add("telemock.inbox.objected", (objected.profile,), objected.records)


def _known_values(group: Iterable[Incoming]) -> Counter[tuple[str, str]]:
    """Records by profile and source; any sender may name another source."""
    found: Counter[tuple[str, str]] = Counter()
    for one in group:
        said = {n.why.partition(", ")[0] for n in one.facts.notes if n.part == CANARY}
        for source in {each if each in SOURCES else OTHER for each in said}:
            found[one.record.profile, source] += 1
    return found


_Alike = tuple[str, str, str, str, int, str, str, str, str, bool]


def _alike(record: CaptureRecord) -> _Alike:
    """The labels of the instruments; the last item is True for a request of its own."""
    response, by = record.response, record.workload
    return (
        record.kind, record.action, record.profile, record.rule, response.status if response else 0,
        record.host, by.namespace, by.pod, record.product_version, record.request is not None,
    )  # fmt: skip
