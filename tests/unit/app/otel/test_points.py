import time
from bisect import bisect_left
from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from app.contract.metrics import METRICS
from app.otel import ids
from app.otel.metrics import LABEL_SETS, Metrics
from app.otel.points import collect

RESOURCE = Resource({"service.name": "telemock-sidecar"})
SCOPE = InstrumentationScope("telemock", "1")


def points(metrics: Metrics) -> dict[str, Any]:
    """By name, as they go over the wire."""
    data, count = collect(metrics, RESOURCE, SCOPE)
    found = encode_metrics(data).resource_metrics[0].scope_metrics[0].metrics
    assert count == sum(len(getattr(m, m.WhichOneof("data")).data_points) for m in found)
    return {metric.name: metric for metric in found}


def values(point: Any) -> dict[str, str]:
    return {a.key: a.value.string_value for a in point.attributes}


def key_values(attributes: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=n, value=AnyValue(string_value=v)) for n, v in attributes.items()]


def test_a_counter_is_a_cumulative_monotonic_sum() -> None:
    before = time.time_ns()
    metrics = Metrics("sidecar")
    metrics.add("telemock.captures", ("exchange", "mock", "cribl", "r", ""), 3)
    metric = points(metrics)["telemock.captures"]
    assert (metric.unit, metric.sum.is_monotonic) == ("{record}", True)
    assert metric.sum.aggregation_temporality == 2
    (point,) = metric.sum.data_points
    assert point.as_double == 3
    assert before <= point.start_time_unix_nano <= point.time_unix_nano <= time.time_ns()
    assert values(point) == {
        "telemock.kind": "exchange", "telemock.action": "mock", "telemock.profile": "cribl",
        "telemock.rule": "r",
    }  # fmt: skip


def test_a_gauge() -> None:
    metrics = Metrics("sidecar")
    metrics.set("telemock.spool.size", 7)
    metric = points(metrics)["telemock.spool.size"]
    assert metric.unit == "By"
    assert [p.as_double for p in metric.gauge.data_points] == [7]


def test_a_histogram_has_its_bounds_counts_and_exemplars() -> None:
    metrics = Metrics("sidecar")
    row = next(r for r in METRICS if r.name == "http.server.request.duration")
    labels = ("GET", "https", "200", "", "mock")
    trace, span = ids.trace_id(), ids.span_id()
    for value in (0.001, 0.002, 0.3, 99):
        exemplar = {"trace_id": trace, "span_id": span} if value == 0.3 else None
        metrics.observe(row.name, labels, value, exemplar)
    metrics.observe(row.name, ("POST", *labels[1:]), 1)
    metric = points(metrics)[row.name]
    assert metric.unit == "s"
    point, other = metric.histogram.data_points
    assert tuple(point.explicit_bounds) == row.buckets
    assert list(point.bucket_counts) == [2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    assert (point.count, point.sum) == (4, pytest.approx(99.303))
    assert not point.HasField("min")
    assert other.count == 1
    assert values(point)["http.request.method"] == "GET"
    assert "error.type" not in values(point)
    (exemplar,) = point.exemplars
    assert (exemplar.trace_id.hex(), exemplar.span_id.hex()) == (trace, span)
    assert exemplar.as_double == 0.3
    assert exemplar.time_unix_nano == pytest.approx(time.time_ns(), abs=60e9)


@pytest.mark.parametrize("of", ["app", "sidecar", "injector"])
def test_every_metric_of_the_table_goes_out_under_its_own_name(of: Any) -> None:
    metrics = Metrics(of)
    rows = [row for row in METRICS if of in row.of]
    for row in rows:
        labels = tuple("x" for _ in row.labels)
        if row.kind == "counter":
            metrics.add(row.name, labels)
        elif row.kind == "gauge":
            metrics.set(row.name, 1, labels)
        else:
            metrics.observe(row.name, labels, 1)
    process = {
        "process.cpu.time", "process.memory.usage", "process.memory.virtual",
        "process.unix.file_descriptor.count",
    }  # fmt: skip
    found = points(metrics)
    assert set(found) == {row.name for row in rows} | process
    for row in rows:
        point = getattr(found[row.name], found[row.name].WhichOneof("data")).data_points[0]
        assert set(values(point)) == set(row.labels)
        assert found[row.name].unit == row.unit


def test_a_label_that_is_no_text_costs_no_metric() -> None:
    metrics = Metrics("sidecar")
    metrics.add("telemock.tls.client_rejected", ("a\ud800b",))
    (point,) = points(metrics)["telemock.tls.client_rejected"].sum.data_points
    assert values(point) == {"server.address": "a?b"}


BIG = st.floats(0, 1e300)


@given(st.lists(BIG, min_size=1, max_size=20), st.integers(0, 2**53))
def test_protobufs_own_parser_reads_every_field_of_every_point(
    observed: list[float], count: int
) -> None:
    metrics = Metrics("sidecar")
    labels = ("GET", "https", "200", "", "mock")
    row = next(r for r in METRICS if r.name == "http.server.request.duration")
    exemplar = {"trace_id": ids.trace_id(), "span_id": ids.span_id()}
    for value in observed:
        metrics.observe(row.name, labels, value, exemplar)
    metrics.add("telemock.tls.client_rejected", ("host",), count)
    found = points(metrics)
    counter = found["telemock.tls.client_rejected"]
    (point,) = counter.sum.data_points
    assert counter == Metric(
        name="telemock.tls.client_rejected",
        description=next(r.help for r in METRICS if r.name == counter.name),
        unit="{connection}",
        sum=Sum(
            data_points=[
                NumberDataPoint(
                    attributes=key_values({"server.address": "host"}),
                    start_time_unix_nano=metrics.started_ns,
                    time_unix_nano=point.time_unix_nano,
                    as_double=count,
                )
            ],
            aggregation_temporality=2,
            is_monotonic=True,
        ),
    )
    (histogram,) = found[row.name].histogram.data_points
    bounds = [*row.buckets, float("inf")]
    buckets = [bisect_left(bounds, value) for value in observed]
    last = dict(zip(buckets, observed, strict=True))
    assert {e.as_double for e in histogram.exemplars} == set(last.values())
    assert histogram == HistogramDataPoint(
        attributes=key_values({n: v for n, v in zip(row.labels, labels, strict=True) if v}),
        start_time_unix_nano=metrics.started_ns,
        time_unix_nano=point.time_unix_nano,
        count=len(observed),
        sum=reduce(add, observed, 0.0),  # as it is counted, without compensation
        bucket_counts=[buckets.count(n) for n in range(len(bounds))],
        explicit_bounds=row.buckets,
        exemplars=[
            Exemplar(
                time_unix_nano=e.time_unix_nano,
                as_double=e.as_double,
                span_id=bytes.fromhex(exemplar["span_id"]),
                trace_id=bytes.fromhex(exemplar["trace_id"]),
            )
            for e in histogram.exemplars
        ],
    )


def test_a_million_label_values_are_few_points() -> None:
    metrics = Metrics("sidecar")
    for n in range(1_000_000):
        metrics.add("telemock.tls.client_rejected", (f"host{n}.example",))
    sent = points(metrics)["telemock.tls.client_rejected"].sum.data_points
    assert len(sent) == LABEL_SETS + 1
    assert sum(point.as_double for point in sent) == 1_000_000
