from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from app.otel import ids, otlp
from app.otel.export import LogData, SpanData

RESOURCE = otlp.resource({"service.name": "telemock-app", "service.version": "1"})
SCOPE = otlp.scope("1")
TRACE, SPAN, PARENT = ids.trace_id(), ids.span_id(), ids.span_id()


def made(**fields: Any) -> Span:
    """A span as it goes over the wire."""
    given: dict[str, Any] = {
        "name": "GET /x", "kind": "server", "trace_id": TRACE, "span_id": SPAN,
        "parent_id": "", "start_ns": 1, "end_ns": 2, "attributes": {},
    }  # fmt: skip
    data = SpanData(**{**given, **fields})
    message = encode_spans([otlp.span(data, RESOURCE, SCOPE)])
    (span,) = message.resource_spans[0].scope_spans[0].spans
    return span


def values(attributes: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}


def test_a_span_keeps_its_ids_times_and_kind() -> None:
    span = made(parent_id=PARENT, kind="client", trace_state="a=1,b=2")
    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (
        TRACE, SPAN, PARENT,
    )  # fmt: skip
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (1, 2)
    assert span.kind == Span.SPAN_KIND_CLIENT
    assert span.trace_state == "a=1,b=2"
    assert span.status.code == Status.STATUS_CODE_UNSET


def test_an_error_has_its_description_and_events() -> None:
    span = made(error="refused", events=(("exception", 7, {"error.type": "x"}),))
    assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, "refused")
    (event,) = span.events
    assert (event.name, event.time_unix_nano) == ("exception", 7)
    assert values(event.attributes) == {"error.type": "x"}


def test_attributes_keep_their_types() -> None:
    given = {"text": "é", "yes": True, "number": 3, "part": 0.5}
    assert values(made(attributes=given).attributes) == given


@pytest.mark.parametrize(
    ("value", "sent"),
    [("a\ud800b", "a?b"), (2**80, str(2**80)), (b"x", "b'x'"), ("x" * 5000, "x" * 4096 + "…"),
     (None, "None")],
)  # fmt: skip
def test_an_attribute_that_cannot_be_encoded_costs_neither_itself_nor_the_batch(
    value: Any, sent: str
) -> None:
    assert values(made(attributes={"a": value, "b": 1}).attributes) == {"a": sent, "b": 1}


def test_lists_are_bounded() -> None:
    (attribute,) = made(attributes={"a": ["x\ud800"] * 1000}).attributes
    assert [v.string_value for v in attribute.value.array_value.values] == ["x?"] * 100


def test_hostile_names_do_not_cost_the_batch() -> None:
    span = made(name="\udcff", error="\udcff", attributes={"\udcff": 1}, trace_state="\udcff")
    assert (span.name, span.status.message, values(span.attributes)) == ("?", "?", {"?": 1})


@pytest.mark.parametrize("severity", ["INFO", "WARN", "ERROR", "what"])
def test_a_log_record(severity: str) -> None:
    data = LogData(5, severity, "{}\ud800" * 5000, {"telemock.rule": "r"}, TRACE, SPAN, "e")
    (record,) = (
        encode_logs([otlp.log(data, RESOURCE, SCOPE)]).resource_logs[0].scope_logs[0].log_records
    )
    assert record.time_unix_nano == 5
    assert record.body.string_value == "{}?" * 5000  # whole: a record is one line of JSON
    assert (record.trace_id.hex(), record.span_id.hex()) == (TRACE, SPAN)
    assert (record.severity_text, record.event_name) == (severity, "e")
    assert record.severity_number == {"INFO": 9, "WARN": 13, "ERROR": 17}.get(severity, 0)


def test_a_log_record_without_a_span() -> None:
    (record,) = (
        encode_logs([otlp.log(LogData(5, "INFO", "", {}), RESOURCE, SCOPE)])
        .resource_logs[0].scope_logs[0].log_records
    )  # fmt: skip
    assert (record.trace_id, record.span_id) == (b"", b"")


def test_the_resource_says_which_sdk() -> None:
    assert RESOURCE.attributes["telemetry.sdk.language"] == "python"
    assert RESOURCE.attributes["service.name"] == "telemock-app"
