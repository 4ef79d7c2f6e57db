"""OpenTelemetry's SDK in this process: its resource, sampler and exporters, and our spans and
records in its form.

Only this, `app.otel.pipeline`, `points` and `session` import it: it takes 7 MiB of a process.
`app.otel.export` and `sampling` load it if there is something to export.
"""

import importlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordLimits, ReadWriteLogRecord
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import Decision
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

from app.otel.items import LogData, SpanData
from app.otel.settings import Otel, Signal

VALUE_CAP = 4096  # characters of an attribute; a URL may be longer
ITEMS_CAP = 100  # items of an attribute that is a list
_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
_SEVERITIES = {
    "INFO": SeverityNumber.INFO,
    "WARN": SeverityNumber.WARN,
    "ERROR": SeverityNumber.ERROR,
}
_EXPORTERS: dict[Signal, tuple[str, str]] = {
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_INT64 = 1 << 63

# They would log every attempt, some with a traceback, and urllib3 the URL with its query:
# `app.otel.pipeline` logs once when the endpoint is lost and once when it is back.
logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).setLevel(logging.ERROR)


@contextmanager
def environment(otel: Otel) -> Iterator[None]:
    """Sets OTEL_* in `os.environ` while the SDK is set up: it reads no other place."""
    former = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
    _replace(otel.environ)
    try:
        yield
    finally:
        _replace(former)


def _replace(variables: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        del os.environ[name]
    os.environ.update(variables)


def sampler(otel: Otel) -> Callable[[Context | None, int], bool]:
    """Returns the sampler: a function of the client's span, if any, and the trace id."""
    with environment(otel):
        provider = TracerProvider(resource=Resource.get_empty(), shutdown_on_exit=False)
    ask, keep = provider.sampler.should_sample, Decision.RECORD_AND_SAMPLE
    return lambda under, trace_id: ask(under, trace_id, "").decision is keep


def parent(sampled: bool) -> Context:
    """A context with a client's span; samplers look at its flag, not at its ids."""
    flags = _SAMPLED if sampled else TraceFlags()
    return set_span_in_context(NonRecordingSpan(SpanContext(1, 1, True, flags)), Context())


def exporter(signal: Signal, otel: Otel, session: Any) -> Any:
    """Makes the SDK's exporter, set up by the variables. Call it within `environment`."""
    protocol = "grpc" if signal in otel.grpc else "http"
    module, name = _EXPORTERS[signal]
    found = importlib.import_module(f"opentelemetry.exporter.otlp.proto.{protocol}.{module}")
    made = getattr(found, name)
    return made() if protocol == "grpc" else made(session=session)


class Made:
    """Makes the SDK's spans and records, which all carry this resource and scope. Make it within
    `environment`."""

    def __init__(self, otel: Otel) -> None:
        attributes = {_text(name): _text(value) for name, value in otel.resource.items()}
        # Resource.create lets its arguments win over the variables; here the variables win.
        self.resource = Resource.create(attributes).merge(OTELResourceDetector().detect())
        self.scope = InstrumentationScope("telemock", otel.version)
        self._limits = LogRecordLimits()

    def span(self, data: SpanData) -> ReadableSpan:
        trace_id = int(data.trace_id, 16)
        state = TraceState.from_header([data.trace_state]) if data.trace_state else None
        parent = None
        if data.parent_id:
            remote = data.kind == "server"
            parent = SpanContext(trace_id, int(data.parent_id, 16), remote, _SAMPLED)
        return ReadableSpan(
            name=_text(data.name),
            context=SpanContext(trace_id, int(data.span_id, 16), False, _SAMPLED, state),
            parent=parent,
            resource=self.resource,
            attributes=_attributes(data.attributes),
            events=[
                Event(_text(name), _attributes(attributes), time_ns)
                for name, time_ns, attributes in data.events
            ],
            kind=_KINDS[data.kind],
            status=Status(StatusCode.ERROR, _text(data.error)) if data.error else Status(),
            start_time=data.start_ns,
            end_time=data.end_ns,
            instrumentation_scope=self.scope,
        )

    def record(self, data: LogData) -> ReadWriteLogRecord:
        context = Context()
        if data.trace_id and data.span_id:
            of = SpanContext(int(data.trace_id, 16), int(data.span_id, 16), False, _SAMPLED)
            context = set_span_in_context(NonRecordingSpan(of), context)
        record = LogRecord(
            timestamp=data.time_ns,
            context=context,
            severity_text=data.severity,
            severity_number=_SEVERITIES.get(data.severity, SeverityNumber.UNSPECIFIED),
            body=encodable(data.body),
            attributes=_attributes(data.attributes),
            event_name=_text(data.event_name),
        )
        return ReadWriteLogRecord(record, self.resource, self.scope, self._limits)


def _attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {_text(name): _value(value) for name, value in attributes.items()}


def _value(value: Any) -> Any:
    """Converts a value for the encoder, which would leave out what it refuses."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return value
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_value(item) for item in value[:ITEMS_CAP]]
    return _text(str(value))


def _text(value: str) -> str:
    return encodable(value if len(value) <= VALUE_CAP else value[:VALUE_CAP] + "…")


def encodable(value: str) -> str:
    """Replaces lone surrogates, which JSON can hold: one would lose the whole batch."""
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode()
