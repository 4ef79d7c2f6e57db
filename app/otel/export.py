"""Sends a process's spans, metrics and log records to an OTLP endpoint, from threads of its own.

One Exporter a process, made from what `app.otel.settings` read. Handing over costs microseconds
and never waits: what a slow or dead endpoint does not take is dropped and counted in
`telemock.otlp.dropped`. With nothing asked for it does nothing and imports no SDK.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from app.otel.metrics import Metrics
from app.otel.settings import Otel

Attributes = Mapping[str, Any]  # of str, bool, int, float


class SpanData(NamedTuple):
    """A span that has ended. Everything in it is masked already. Times are Unix nanoseconds."""

    name: str
    kind: Literal["server", "client", "internal"]
    trace_id: str  # lower-case hex, 32 digits
    span_id: str  # 16 digits
    parent_id: str  # "" without a parent
    start_ns: int
    end_ns: int
    attributes: Attributes
    error: str = ""  # "" is fine; anything else is status Error with this description
    events: tuple[tuple[str, int, Attributes], ...] = ()  # name, time, attributes
    trace_state: str = ""


class LogData(NamedTuple):
    time_ns: int
    severity: str  # INFO, WARN or ERROR
    body: str
    attributes: Attributes
    trace_id: str = ""
    span_id: str = ""
    event_name: str = ""


class Exporter:
    """`traces` and `logs` say whether they are asked for: callers skip the work when not."""

    def __init__(self, otel: Otel, metrics: Metrics) -> None:
        self.traces = otel.traces
        self.logs = otel.logs

    def start(self) -> None:
        """Starts the threads."""

    def close(self, timeout_s: float) -> None:
        """Sends what waits, within this time; what is left is dropped and counted."""

    def span(self, span: SpanData) -> None:
        """Never waits, never raises. Any thread."""

    def log(self, log: LogData) -> None:
        """Never waits, never raises. Any thread."""
