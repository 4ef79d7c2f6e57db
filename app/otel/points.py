"""Converts the registry behind `/metrics` to the SDK's metrics data, with the names of `METRICS`.

Called by `app.otel.pipeline`. All sums and histograms are cumulative since the process's start.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import prometheus_client
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.samples import Sample

from app.contract import metrics
from app.otel.metrics import PROCESS, Metrics
from app.otel.sdk import encodable

_ROWS = {row.prometheus: row for row in metrics.METRICS} | PROCESS
_CUMULATIVE = AggregationTemporality.CUMULATIVE


def collect(
    metrics: Metrics, resource: Resource, scope: InstrumentationScope
) -> tuple[MetricsData, int]:
    """Collects all metrics now; returns them and the number of points."""
    times = (metrics.started_ns, time.time_ns())
    found = []
    points = 0
    for family in metrics.registry.collect():
        row = _ROWS.get(family.name)
        data = _data(row, family, times) if row is not None else None
        if row is not None and data is not None and data.data_points:
            found.append(Metric(row.name, row.help, row.unit, data))
            points += len(data.data_points)
    scopes = [ScopeMetrics(scope, found, "")]
    return MetricsData([ResourceMetrics(resource, scopes, "")]), points


def _data(
    row: metrics.Metric, family: prometheus_client.Metric, times: tuple[int, int]
) -> Sum | Gauge | Histogram:
    if row.kind == "histogram":
        return Histogram(list(_histograms(row, family, times)), _CUMULATIVE)
    numbers = [
        NumberDataPoint(_labels(row, sample.labels), *times, value=sample.value)
        for sample in family.samples
    ]
    return Sum(numbers, _CUMULATIVE, True) if row.kind == "counter" else Gauge(numbers)


def _histograms(
    row: metrics.Metric, family: prometheus_client.Metric, times: tuple[int, int]
) -> Iterable[HistogramDataPoint]:
    children: dict[tuple[str, ...], list[Sample]] = defaultdict(list)
    for sample in family.samples:
        children[tuple(sample.labels[name] for name in row.prometheus_labels)].append(sample)
    for samples in children.values():
        buckets = [sample for sample in samples if "le" in sample.labels]
        upto = [int(sample.value) for sample in buckets]
        (total,) = (s.value for s in samples if s.name.endswith("_sum"))
        no: Any = None  # minimum and maximum are unknown
        yield HistogramDataPoint(
            attributes=_labels(row, samples[0].labels),
            start_time_unix_nano=times[0],
            time_unix_nano=times[1],
            count=upto[-1],
            sum=total,
            bucket_counts=[n - before for n, before in zip(upto, [0, *upto], strict=False)],
            explicit_bounds=[float(sample.labels["le"]) for sample in buckets[:-1]],
            min=no,
            max=no,
            exemplars=list(_exemplars(buckets)),
        )


def _exemplars(buckets: list[Sample]) -> Iterable[Exemplar]:
    """Each bucket's last exemplar; back ends ignore those that they have already."""
    for exemplar in filter(None, (sample.exemplar for sample in buckets)):
        yield Exemplar(
            {},
            float(exemplar.value),
            int(float(exemplar.timestamp or 0) * 1e9),
            span_id=int(exemplar.labels["span_id"], 16),
            trace_id=int(exemplar.labels["trace_id"], 16),
        )


def _labels(row: metrics.Metric, labels: dict[str, str]) -> dict[str, str]:
    """Renames labels for OpenTelemetry. Prometheus writes an absent label as an empty one."""
    named = zip(row.labels, row.prometheus_labels, strict=True)
    return {name: encodable(labels[label]) for name, label in named if labels[label]}
