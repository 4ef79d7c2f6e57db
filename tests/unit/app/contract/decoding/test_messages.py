"""Messages of protobuf: OpenTelemetry's as its JSON has them, others by numbers."""

import random

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.contract.decoding.messages import is_evident, is_named, message
from app.contract.decoding.opening import Opener
from app.contract.decoding.tree import Opaque, values
from tests.conformance import numbered


def read(data: bytes) -> object:
    return message(data, Opener())


def traces() -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    of = request.resource_spans.add()
    attribute = of.resource.attributes.add(key="service.version")
    attribute.value.string_value = "4.10"
    scope = of.scope_spans.add()
    scope.scope.name = "telemetry"
    span = scope.spans.add(name="start", trace_id=bytes(range(16)), span_id=bytes(8), kind=1)
    span.start_time_unix_nano = 1_700_000_000_000_000_001
    span.attributes.add(key="count").value.int_value = -5
    listed = span.attributes.add(key="list").value.array_value
    listed.values.add(double_value=1.5)
    listed.values.add(bool_value=True)
    return request


def logs() -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    line = request.resource_logs.add().scope_logs.add().log_records.add(severity_text="INFO")
    line.time_unix_nano = 7
    line.body.string_value = "licence ok"
    return request


def metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="a.metric.of.ours")
    point = metric.sum.data_points.add(as_int=3, time_unix_nano=9)
    point.attributes.add(key="guid").value.string_value = "x"
    request.resource_metrics[0].scope_metrics[0].metrics.add(name="hist").histogram.data_points.add(
        count=2, sum=1.5
    )
    return request


def test_spans_have_their_names() -> None:
    tree = read(traces().SerializeToString())
    assert is_named(tree)
    assert values(tree, "resourceSpans.0.scopeSpans.0.spans.0.name") == ["start"]
    assert values(tree, "resourceSpans.0.resource.attributes.service.version") == ["4.10"]
    span = "resourceSpans.*.scopeSpans.*.spans.*."
    assert values(tree, span + "traceId") == [bytes(range(16)).hex()]
    assert values(tree, span + "startTimeUnixNano") == ["1700000000000000001"]
    assert values(tree, span + "attributes.count") == ["-5"]
    assert values(tree, span + "attributes.list.values.0.doubleValue") == ["1.5"]


def test_logs_and_metrics_have_their_names() -> None:
    tree = read(logs().SerializeToString())
    assert values(tree, "resourceLogs.0.scopeLogs.0.logRecords.0.body.stringValue") == [
        "licence ok"
    ]
    tree = read(metrics().SerializeToString())
    metric = "resourceMetrics.0.scopeMetrics.0.metrics."
    assert values(tree, metric + "*.name") == ["a.metric.of.ours", "hist"]
    assert values(tree, metric + "0.sum.dataPoints.0.asInt") == ["3"]
    assert values(tree, metric + "0.sum.dataPoints.0.attributes.guid") == ["x"]
    assert values(tree, metric + "1.histogram.dataPoints.0.sum") == ["1.5"]


@pytest.mark.parametrize("request_", [traces(), logs(), metrics()])
def test_the_names_are_those_of_the_json(request_: object) -> None:
    """Every name that protobuf's own JSON has."""

    def names(node: object) -> set[str]:
        if isinstance(node, dict):
            return {*node, *(n for v in node.values() for n in names(v))}
        return {n for v in node for n in names(v)} if isinstance(node, list) else set()

    official = names(MessageToDict(request_))  # type: ignore[arg-type]
    assert official <= names(read(request_.SerializeToString()))  # type: ignore[attr-defined]


def test_behind_grpcs_prefix() -> None:
    data = traces().SerializeToString()
    framed = b"\0" + len(data).to_bytes(4) + data
    assert is_named(read(framed))
    assert values(read(framed + framed), "*.resourceSpans.0.scopeSpans.0.spans.0.name") == [
        "start", "start",
    ]  # fmt: skip


def test_other_messages_have_numbers() -> None:
    inner = b"\x0a\x05event\x10\x96\x01"
    data = (
        b"\x0a\x05hello\x12" + bytes([len(inner)]) + inner + b"\x1a\x03\xff\xfe\x00\x08\x01\x08\x02"
    )
    tree = read(data)
    assert not is_named(tree)
    assert tree == {
        "1": ["hello", 1, 2],
        "2": {"1": "event", "2": 150},
        "3": Opaque(3, ""),
    }


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x0a\x05hell", b"\x0b\x0c"])
def test_what_is_no_message(data: bytes) -> None:
    assert read(data) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_read_in_time(data: bytes) -> None:
    read(data)
    read(traces().SerializeToString() + data)


def test_deep_messages_are_bounded() -> None:
    data = b"\x08\x01"
    for _ in range(200):
        size = bytearray()
        left = len(data)
        while left > 127:
            size.append(left & 127 | 128)
            left >>= 7
        data = b"\x0a" + bytes([*size, left]) + data
    read(data)


def test_no_chance_bytes_are_taken_for_a_message() -> None:
    maker = random.Random(5)
    found = [
        d for n in (16, 24, 40, 90) for _ in range(5_000) if is_evident(d := maker.randbytes(n))
    ]
    assert found == []
    assert is_evident(numbered(1, b"start") + numbered(2, numbered(1, b"4.10")))
    assert not is_evident(b"")
