"""A shipper with all that it needs, on a spool of its own: for tests of what leaves a sidecar."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from addon.app_client.client import AppApi
from addon.diagnostics.metrics import Measure
from addon.diagnostics.spans import Spans
from addon.exchange.exchange import Traced
from addon.record.ship import Shipper
from app.contract.masking.masker import Masker
from app.contract.record import CaptureRecord, Request
from app.contract.rules import Host, Profile, RuleSet, Sensitive
from app.otel.metrics import Metrics
from tests.standin import TOKEN

PROFILE = Profile("acme", "Acme", (Host("t.example"),), (), (Sensitive("query", "lic", "mask"),))
MASKER = Masker(RuleSet((PROFILE,)))


class Case:
    def __init__(self, directory: Path) -> None:
        self.spool = directory / "spool"
        self.metrics = Metrics("sidecar")
        self.masker: Callable[[], Masker] = lambda: MASKER
        self.shippers: list[Shipper] = []

    def shipper(
        self,
        url: str,
        stdout: BinaryIO | None = None,
        size: int = 64 << 20,
        spans: Spans | None = None,
    ) -> Shipper:
        shipper = Shipper(
            self.spool,
            AppApi(url, lambda: TOKEN),
            lambda: self.masker(),
            size,
            stdout,
            self.metrics,
            Measure(self.metrics, lambda: RuleSet((PROFILE,))),
            spans=spans,
        )
        self.shippers.append(shipper)
        return shipper

    def dropped(self, reason: str) -> float:
        return (
            self.metrics.registry.get_sample_value(
                "telemock_capture_dropped_total", {"telemock_reason": reason}
            )
            or 0
        )


class Told(Spans):
    """Collects requests for spans; those of the rule `broken` fail with this text."""

    def __init__(self, text: str = "") -> None:
        self._text = text
        self.records: list[tuple[CaptureRecord, Traced]] = []

    def record(self, record: CaptureRecord, traced: Traced) -> None:
        if record.rule == "broken":
            raise ValueError(self._text)
        self.records.append((record, traced))


def record(shipper: Shipper, **fields: Any) -> CaptureRecord:
    boot, seq = shipper.reserve()
    return CaptureRecord(
        boot=boot, seq=seq, kind="exchange", action="mock", profile="acme", time_ns=1, **fields
    )


def request(**fields: Any) -> Request:
    return Request(method="GET", host="t.example", **fields)
