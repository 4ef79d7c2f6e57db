"""Sends a process's spans, metrics and log records to an OTLP endpoint, from threads of its own.

One Exporter a process, made from what `app.otel.settings` read. Handing over costs microseconds
and never waits: what a slow or dead endpoint does not take is dropped and counted in
`telemock.otlp.dropped`. With nothing asked for it does nothing. OpenTelemetry's SDK is not used:
with what it imports it would be 12 MB in every sidecar.
"""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

from app.otel import otlp, points
from app.otel.metrics import Metrics
from app.otel.sender import Batches, Periodic, Sender
from app.otel.settings import Otel

DROPS = ("queue_full", "export_failed", "rejected", "shutdown")
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
        self._otel = otel
        self._metrics = metrics
        self._batches: list[Sender] = []
        self._periodic: list[Sender] = []
        self._spans: Batches | None = None
        self._records: Batches | None = None
        self.traces = otel.traces
        self.logs = otel.logs

    def start(self) -> None:
        """Starts the threads. To be called once."""
        otel, metrics = self._otel, self._metrics
        resource = otlp.resource(otel.resource, otel.version)
        request = partial(otlp.request, resource, otel.version)
        if self.traces:
            self._spans = Batches(
                "traces", otel.targets["traces"], metrics, otel.spans, otlp.span, request
            )
            self._batches.append(self._spans)
        if self.logs:
            self._records = Batches(
                "logs", otel.targets["logs"], metrics, otel.records, otlp.log, request
            )
            self._batches.append(self._records)
        if otel.metrics:
            collect = partial(points.collect, metrics)
            self._periodic.append(
                Periodic(otel.targets["metrics"], metrics, otel.metric_interval_s, collect, request)
            )
        for sender in self._batches + self._periodic:
            for reason in DROPS:  # an alert sees the first one only if there was a 0 before it
                metrics.add("telemock.otlp.dropped", (sender.signal, reason), 0)
            sender.start()

    def close(self, timeout_s: float) -> None:
        """Sends what waits, within this time; what is left is dropped and counted."""
        begun = time.monotonic()
        # The metrics go last, since they count what the others had to drop: a third is theirs.
        for senders, part in ((self._batches, 2 / 3), (self._periodic, 1)):
            for sender in senders:
                sender.close(begun + timeout_s * part)
            for sender in senders:
                sender.finish(begun + timeout_s * part)

    def span(self, span: SpanData) -> None:
        """Never waits, never raises. Any thread. Does nothing before `start`."""
        if self._spans is not None:
            self._spans.put(span, _size(span.attributes))

    def log(self, log: LogData) -> None:
        """Never waits, never raises. Any thread. Does nothing before `start`."""
        if self._records is not None:
            self._records.put(log, len(log.body) + _size(log.attributes))

    def state(self) -> dict[str, Any]:
        """For the health page: by signal where it goes and why it does not arrive, if so."""
        return {
            sender.signal: {"endpoint": sender.target.shown, "trouble": sender.trouble}
            for sender in self._batches + self._periodic
        }


def _size(attributes: Attributes) -> int:
    """Characters, about; what an item costs beside its texts is bounded by their number."""
    return sum(len(value) for value in attributes.values() if isinstance(value, str))
