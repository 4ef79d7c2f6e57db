"""The threads that send: one a signal, so that traces that nobody takes hold up no metrics.

Made by `app.otel.export`. An export with its retries ends within the target's timeout.
"""

import logging
import threading
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from app.otel.metrics import Metrics
from app.otel.session import Session
from app.otel.settings import Batching, Signal, Target
from app.otel.waiting import Waiting

log = logging.getLogger(__name__)


class Sender(threading.Thread):
    """Whatever it took over and could not send is counted in `telemock.otlp.dropped`, once."""

    def __init__(self, signal: Signal, target: Target, metrics: Metrics) -> None:
        super().__init__(name=f"otlp-{signal}", daemon=True)
        self.signal: Signal = signal
        self.target = target
        self._metrics = metrics
        self._session = Session(target)
        self._lock = threading.Lock()
        self._sending = 0  # items on their way
        self._given_up = threading.Event()
        self.trouble = ""  # why the endpoint does not take it; "" when it does

    def run(self) -> None:
        self._work()
        self._session.close()

    def drop(self, count: int, reason: str) -> None:
        if count:
            self._metrics.add("telemock.otlp.dropped", (self.signal, reason), count)

    def close(self, until: float) -> None:
        """Begins the end; `finish` waits for it. Times are of `time.monotonic()`."""
        self._session.end(until)
        self._stop()

    def finish(self, until: float) -> None:
        if self.ident is not None:
            self.join(max(until - time.monotonic(), 0))
        with self._lock:
            self._given_up.set()
            left, self._sending = self._sending, 0
        self.drop(left + self._left(), "shutdown")

    def _send(self, request: bytes, count: int) -> bool:
        with self._lock:
            late = self._given_up.is_set()
            self._sending = 0 if late else count  # from now on `finish` counts them
        if late:
            self.drop(count, "shutdown")
            return False
        trouble, rejected = _sent(self._session, request)
        with self._lock:
            if self._given_up.is_set():
                return False
            self._sending = 0
        self.drop(*((count, "export_failed") if trouble else (rejected, "rejected")))
        self._tell(trouble)
        return not trouble

    def _tell(self, trouble: str) -> None:
        was, self.trouble = self.trouble, trouble
        if trouble and not was:
            log.warning(
                "%s do not arrive at %s: %s; those that cannot wait are dropped, and counted in "
                "telemock_otlp_dropped_total%s",
                self.signal, self.target.shown, trouble, _hint(self.target),
            )  # fmt: skip
        elif was and not trouble:
            log.info("%s arrive again at %s", self.signal, self.target.shown)

    @abstractmethod
    def _work(self) -> None:
        """Until it is to stop."""

    @abstractmethod
    def _stop(self) -> None: ...

    @abstractmethod
    def _left(self) -> int:
        """How many items still wait; they are forgotten."""


class Batches(Sender):
    """Sends what is handed over, in batches; `encode` makes OTLP's form of an item, `request` one
    of many."""

    def __init__(
        self, signal: Signal, target: Target, metrics: Metrics, batching: Batching,
        encode: Callable[[Any], bytes], request: Callable[[list[bytes]], bytes],
    ) -> None:  # fmt: skip
        super().__init__(signal, target, metrics)
        self._waiting: Waiting[Any] = Waiting(batching.queue, batching.batch)
        self._delay_s = batching.delay_s
        self._encode = encode
        self._request = request

    def put(self, item: Any, size: int) -> None:
        reason = self._waiting.put(item, size)
        if reason:
            self.drop(1, reason)

    def _work(self) -> None:
        while True:
            last = self._waiting.closed
            items = self._waiting.take(self._delay_s)
            if items:
                sent = self._send_batch(items)
                if last and not sent:
                    return
            elif last:
                return

    def _send_batch(self, items: list[Any]) -> bool:
        encoded = []
        for item in items:
            try:
                encoded.append(self._encode(item))
            except Exception:  # one that is wrong must not cost the others
                self.drop(1, "export_failed")
                log.debug("cannot be exported", exc_info=True)
        return not encoded or self._send(self._request(encoded), len(encoded))

    def _stop(self) -> None:
        self._waiting.close()

    def _left(self) -> int:
        return self._waiting.clear()


class Periodic(Sender):
    """Sends the metrics that `collect` gives and counts the points of, each interval and once more
    at the end; `request` makes one of them."""

    def __init__(
        self, target: Target, metrics: Metrics, interval_s: float,
        collect: Callable[[], tuple[list[bytes], int]], request: Callable[[list[bytes]], bytes],
    ) -> None:  # fmt: skip
        super().__init__("metrics", target, metrics)
        self._interval_s = interval_s
        self._collect = collect
        self._request = request
        self._end = threading.Event()

    def _work(self) -> None:
        last = False
        while not last:
            last = self._end.wait(self._interval_s)
            try:
                items, count = self._collect()
            except Exception:
                log.exception("the metrics cannot be read")
                continue
            self._send(self._request(items), count)

    def _stop(self) -> None:
        self._end.set()

    def _left(self) -> int:
        return 0


def _sent(session: Session, request: bytes) -> tuple[str, int]:
    """ "" when it was taken, else why not; and how many items of it were rejected."""
    try:
        outcome = session.export(request)
    except Exception as e:  # nothing may end the thread
        return type(e).__name__, 0
    return outcome.trouble, outcome.rejected


def _hint(target: Target) -> str:
    if ":4317/" in target.endpoint:
        return "\n\nhint: 4317 is gRPC's port on most Collectors; OTLP over HTTP has 4318"
    return ""
