"""Durations and spans of the requests that the app answers.

The mock begins a span on the event loop, which is two ids and the sampling decision, and hands over
the outcome; a thread counts it and makes the span, masked. Made by `app.runtime`, which also takes
what `otel` reads; the injector uses `otel` alone, as it has no spans.
"""

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import quote_plus

from app.contract.masking.fields import MASK
from app.contract.masking.masker import Masker
from app.contract.names import HEADER_RECORD
from app.contract.printable import place
from app.contract.record import CaptureRecord, Pair, first, short
from app.contract.semconv import method_of, scheme_of, span_name
from app.mock.request import Arrived, request_of
from app.otel import ids
from app.otel.export import Exporter
from app.otel.items import SpanData
from app.otel.metrics import Metrics
from app.otel.sampling import Sampler
from app.otel.settings import Otel

WAITING = 10_000  # most requests that wait for the thread
_GATHER_S = 0.05  # wait for more requests, to handle them together
_UNKNOWN = "?"  # no profile's id: masking then uses the rules of all profiles
_RECORD = re.compile(r"[0-9a-f]{16,32}-[0-9]{1,16}")

log = logging.getLogger(__name__)


class Span(NamedTuple):
    """One request's place in its trace. `sampled`: it is exported."""

    trace_id: str
    span_id: str
    parent_id: str
    sampled: bool


class AnsweredRequest(NamedTuple):
    """A request's outcome. `status` 0: no answer was sent. `error` is the span's error.type, ""
    without one."""

    span: Span
    asked: Arrived
    action: str
    profile: str
    rule: str
    route: str
    safe_query: tuple[str, ...]  # the profile's: parameters whose values a span may show
    time_ns: int
    duration_ns: int
    status: int
    error: str


class Telemetry:
    """`exporter` is open from `start` to `close`. Call `answered` and `begin` on the event loop."""

    def __init__(self, otel: Otel, metrics: Metrics, masker: Callable[[], Masker]) -> None:
        self.exporter = Exporter(otel, metrics)
        self._sampler = Sampler(otel) if otel.traces else None
        self._metrics = metrics
        self._masker = masker
        self._waiting: deque[AnsweredRequest] = deque()
        self._working = threading.Lock()
        self._work = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemock-spans", daemon=True)

    def start(self) -> None:
        self.exporter.start()
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Exports waiting requests, within this time."""
        self._closing.set()
        self._work.set()
        until = time.monotonic() + timeout_s
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self.settle()
        self.exporter.close(max(0.0, until - time.monotonic()))

    def begin(self, traceparent: str) -> Span:
        """Continues the client's trace if it names one, else starts one."""
        parent = ids.parent(traceparent)
        trace = parent.trace_id if parent else ids.trace_id()
        sampled = self._sampler is not None and self._sampler.sampled(
            trace, parent.sampled if parent else None
        )
        return Span(trace, ids.span_id(), parent.span_id if parent else "", sampled)

    def answered(self, answered: AnsweredRequest) -> None:
        """Never blocks. When the queue is full, drops the span and counts it."""
        if len(self._waiting) >= WAITING:
            if answered.span.sampled:
                self._metrics.add("telemock.otlp.dropped", ("traces", "queue_full"))
            self._measure(answered)
            return
        self._waiting.append(answered)
        if not self._work.is_set():
            self._work.set()

    def settle(self) -> None:
        """Counts everything that was handed over before, then returns. Any thread."""
        with self._working:
            while self._waiting:
                answered = self._waiting.popleft()
                self._measure(answered)
                if answered.span.sampled:
                    try:
                        self.exporter.span(self._span(answered))
                    except Exception as e:  # unmasked content is never exported
                        log.error("a span could not be made: %s", place(e))
                        self._metrics.add("telemock.otlp.dropped", ("traces", "unmaskable"))

    def _run(self) -> None:
        while not self._closing.is_set():
            self._work.wait()
            self._closing.wait(_GATHER_S)
            self._work.clear()
            self.settle()

    def _measure(self, answered: AnsweredRequest) -> None:
        seconds = answered.duration_ns / 1e9
        span = answered.span
        method, scheme = method_of(answered.asked.method), scheme_of(answered.asked.scheme)
        exemplar = {"trace_id": span.trace_id, "span_id": span.span_id} if span.sampled else None
        status = str(answered.status or "")
        self._metrics.observe(
            "http.server.request.duration",
            (method, scheme, status, answered.error, answered.action),
            seconds,
            exemplar,
        )
        self._metrics.observe(
            "telemock.mock.duration", (answered.profile, answered.rule), seconds, exemplar
        )

    def _span(self, answered: AnsweredRequest) -> SpanData:
        span, asked = answered.span, answered.asked
        # As a record: the masker then also masks a value in the path that a sensitive name holds.
        request = (
            self._masker()
            .record(
                CaptureRecord(
                    boot="0" * 16,
                    seq=1,
                    kind="exchange",
                    time_ns=0,
                    profile=answered.profile or _UNKNOWN,
                    rule=answered.rule,
                    route=answered.route,
                    request=request_of(asked, None),
                )
            )
            .request
        )
        if request is None:
            raise ValueError("the masking took the request")
        record = asked.internal.get(HEADER_RECORD, "")
        attributes: dict[str, str | int] = {
            "http.request.method": method_of(asked.method),
            "url.scheme": scheme_of(asked.scheme),
            "url.path": request.path,
            "url.query": _query(request.query, answered.safe_query),
            "server.address": request.host,
            "server.port": asked.port,
            "client.address": asked.client.address if asked.client else "",
            "network.protocol.version": asked.http_version,
            "user_agent.original": first(request.headers, "user-agent"),
            "http.response.status_code": answered.status,
            "http.route": answered.route,
            "error.type": answered.error,
            "telemock.action": answered.action,
            "telemock.profile": answered.profile,
            "telemock.rule": answered.rule,
            "telemock.record": record if _RECORD.fullmatch(record) else "",
        }
        return SpanData(
            name=span_name(asked.method, answered.route),
            kind="server",
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_id=span.parent_id,
            start_ns=answered.time_ns,
            end_ns=answered.time_ns + answered.duration_ns,
            attributes={key: value for key, value in attributes.items() if value},
            error=answered.error,
        )


def _query(query: Sequence[Pair], safe: tuple[str, ...]) -> str:
    """Renders a masked query, with values of safe parameters only."""
    shown = []
    for name, value in query:
        if not value:
            shown.append(MASK)  # it may be a bare value without a name
        else:
            plain = name if name.isalnum() and name.isascii() else quote_plus(name)
            shown.append(f"{plain}={quote_plus(value) if name.lower() in safe else MASK}")
    return short("&".join(shown))
