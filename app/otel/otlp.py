"""Our spans and log records as the SDK's, and the SDK's exporters that send them.

Everything here imports the SDK: `app.otel.export` imports it only when something is asked for.
"""

import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace.status import Status, StatusCode

from app.otel.session import Session
from app.otel.settings import Signal, Target

if TYPE_CHECKING:
    from app.otel.export import LogData, SpanData

VALUE_CAP = 4096  # characters of an attribute; a URL may be longer
_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
_SEVERITIES = {
    "INFO": SeverityNumber.INFO,
    "WARN": SeverityNumber.WARN,
    "ERROR": SeverityNumber.ERROR,
}
_EXPORTERS = {"traces": OTLPSpanExporter, "metrics": OTLPMetricExporter, "logs": OTLPLogExporter}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_INT64 = 1 << 63

# They would write a line, some with a traceback, for every attempt: `app.otel.sender` writes one
# when the endpoint is lost and one when it is back.
logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)


def resource(attributes: Mapping[str, str]) -> Resource:
    return Resource(
        {
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": version("opentelemetry-sdk"),
            **{_text(name): _text(value) for name, value in attributes.items()},
        }
    )


def scope(telemock: str) -> InstrumentationScope:
    return InstrumentationScope("telemock", telemock)


def exporter(signal: Signal, target: Target, session: Session) -> Any:
    """The SDK's exporter of a signal; `export()` of its result is named SUCCESS or FAILURE."""
    return _EXPORTERS[signal](
        endpoint=target.endpoint,
        headers=target.headers,
        timeout=target.timeout_s,
        compression=Compression(target.compression),
        certificate_file=target.certificate or None,
        client_certificate_file=target.client_certificate or None,
        client_key_file=target.client_key or None,
        session=session,
    )


def span(data: "SpanData", resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    trace_id = int(data.trace_id, 16)
    state = TraceState.from_header([data.trace_state]) if data.trace_state else None
    parent = None
    if data.parent_id:
        parent = SpanContext(trace_id, int(data.parent_id, 16), data.kind == "server", _SAMPLED)
    return ReadableSpan(
        name=_text(data.name),
        context=SpanContext(trace_id, int(data.span_id, 16), False, _SAMPLED, state),
        parent=parent,
        resource=resource,
        attributes=_attributes(data.attributes),
        events=[
            Event(_text(name), _attributes(attributes), time_ns)
            for name, time_ns, attributes in data.events
        ],
        kind=_KINDS[data.kind],
        status=Status(StatusCode.ERROR, _text(data.error)) if data.error else Status(),
        start_time=data.start_ns,
        end_time=data.end_ns,
        instrumentation_scope=scope,
    )


def log(data: "LogData", resource: Resource, scope: InstrumentationScope) -> ReadableLogRecord:
    context = Context()
    if data.trace_id and data.span_id:
        of = SpanContext(int(data.trace_id, 16), int(data.span_id, 16), False, _SAMPLED)
        context = set_span_in_context(NonRecordingSpan(of), context)
    record = LogRecord(
        timestamp=data.time_ns,
        context=context,
        severity_text=data.severity,
        severity_number=_SEVERITIES.get(data.severity, SeverityNumber.UNSPECIFIED),
        body=_encodable(data.body),
        attributes=_attributes(data.attributes),
        event_name=_text(data.event_name),
    )
    return ReadableLogRecord(record, resource, scope)


def _attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {_text(name): _value(value) for name, value in attributes.items()}


def _value(value: Any) -> Any:
    """As the encoder takes it; what it refuses it would leave out."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return value
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_value(item) for item in value[:100]]
    return _text(str(value))


def _text(value: str) -> str:
    return _encodable(value if len(value) <= VALUE_CAP else value[:VALUE_CAP] + "…")


def _encodable(value: str) -> str:
    """One half of a surrogate pair, which JSON can hold, would lose the whole batch."""
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode()
