"""The registry behind `/metrics` as OTLP's metrics, with the names of `METRICS`.

Called by `app.otel.export`. All sums and histograms are cumulative since the process's start.
"""

import time
from collections import defaultdict
from collections.abc import Iterable

import prometheus_client
from prometheus_client.samples import Sample

from app.contract import names
from app.otel import otlp, wire
from app.otel.metrics import PROCESS, Metrics

_ROWS = {row.prometheus: row for row in names.METRICS} | PROCESS
_CUMULATIVE = 2


def collect(metrics: Metrics) -> tuple[list[bytes], int]:
    """Everything as it stands now, and how many points that are."""
    started, now = wire.fixed64(2, metrics.started_ns), wire.fixed64(3, time.time_ns())
    found = []
    count = 0
    for family in metrics.registry.collect():
        row = _ROWS.get(family.name)
        if row is None or not family.samples:
            continue
        if row.kind == "gauge":
            points = [_number(row, sample, now) for sample in family.samples]
            data = wire.message(5, _points(points))
        elif row.kind == "counter":
            points = [_number(row, sample, started + now) for sample in family.samples]
            whole = wire.number(2, _CUMULATIVE) + wire.number(3, True)  # it never goes down
            data = wire.message(7, _points(points) + whole)
        else:
            points = [_histogram(row, child, started + now) for child in _children(row, family)]
            data = wire.message(9, _points(points) + wire.number(2, _CUMULATIVE))
        about = wire.text(1, row.name) + wire.text(2, row.help) + wire.text(3, row.unit)
        found.append(about + data)
        count += len(points)
    return found, count


def _points(points: Iterable[bytes]) -> bytes:
    return b"".join([wire.message(1, point) for point in points])


def _number(row: names.Metric, sample: Sample, times: bytes) -> bytes:
    return times + wire.double(4, sample.value) + _labels(7, row, sample)


def _children(row: names.Metric, family: prometheus_client.Metric) -> Iterable[list[Sample]]:
    """The samples of each set of labels."""
    children: dict[tuple[str, ...], list[Sample]] = defaultdict(list)
    for sample in family.samples:
        children[tuple(sample.labels[name] for name in row.prometheus_labels)].append(sample)
    return children.values()


def _histogram(row: names.Metric, samples: list[Sample], times: bytes) -> bytes:
    buckets = [sample for sample in samples if "le" in sample.labels]
    upto = [int(sample.value) for sample in buckets]
    (total,) = (s.value for s in samples if s.name.endswith("_sum"))
    return b"".join(
        (
            times,
            wire.fixed64(4, upto[-1]),
            wire.double(5, total),
            wire.packed(6, "Q", [n - before for n, before in zip(upto, [0, *upto], strict=False)]),
            wire.packed(7, "d", [float(sample.labels["le"]) for sample in buckets[:-1]]),
            *(wire.message(8, exemplar) for exemplar in _exemplars(buckets)),
            _labels(9, row, samples[0]),
        )
    )


def _exemplars(buckets: list[Sample]) -> Iterable[bytes]:
    """Each bucket's last one; back ends know those that they have already."""
    for exemplar in filter(None, (sample.exemplar for sample in buckets)):
        yield b"".join(
            (
                wire.fixed64(2, int(float(exemplar.timestamp or 0) * 1e9)),
                wire.double(3, float(exemplar.value)),
                wire.message(4, bytes.fromhex(exemplar.labels["span_id"])),
                wire.message(5, bytes.fromhex(exemplar.labels["trace_id"])),
            )
        )


def _labels(field: int, row: names.Metric, sample: Sample) -> bytes:
    """Under OpenTelemetry's names. An empty one is Prometheus' way to say that there is none."""
    named = zip(row.labels, row.prometheus_labels, strict=True)
    labels = ((name, sample.labels[prometheus]) for name, prometheus in named)
    return b"".join([otlp.attribute(field, name, value) for name, value in labels if value])
