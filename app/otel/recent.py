"""Keeps what a process's metrics were in the last minutes, so that it can tell an increase itself.

Noted once a minute by `app.runtime`; read by the page's health.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry

MINUTES = 15
# Metrics of the app whose increase is asked for: by alerts, and for the rate of ingest.
RISING = (
    "telemock_captures_total", "telemock_capture_dropped_total", "telemock_otlp_dropped_total",
    "telemock_inventory_new_fields_total", "telemock_inventory_new_hosts_total",
    "telemock_inbox_objected_total", "telemock_records_lost",
    "telemock_inventory_new_sensitive_total", "telemock_canary_found_total",
)  # fmt: skip
_MOST = 2_000  # series of one note

Labels = frozenset[tuple[str, str]]
Values = Mapping[tuple[str, Labels], float]


class Increase(NamedTuple):
    number: float
    seconds: float  # over which it was counted


def values(registry: CollectorRegistry, names: Iterable[str]) -> Values:
    """The values of these metrics now, by Prometheus' name and labels."""
    wanted = set(names)
    found: dict[tuple[str, Labels], float] = {}
    for family in registry.collect():
        for sample in family.samples:
            if sample.name in wanted and len(found) < _MOST:
                found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


class Recent:
    """Notes of a registry's metrics with these names. One thread at a time."""

    def __init__(
        self,
        registry: CollectorRegistry,
        names: Iterable[str],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry, self._names, self._now = registry, tuple(names), now
        self._notes: deque[tuple[float, Values]] = deque(maxlen=MINUTES + 1)
        self.note()

    def note(self) -> None:
        self._notes.append((self._now(), values(self._registry, self._names)))

    def increase(self, name: str, labels: Labels = frozenset()) -> Increase:
        """Of all series with these labels; one that was not there before counts from zero."""
        at, before = next(
            (n for n in self._notes if self._now() - n[0] <= MINUTES * 60), self._notes[-1]
        )
        now = values(self._registry, [name])
        risen = sum(
            max(0.0, value - before.get(key, 0.0)) for key, value in now.items() if labels <= key[1]
        )
        return Increase(risen, self._now() - at)
