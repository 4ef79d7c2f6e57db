"""app/otel/items.py: what is left out of an item is left out of what is sent."""

from app.otel import ids
from app.otel.items import LogData, SpanData
from tests.unit.app.otel.test_sdk import record, spans


def test_a_span_of_nothing_but_its_name() -> None:
    (span,) = spans(SpanData("GET", "server", ids.trace_id(), ids.span_id(), "", 1, 2, {}))
    assert (span.parent_span_id, span.trace_state, list(span.events)) == (b"", "", [])
    assert span.status.code == 0 and not span.status.message


def test_a_record_outside_of_a_trace() -> None:
    found = record(LogData(1, "INFO", "said", {}))
    assert (found.trace_id, found.span_id, found.event_name) == (b"", b"", "")
