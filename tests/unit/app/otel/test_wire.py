from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from app.otel import wire

INT64 = st.integers(-(2**63), 2**63 - 1)
UINT64 = st.integers(0, 2**64 - 1)


@given(INT64, st.floats(allow_nan=False), st.text(st.characters(codec="utf-8")), st.binary())
def test_each_kind_of_value_is_read_back(number: int, part: float, text: str, data: bytes) -> None:
    assert AnyValue.FromString(wire.number(3, number)).int_value == number
    assert AnyValue.FromString(wire.double(4, part)).double_value == part
    assert AnyValue.FromString(wire.text(1, text)).string_value == text
    assert AnyValue.FromString(wire.message(7, data)).bytes_value == data


@given(UINT64, st.integers(0, 2**32 - 1))
def test_fixed_numbers_are_read_back_also_behind_a_long_tag(long: int, short: int) -> None:
    span = Span.FromString(wire.fixed64(7, long) + wire.fixed32(16, short))
    assert (span.start_time_unix_nano, span.flags) == (long, short)


@given(st.lists(UINT64), st.lists(st.floats(allow_nan=False)))
def test_packed_ones_too(counts: list[int], bounds: list[float]) -> None:
    point = HistogramDataPoint.FromString(wire.packed(6, "Q", counts) + wire.packed(7, "d", bounds))
    assert (list(point.bucket_counts), list(point.explicit_bounds)) == (counts, bounds)


@given(INT64, st.text(st.characters(codec="utf-8")))
def test_what_protobuf_writes_is_read(rejected: int, said: str) -> None:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = rejected
    answer.partial_success.error_message = said
    found = dict(wire.fields(answer.SerializeToString()))
    inner: Any = dict(wire.fields(found[1]))  # type: ignore[arg-type]
    assert inner.get(1, 0) == rejected % 2**64
    assert inner.get(2, b"").decode() == said


@given(st.binary(max_size=60))
def test_what_is_no_message_for_protobuf_is_none_here(data: bytes) -> None:
    """Nothing else than ValueError either; text that is no UTF-8 does not matter here."""
    try:
        rejected = [n for f, v in wire.fields(data) if f == 1 and isinstance(v, bytes)
                    for g, n in wire.fields(v) if g == 1 and isinstance(n, int)]  # fmt: skip
    except ValueError:
        rejected = []
    try:
        answer = ExportTraceServiceResponse.FromString(data)
    except DecodeError:
        return
    if rejected:
        assert rejected[-1] == answer.partial_success.rejected_spans % 2**64


@pytest.mark.parametrize(
    "data",
    [b"\x0a", b"\x0a\x05abc", b"\x08", b"\x08\x80", b"\x08" + b"\xff" * 11, b"\x09abc", b"\x0b",
     b"\x0f", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"],
)  # fmt: skip
def test_what_is_cut_off_or_no_kind_of_value_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no protobuf"):
        list(wire.fields(data))
