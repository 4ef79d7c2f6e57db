import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from app.otel import ids, otlp
from app.otel.export import LogData, SpanData

RESOURCE = otlp.resource({"service.name": "telemock-app", "service.version": "1"}, "1")
TRACE, SPAN, PARENT = ids.trace_id(), ids.span_id(), ids.span_id()


def spans(*data: SpanData) -> Any:
    """Those of one scope, as they go over the wire."""
    body = otlp.request(RESOURCE, "1", [otlp.span(item) for item in data])
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
    body = otlp.request(RESOURCE, "1", [otlp.log(data)])
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


@pytest.mark.parametrize("state", ["x", "a=1,a b=2", "A=1", "a=", "a=1\n", "=" * 512])
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
    "wrong",
    [{"trace_id": "not hex"}, {"trace_id": SPAN}, {"span_id": TRACE}, {"parent_id": "ab"},
     {"start_ns": -1}, {"end_ns": 2**64}, {"kind": "consumer"}],
)  # fmt: skip
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


def test_the_resource_says_which_sdk_and_the_scope_which_version() -> None:
    body = otlp.request(RESOURCE, "7", [])
    (found,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert values(found.resource.attributes) == {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "telemock",  # `opentelemetry` is for OpenTelemetry's own
        "telemetry.sdk.version": "1",
        "service.name": "telemock-app",
        "service.version": "1",
    }
    scope = found.scope_spans[0].scope
    assert (scope.name, scope.version) == ("telemock", "7")


TEXT = st.text(st.characters(codec="utf-8"), max_size=200)
TIME = st.integers(0, 2**64 - 1)
SCALAR = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
ATTRIBUTES = st.dictionaries(TEXT, SCALAR | st.lists(SCALAR, max_size=5), max_size=8)
HEX = "0123456789abcdef"
TRACE_ID, SPAN_ID = (st.text(HEX, min_size=n, max_size=n) for n in (32, 16))
KINDS = {
    "server": Span.SPAN_KIND_SERVER,
    "client": Span.SPAN_KIND_CLIENT,
    "internal": Span.SPAN_KIND_INTERNAL,
}


def any_value(value: Any) -> AnyValue:
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=map(any_value, value)))
    names = {bool: "bool_value", str: "string_value", int: "int_value", float: "double_value"}
    return AnyValue(**{names[type(value)]: value})


def key_values(attributes: Any) -> list[KeyValue]:
    return [KeyValue(key=name, value=any_value(value)) for name, value in attributes.items()]


SPANS = st.builds(
    SpanData,
    name=TEXT, kind=st.sampled_from(sorted(KINDS)), trace_id=TRACE_ID, span_id=SPAN_ID,
    parent_id=SPAN_ID | st.just(""), start_ns=TIME, end_ns=TIME, attributes=ATTRIBUTES,
    error=TEXT, events=st.lists(st.tuples(TEXT, TIME, ATTRIBUTES), max_size=3).map(tuple),
    trace_state=st.sampled_from(["", "a=1", "0a@b=x y, c/*=!"]),
)  # fmt: skip


@given(st.lists(SPANS, max_size=4))
def test_protobufs_own_parser_reads_every_field_of_every_span(given: list[SpanData]) -> None:
    expected = [
        Span(
            trace_id=bytes.fromhex(data.trace_id),
            span_id=bytes.fromhex(data.span_id),
            trace_state=data.trace_state,
            parent_span_id=bytes.fromhex(data.parent_id),
            flags=0x300 if data.parent_id and data.kind == "server" else 0x100,
            name=data.name,
            kind=KINDS[data.kind],
            start_time_unix_nano=data.start_ns,
            end_time_unix_nano=data.end_ns,
            attributes=key_values(data.attributes),
            events=[
                Span.Event(name=name, time_unix_nano=at, attributes=key_values(attributes))
                for name, at, attributes in data.events
            ],
            status=Status(code=Status.STATUS_CODE_ERROR, message=data.error)
            if data.error
            else Status(),
        )
        for data in given
    ]
    found = spans(*given)
    assert list(found) == expected


RECORDS = st.builds(
    LogData,
    time_ns=TIME, severity=st.sampled_from(["INFO", "WARN", "ERROR"]), body=TEXT,
    attributes=ATTRIBUTES, trace_id=TRACE_ID, span_id=SPAN_ID, event_name=TEXT,
)  # fmt: skip


@given(RECORDS)
def test_protobufs_own_parser_reads_every_field_of_every_record(given: LogData) -> None:
    found = record(given)
    assert found == LogRecord(
        time_unix_nano=given.time_ns,
        observed_time_unix_nano=found.observed_time_unix_nano,
        severity_number={"INFO": 9, "WARN": 13, "ERROR": 17}[given.severity],
        severity_text=given.severity,
        body=any_value(given.body),
        attributes=key_values(given.attributes),
        flags=1,
        trace_id=bytes.fromhex(given.trace_id),
        span_id=bytes.fromhex(given.span_id),
        event_name=given.event_name,
    )


@given(st.recursive(st.text() | st.binary() | st.integers() | st.none(), st.lists, max_leaves=20))
def test_nothing_that_is_an_attribute_cannot_be_encoded(value: Any) -> None:
    assert [a.key for a in made(attributes={"a": value, "b": 1}).attributes] == ["a", "b"]
