"""addon/exchange/exchange.py: bodies kept within a cap, trace context, targets taken apart."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.exchange.exchange import Counted, Kept, query_of, trace
from addon.exchange.reply import headers_of
from app.otel.sampling import Sampler
from app.otel.settings import read


@given(st.lists(st.binary(max_size=40)), st.integers(0, 100))
def test_kept_is_the_prefix_and_the_hash_of_all(parts: list[bytes], cap: int) -> None:
    kept, whole = Kept(cap), b"".join(parts)
    assert [kept.add(p) for p in parts] == parts
    assert kept.prefix == whole[:cap]
    assert kept.size == len(whole)
    assert kept.whole == (len(whole) <= cap)
    assert kept.sha256 == (hashlib.sha256(whole).hexdigest() if whole else "")


def test_counted_keeps_the_size_only() -> None:
    counted = Counted()
    assert counted.add(b"abc") == b"abc"
    assert counted.size == 3


def test_the_clients_trace_goes_on_with_a_span_of_our_own() -> None:
    found = trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
    assert found.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert found.span_id != "b7ad6b7169203331"
    assert found.traceparent == f"00-{found.trace_id}-{found.span_id}-00"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "garbage",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b71692033311-01",
    ],
)
def test_an_invalid_trace_is_replaced(value: str) -> None:
    found = trace(value)
    assert len(found.trace_id) == 32 and len(found.span_id) == 16
    assert found.trace_id not in value or not value


def sampler(**environ: str) -> Sampler:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"} | environ
    return Sampler(read(given, service="s", version="1", resource={}))


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"


def test_an_exported_exchange_has_two_spans_and_the_mocks_hangs_under_the_second() -> None:
    found = trace(PARENT + "1", "a=1,b=2", sampler())
    assert found.parent_id == "b7ad6b7169203331" and found.recorded
    assert len({found.parent_id, found.span_id, found.client_span}) == 3
    assert found.traceparent == f"00-{found.trace_id}-{found.client_span}-01"
    assert found.state == "a=1,b=2"


def test_the_decision_is_the_samplers() -> None:
    assert not trace(PARENT + "0", "", sampler()).recorded
    off = trace("", "", sampler(OTEL_TRACES_SAMPLER="always_off"))
    assert not off.recorded and off.traceparent.endswith("-00")
    on = trace(PARENT + "0", "", sampler(OTEL_TRACES_SAMPLER="always_on"))
    assert on.recorded and on.traceparent.endswith("-01")


@pytest.mark.parametrize(
    ("traceparent", "tracestate"),
    [("", "a=1"), ("garbage", "a=1"), (PARENT + "1", "a" * 513), (PARENT + "1", "a=\r\nx: y")],
)
def test_a_state_that_belongs_to_no_trace_or_is_none_is_left_out(
    traceparent: str, tracestate: str
) -> None:
    assert trace(traceparent, tracestate).state == ""


def test_target_is_taken_apart_and_bytes_that_are_no_text_escaped() -> None:
    assert query_of("/a%20b?x=1&x=%ff&y&z=a+b%26?") == (
        "/a%20b",
        [("x", "1"), ("x", "\\xff"), ("y", ""), ("z", "a b&?")],
    )
    assert headers_of(((b"X-A", b"\xfe"), (b"x-a", "é".encode()))) == [
        ("X-A", "\\xfe"),
        ("x-a", "é"),
    ]
