"""A process's instruments, made from the table in `app.contract.names`.

`/metrics` renders them, `app.otel.export` exports the same ones over OTLP.
"""

import threading
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client import Metric as PrometheusMetric
from prometheus_client.registry import Collector

from app.contract.metrics import METRICS, PRIVATE_LABELS, Metric, Process

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
# Label values come from records and peers, which can invent any number of them.
LABEL_SETS = 500  # most label sets of one metric; later ones count as "other"

_ALL: tuple[Process, ...] = ("app", "sidecar", "injector")
# prometheus_client's metrics of the process -> OpenTelemetry's names.
PROCESS = {
    "process_cpu_seconds": Metric(
        "process.cpu.time", "counter", "s", (), _ALL, "CPU time of the process."
    ),
    "process_resident_memory_bytes": Metric(
        "process.memory.usage", "gauge", "By", (), _ALL, "Resident memory of the process."
    ),
    "process_virtual_memory_bytes": Metric(
        "process.memory.virtual", "gauge", "By", (), _ALL, "Virtual memory of the process."
    ),
    "process_open_fds": Metric(
        "process.unix.file_descriptor.count", "gauge", "{file_descriptor}", (), _ALL,
        "Open file descriptors of the process.",
    ),
}  # fmt: skip

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


_PRIVATE = {row.prometheus for row in METRICS if PRIVATE_LABELS.intersection(row.labels)}


class _Nameless(Collector):
    """Collects what a registry does, without the metrics that have a private label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[PrometheusMetric]:
        return (found for found in self._registry.collect() if found.name not in _PRIVATE)


class Metrics:
    """The instruments of one process (`of`), by the name in the table, except those `left_out`.
    Thread-safe."""

    def __init__(self, of: Process, left_out: Collection[str] = ()) -> None:
        self.registry = CollectorRegistry()
        self.started_ns = time.time_ns()  # start of all counters
        self._lock = threading.Lock()
        self._made: dict[str, Any] = {}
        self._children: dict[str, dict[tuple[str, ...], Any]] = {}
        for row in METRICS:
            if of not in row.of or row.name in left_out:
                continue
            labels = row.prometheus_labels
            made: Any
            if row.kind == "histogram":
                made = Histogram(
                    row.prometheus, row.help, labels, buckets=row.buckets, registry=self.registry
                )
            else:
                kind = Counter if row.kind == "counter" else Gauge
                made = kind(row.prometheus, row.help, labels, registry=self.registry)
            self._made[row.name] = made
            self._children[row.name] = {}
        ProcessCollector(registry=self.registry)

    def add(self, name: str, labels: tuple[str, ...] = (), amount: float = 1) -> None:
        self._child(name, labels).inc(amount)

    def set(self, name: str, value: float, labels: tuple[str, ...] = ()) -> None:
        self._child(name, labels).set(value)

    def observe(
        self,
        name: str,
        labels: tuple[str, ...],
        value: float,
        exemplar: Mapping[str, str] | None = None,
    ) -> None:
        """`exemplar` is a sampled span: its trace_id and span_id."""
        self._child(name, labels).observe(value, exemplar)

    def total(self, name: str) -> float:
        """A counter's sum over all labels."""
        samples = (s for family in self._made[name].collect() for s in family.samples)
        return float(sum(s.value for s in samples if s.name.endswith("_total")))

    def _child(self, name: str, labels: tuple[str, ...]) -> Any:
        if not labels:
            return self._made[name]
        child = self._children[name].get(labels)
        return self._new_child(name, labels) if child is None else child

    def _new_child(self, name: str, labels: tuple[str, ...]) -> Any:
        with self._lock:
            children = self._children[name]
            if labels in children:
                return children[labels]
            if len(children) >= LABEL_SETS:  # not remembered: their number has no bound
                return self._made[name].labels(*("other" for _ in labels))
            child = children[labels] = self._made[name].labels(*labels)
            return child

    def render(self, *, names: bool = True) -> bytes:
        """Renders Prometheus text; without `names`, only metrics that carry none of a cluster."""
        if names:
            return prometheus_client.generate_latest(self.registry)
        shown = CollectorRegistry()
        shown.register(_Nameless(self.registry))
        return prometheus_client.generate_latest(shown)
