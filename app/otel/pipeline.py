"""One signal's way out: a bounded queue, the SDK's batches and exporter, and one count in
`telemock.otlp.dropped` of each item that was accepted and not delivered.

`app.otel.export` makes one for each signal, so that stuck traces hold up no metrics.
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
SIZE = 16 << 20  # most characters of one signal that wait
BATCH_SIZE = 4 << 20  # characters of one request; Collectors accept 20 MiB by default

log = logging.getLogger(__name__)


class Pipeline:
    """The bounds, the SDK's batching and the SDK's exporter of one signal.

    The SDK's queues drop the oldest item without telling the program, and bound no sizes: an item
    is handed to them only if there is room here.
    """

    def __init__(self, signal: Signal, otel: Otel, metrics: Metrics, made: sdk.Made) -> None:
        """Starts the threads. Call it within `sdk.environment`."""
        self.signal: Signal = signal
        self.endpoint = otel.endpoints[signal]
        self.trouble = ""  # reason of the endpoint's refusal, "" when it accepts
        self._items = otel.queues.get(signal, 0)
        self._metrics = metrics
        self._session = Session()
        self._exporter = sdk.exporter(signal, otel, self._session)
        for reason in DROPS:  # start at 0, so that alerts see the first increase
            metrics.add("telemock.otlp.dropped", (signal, reason), 0)
        self._lock = threading.Lock()
        self._sizes: deque[int] = deque()  # sizes of the waiting items
        self._size = 0
        self._sending = 0  # items being sent
        self._closing = self._given_up = False
        exporter: Any = self  # takes spans and records: their two interfaces have the same methods
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
        """Never blocks, never raises. Any thread."""
        if not self._has_room(size):
            return
        try:
            self._hand_over(item)
        except Exception:  # a bad item must not cost the others
            with self._lock:
                self._size -= self._sizes.pop() if self._sizes else 0
            self._drop(1, "export_failed")
            log.debug("cannot be exported", exc_info=True)

    def close(self, until: float) -> None:
        """Begins the shutdown: accepts no more items, and ends each request by `until`, a time of
        `time.monotonic()`. `finish` waits for it."""
        self._closing = True
        self._session.end(until)
        if self._closer.ident is None:
            self._closer.start()

    def finish(self, until: float) -> None:
        """Waits until `until`, cancels retries, and counts what is left as dropped."""
        # The SDK's shutdown waits half a minute for its thread, and has no shorter timeout.
        self._closer.join(max(until - time.monotonic(), 0))
        with self._lock:
            self._given_up = True
            left, self._sending = len(self._sizes) + self._sending, 0
            self._sizes.clear()
        self._drop(left, "shutdown")
        self.shutdown()

    def shutdown(self) -> None:
        """Called by the SDK's processor in its own shutdown."""
        self._exporter.shutdown()

    def _has_room(self, size: int) -> bool:
        """Reserves room for one item; drops the item if there is none."""
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
        """Called by the SDK's processor on its thread."""
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
            if self._given_up:  # counted already
                return
            self._sending -= count
        self._drop(*((count, "export_failed") if trouble else (rejected, "rejected")))
        self._tell(trouble)

    def _sent(self, items: Any) -> tuple[str, int]:
        """Returns "" if it was accepted, else the reason; and the number of rejected items."""
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
    """Exports the points each interval, and once more at the end. The SDK's own reader only reads
    the SDK's own instruments."""

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
            except Exception:  # one failure must not end the thread
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
