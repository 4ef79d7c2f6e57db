"""A signal's way out: what waits for it is bounded, the SDK batches and exports it, and whatever
was taken over and does not arrive is counted in `telemock.otlp.dropped`, once.

Made by `app.otel.export`, one for each signal, so that traces that nobody takes hold up no metrics.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from app.otel import sdk
from app.otel.metrics import Metrics
from app.otel.points import collect
from app.otel.session import Session
from app.otel.settings import Otel, Signal

DROPS = ("queue_full", "export_failed", "rejected", "shutdown")
SIZE = 16 << 20  # characters that wait at most, of one signal
BATCH_SIZE = 4 << 20  # of one request; Collectors take 20 MiB unless told otherwise

log = logging.getLogger(__name__)


class Pipeline:
    """The bounds, the SDK's batching and the SDK's exporter of one signal.

    The SDK's queues drop the oldest item without a word to the program, and bound no sizes: nothing
    is handed to them that has no room here.
    """

    def __init__(self, signal: Signal, otel: Otel, metrics: Metrics, made: sdk.Made) -> None:
        """Starts the threads. Within `sdk.environment`."""
        self.signal: Signal = signal
        self.endpoint = otel.endpoints[signal]
        self.trouble = ""  # why the endpoint does not take it; "" when it does
        self._items = otel.queues.get(signal, 0)
        self._metrics = metrics
        self._session = Session()
        self._exporter = sdk.exporter(signal, otel, self._session)
        for reason in DROPS:  # an alert sees the first one only if there was a 0 before it
            metrics.add("telemock.otlp.dropped", (signal, reason), 0)
        self._lock = threading.Lock()
        self._sizes: deque[int] = deque()  # of what waits
        self._size = 0
        self._sending = 0  # items on their way
        self._closing = self._given_up = False
        exporter: Any = self  # of spans and of records: their two interfaces have the same methods
        processor: BatchSpanProcessor | BatchLogRecordProcessor | _Periodic
        if signal == "traces":
            processor = spans = BatchSpanProcessor(exporter)
            self._hand_over: Callable[[Any], None] = lambda data: spans.on_end(made.span(data))
        elif signal == "logs":
            processor = records = BatchLogRecordProcessor(exporter)
            self._hand_over = lambda data: records.on_emit(made.record(data))
        else:
            points = partial(collect, metrics, made.resource, made.scope)
            processor = _Periodic(self, otel.metric_interval_s, points)
        self._closer = threading.Thread(
            target=processor.shutdown, name=f"otlp-{signal}-end", daemon=True
        )

    def put(self, item: Any, size: int) -> None:
        """Never waits, never raises. Any thread."""
        if not self._has_room(size):
            return
        try:
            self._hand_over(item)
        except Exception:  # one that is wrong must not cost the others
            with self._lock:
                self._size -= self._sizes.pop() if self._sizes else 0
            self._drop(1, "export_failed")
            log.debug("cannot be exported", exc_info=True)

    def close(self, until: float) -> None:
        """Begins the end: nothing is taken over any more, no request goes on beyond it. `finish`
        waits for it. Times are of `time.monotonic()`."""
        self._closing = True
        self._session.end(until)
        if self._closer.ident is None:
            self._closer.start()

    def finish(self, until: float) -> None:
        """Counts what is left then, and ends a wait for another try."""
        # The SDK's shutdown waits half a minute for its thread, and cannot be told to wait less.
        self._closer.join(max(until - time.monotonic(), 0))
        with self._lock:
            self._given_up = True
            left, self._sending = len(self._sizes) + self._sending, 0
            self._sizes.clear()
        self._drop(left, "shutdown")
        self.shutdown()

    def shutdown(self) -> None:
        """Called by the SDK's processor, from its own shutdown."""
        self._exporter.shutdown()

    def _has_room(self, size: int) -> bool:
        """Takes a place for one item; without one it is dropped."""
        with self._lock:
            reason = ""
            if self._closing:
                reason = "shutdown"
            elif len(self._sizes) >= self._items or self._size + size > SIZE:
                reason = "queue_full"
            else:
                self._sizes.append(size)
                self._size += size
        if reason:
            self._drop(1, reason)
        return not reason

    def export(self, items: Sequence[Any]) -> None:
        """Called by the SDK's processor, from its thread."""
        with self._lock:
            if self._given_up:
                return
            sizes = [self._sizes.popleft() for _ in items]
            self._size -= sum(sizes)
            self._sending += len(items)
        begin = size = 0
        for n, of_item in enumerate(sizes):
            if n > begin and size + of_item > BATCH_SIZE:
                self._send(items[begin:n], n - begin)
                begin, size = n, 0
            size += of_item
        self._send(items[begin:], len(items) - begin)

    def export_points(self, points: MetricsData, count: int) -> None:
        with self._lock:
            if not self._given_up:
                self._sending += count
        self._send(points, count)

    def _send(self, items: Any, count: int) -> None:
        trouble, rejected = self._sent(items)
        with self._lock:
            if self._given_up:  # and counted
                return
            self._sending -= count
        self._drop(*((count, "export_failed") if trouble else (rejected, "rejected")))
        self._tell(trouble)

    def _sent(self, items: Any) -> tuple[str, int]:
        """ "" when it was taken, else why not; and how many items of it were rejected."""
        try:
            if self._exporter.export(items).name == "SUCCESS":
                return "", self._session.rejected
            return self._session.trouble or "the exporter gave it up", 0
        except Exception as e:  # nothing may end the SDK's thread
            return type(e).__name__, 0

    def _drop(self, count: int, reason: str) -> None:
        if count:
            self._metrics.add("telemock.otlp.dropped", (self.signal, reason), count)

    def _tell(self, trouble: str) -> None:
        was, self.trouble = self.trouble, trouble
        if trouble and not was:
            log.warning(
                "%s do not arrive at %s: %s; those that cannot wait are dropped, and counted in "
                "telemock_otlp_dropped_total%s",
                self.signal, self.endpoint, trouble, _hint(self.endpoint),
            )  # fmt: skip
        elif was and not trouble:
            log.info("%s arrive again at %s", self.signal, self.endpoint)


class _Periodic(threading.Thread):
    """Exports the points each interval, and once more at the end. The SDK's own reader reads
    nothing but the SDK's own instruments."""

    def __init__(
        self, pipeline: Pipeline, interval_s: float, points: Callable[[], tuple[MetricsData, int]]
    ) -> None:
        super().__init__(name="otlp-metrics", daemon=True)
        self._pipeline = pipeline
        self._interval_s = interval_s
        self._points = points
        self._end = threading.Event()
        self.start()

    def run(self) -> None:
        last = False
        while not last:
            last = self._end.wait(self._interval_s)
            try:
                data, count = self._points()
            except Exception:  # one bad look must not end it
                log.exception("the metrics cannot be read")
            else:
                self._pipeline.export_points(data, count)

    def shutdown(self) -> None:
        self._end.set()
        self.join()


def _hint(endpoint: str) -> str:
    if endpoint.startswith("http://") and ":4317/" in endpoint:
        return "\n\nhint: 4317 is gRPC's port on most Collectors; OTLP over HTTP has 4318"
    return ""
