import time
from importlib.metadata import version
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk._logs import ReadableLogRecord

from app.otel import ids
from app.otel.items import LogData, SpanData
from app.otel.sdk import Made, environment
from app.otel.settings import read

OTEL = read({}, service="telemock-app", version="7", resource={"k8s.pod.name": "p\ud800"})
MADE = Made(OTEL)
TRACE, SPAN, PARENT = ids.trace_id(), ids.span_id(), ids.span_id()


def spans(*data: SpanData) -> Any:
    """Those of one scope, as they go over the wire."""
    body = encode_spans([MADE.span(item) for item in data]).SerializePartialToString()
    (of_resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    (of_scope,) = of_resource.scope_spans
    return of_scope.spans


def made(**fields: Any) -> Span:
    """A span as it goes over the wire."""
    given: dict[str, Any] = {
        "name": "GET /x", "kind": "server", "trace_id": TRACE, "span_id": SPAN,
        "parent_id": "", "start_ns": 1, "end_ns": 2, "attributes": {},
    }  # fmt: skip
    (span,) = spans(SpanData(**{**given, **fields}))
    return span


def record(data: LogData) -> LogRecord:
    given = MADE.record(data)
    readable = ReadableLogRecord(given.log_record, MADE.resource, given.instrumentation_scope)
    body = encode_logs([readable]).SerializeToString()
    (found,) = ExportLogsServiceRequest.FromString(body).resource_logs[0].scope_logs[0].log_records
    return found


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


@pytest.mark.parametrize("state", ["x", "a b=2", "A=1", "=" * 512])
def test_a_state_that_is_none_is_left_out(state: str) -> None:
    assert made(trace_state=state).trace_state == ""


@pytest.mark.parametrize(
    ("kind", "parent", "flags"),
    [("server", PARENT, 0x300), ("server", "", 0x100), ("client", PARENT, 0x100)],
    ids=["server", "root", "client"],
)
def test_only_a_servers_parent_is_of_another_process(kind: str, parent: str, flags: int) -> None:
    assert made(kind=kind, parent_id=parent).flags == flags


@pytest.mark.parametrize(
    "wrong", [{"trace_id": "not hex"}, {"parent_id": "no"}, {"start_ns": -1}, {"kind": "consumer"}]
)
def test_what_is_no_span_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Exception):  # noqa: B017 - which one does not matter to who sends
        made(**wrong)


@pytest.mark.parametrize("severity", ["INFO", "WARN", "ERROR", "what"])
def test_a_log_record(severity: str) -> None:
    before = time.time_ns()
    found = record(
        LogData(5, severity, "{}\ud800" * 5000, {"telemock.rule": "r"}, TRACE, SPAN, "e")
    )
    assert found.time_unix_nano == 5
    assert before <= found.observed_time_unix_nano <= time.time_ns()
    assert found.body.string_value == "{}?" * 5000  # whole: a record is one line of JSON
    assert values(found.attributes) == {"telemock.rule": "r"}
    assert (found.trace_id.hex(), found.span_id.hex(), found.flags) == (TRACE, SPAN, 1)
    assert (found.severity_text, found.event_name) == (severity, "e")
    assert found.severity_number == {"INFO": 9, "WARN": 13, "ERROR": 17}.get(severity, 0)


def test_a_log_record_without_a_span() -> None:
    found = record(LogData(5, "INFO", "", {}))
    assert (found.trace_id, found.span_id, found.flags) == (b"", b"", 0)


def test_the_resource_names_the_sdk_and_the_scope_telemock() -> None:
    span = MADE.span(SpanData("n", "server", TRACE, SPAN, "", 1, 2, {}))
    (found,) = encode_spans([span]).resource_spans
    attributes = values(found.resource.attributes)
    assert attributes.pop("service.instance.id")  # the SDK makes one up where there is none
    assert attributes == {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": version("opentelemetry-sdk"),
        "service.name": "telemock-app",
        "service.version": "7",
        "k8s.pod.name": "p?",
    }
    scope = found.scope_spans[0].scope
    assert (scope.name, scope.version) == ("telemock", "7")


def test_the_variables_win_over_what_the_process_says_of_itself() -> None:
    given = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
        "OTEL_RESOURCE_ATTRIBUTES": "team=a%2Cb, service.name=other,k8s.pod.name=q",
        "OTEL_SERVICE_NAME": "mine",
    }
    otel = read(given, service="telemock-app", version="1", resource={"k8s.pod.name": "p"})
    with environment(otel):
        attributes = Made(otel).resource.attributes
    assert attributes["team"] == "a,b"
    assert (attributes["service.name"], attributes["k8s.pod.name"]) == ("mine", "q")
    assert attributes["service.version"] == "1"


@given(st.recursive(st.text() | st.binary() | st.integers() | st.none(), st.lists, max_leaves=20))
def test_nothing_that_is_an_attribute_cannot_be_encoded(value: Any) -> None:
    assert [a.key for a in made(attributes={"a": value, "b": 1}).attributes] == ["a", "b"]
