import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.otel import ids

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("flags", "sampled"), [("01", True), ("00", False), ("03", True), ("02", False)]
)
def test_a_parent_is_read(flags: str, sampled: bool) -> None:
    assert ids.parent(f" 00-{TRACE}-{SPAN}-{flags}\t") == ids.Parent(TRACE, SPAN, sampled)


def test_a_later_version_may_go_on() -> None:
    assert ids.parent(f"01-{TRACE}-{SPAN}-01-what-ever") == ids.Parent(TRACE, SPAN, True)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-01more",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-0१",
        f"01-{TRACE}-{SPAN}-01-" + "x" * 10_000,
    ],
)
def test_what_is_not_valid_is_no_parent(header: str) -> None:
    assert ids.parent(header) is None


@given(st.text())
def test_no_header_raises(header: str) -> None:
    assert ids.parent(header) is None


@given(st.booleans())
def test_what_is_written_is_read_back(sampled: bool) -> None:
    trace, span = ids.trace_id(), ids.span_id()
    assert ids.parent(ids.traceparent(trace, span, sampled)) == ids.Parent(trace, span, sampled)
