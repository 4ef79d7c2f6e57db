"""A spool and its way to the app, on a thread: for tests of what is delivered."""

import ssl
import threading
import time
from collections import Counter
from pathlib import Path

from addon.app_client.client import AppApi
from addon.record.deliver import Delivery
from addon.record.spool import Spool
from app.contract.record import CaptureRecord, encode
from app.otel.metrics import Metrics
from tests.standin import TOKEN, Behave

BOOT, OLD = "ab" * 16, "cd" * 16


def line(seq: int, size: int = 0) -> bytes:
    return encode(CaptureRecord(boot=BOOT, seq=seq, kind="exchange", time_ns=1, detail="x" * size))


def failing(status: int, times: int) -> Behave:
    """An app that answers so at first."""
    left = iter([(status, b"")] * times)
    return lambda lines: next(left, None)


class Case:
    def __init__(self, directory: Path) -> None:
        self.lost: Counter[str] = Counter()
        self.metrics = Metrics("sidecar")
        self.spool = Spool(directory / "spool", BOOT, 64 << 20, self.count)
        self.token = TOKEN
        self.tls: ssl.SSLContext | None = None
        self.delivery: Delivery | None = None
        self.thread: threading.Thread | None = None

    def count(self, reason: str, number: int) -> None:
        self.lost[reason] += number

    def api(self, url: str) -> AppApi:
        return AppApi(url, lambda: self.token, self.tls)

    def start(self, url: str) -> Delivery:
        self.delivery = Delivery(self.spool, self.api(url), self.metrics)
        self.thread = threading.Thread(target=self.delivery.run, daemon=True)
        self.thread.start()
        return self.delivery

    def finish(self, seconds: float) -> None:
        if self.delivery is None or self.thread is None:
            return
        self.delivery.finish(time.monotonic() + seconds)
        self.thread.join(seconds + 0.2)
        if self.thread.is_alive():
            self.delivery.abort()
            self.thread.join(5)
        assert not self.thread.is_alive()
        self.delivery = None

    def outcomes(self, outcome: str) -> float:
        labels = {"telemock_outcome": outcome}
        return self.metrics.registry.get_sample_value("telemock_ship_batches_total", labels) or 0
