"""Takes every record on its way out of the sidecar: masks, prints, spools and delivers it.

The hooks `reserve` a number and `submit` the record; they never wait for a disk, a terminal or the
app. One thread, here, measures, masks, makes the spans, prints and spools; another one delivers
(`addon.record.deliver.Delivery`).
Every record submitted or adopted from earlier starts is delivered, waiting or counted as dropped;
the ledger (`addon.record.ledger`) knows every reserved number, even after a kill.
"""

import logging
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from addon.app_client.client import AppApi
from addon.diagnostics.metrics import Measure
from addon.diagnostics.spans import Spans
from addon.exchange.exchange import Traced
from addon.record.deliver import Delivery
from addon.record.printer import Printer
from addon.record.spool import Spool
from app.contract.masking.masker import Masker
from app.contract.masking.sweep import withhold
from app.contract.printable import ascii_json
from app.contract.record import LINE_CAP, CaptureRecord, bodies_of, encode, rough_size
from app.otel.metrics import Metrics

QUEUE_RECORDS = 10_000
QUEUE_SIZE = 16 << 20  # approximate bytes of queued records in memory
GROUP_RECORDS = 200  # written together
GROUP_SIZE = 1 << 20
TRACED_RECORDS = 300  # a longer queue gets no spans, lest records be lost
GATHER_S = 0.01  # a group gathers for so long, so that a busy proxy does not wake it per record

log = logging.getLogger(__name__)


class Shipper:
    """Owns two threads, and one for `stdout`, from `start` to `close`. `directory` is the spool's;
    `masker` is called anew for every group."""

    def __init__(
        self,
        directory: Path,
        api: AppApi,
        masker: Callable[[], Masker],
        spool_size: int,
        stdout: BinaryIO | None,
        metrics: Metrics,
        measure: Measure,
        spans: Spans | None = None,
        boot: str = "",
        search: Callable[[CaptureRecord], None] | None = None,
    ) -> None:
        self._search = search
        self.boot = boot or secrets.token_hex(16)
        self._masker = masker
        self._metrics = metrics
        self._measure = measure
        self._spans = spans
        self._dropped: Counter[str] = Counter()
        self._unprinted = 0
        self._spool = Spool(directory, self.boot, spool_size, self._lost)
        self._reserve = self._spool.ledger.reserve
        self._delivery = Delivery(self._spool, api, metrics)
        self._printer = None if stdout is None else Printer(stdout, self._not_printed)
        self._lock = threading.RLock()  # of `_changed`; faster to take than the condition
        self._changed = threading.Condition(self._lock)
        self._queue: deque[tuple[CaptureRecord, Traced | None, int]] = deque()
        self._queue_size = 0
        self._in_hand = 0  # records that the writer took from the queue
        self._idle = False  # the writer waits for the next record, which must wake it
        self._submitted = 0
        self._closing = False
        self._left: int | None = None
        metrics.set("telemock.spool.limit", spool_size)
        self._writer = threading.Thread(target=self._write, name="telemock-spool", daemon=True)
        self._sender = threading.Thread(
            target=self._delivery.run, name="telemock-deliver", daemon=True
        )

    def start(self) -> None:
        if self._printer is not None:
            self._printer.start()
        self._spool.start()
        self._writer.start()
        self._sender.start()

    def reserve(self) -> tuple[str, int]:
        """The boot id and the next number, from 1. From any thread."""
        return self.boot, self._reserve()

    def submit(
        self, record: CaptureRecord, traced: Traced | None = None, query: int | None = None
    ) -> None:
        """Takes ownership of a record; with `traced` its spans are made, too; `query` is for
        `rough_size`. From any thread; never waits, never raises: a record that does not fit is
        counted as lost."""
        size = rough_size(record, query)
        with self._lock:
            self._submitted += 1
            if self._closing:
                reason = "shutdown"
            elif len(self._queue) >= QUEUE_RECORDS or self._queue_size + size > QUEUE_SIZE:
                reason = "queue_full"
            else:
                reason = ""
                self._queue.append((record, traced, size))
                self._queue_size += size
                if self._idle:
                    self._changed.notify()
        if reason:
            self._measure.record(record, traced)
            self._spool.lose(reason, 1)
            if traced is not None:
                self._metrics.add("telemock.otlp.dropped", ("traces", reason))

    @property
    def closing(self) -> bool:
        """True once a record would come too late."""
        return self._closing

    def close(self, timeout: float) -> int:
        """Delivers the waiting records, for at most `timeout` seconds; the rest stays in the spool.
        Returns their number: they are not in the store yet."""
        if self._left is not None:
            return self._left
        deadline = time.monotonic() + timeout
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._writer.ident is not None:
            self._writer.join(max(0.1, timeout))
            self._delivery.finish(deadline)
            self._sender.join(max(0.0, deadline - time.monotonic()))
            if self._sender.is_alive():
                self._delivery.abort()
                self._sender.join(0.5)
        with self._changed:
            waiting = len(self._queue) + self._in_hand
            self._queue.clear()
        if waiting:  # the writer never started, or is stuck
            self._spool.lose("shutdown", waiting)
        self._spool.close()
        if self._printer is not None:
            self._printer.close(max(0.1, deadline - time.monotonic()))
        self._left = self._spool.records
        self._show_spool()
        return self._left

    def stats(self) -> dict[str, Any]:
        """For /health."""
        totals = self._delivery.totals
        with self._changed:
            queued = len(self._queue) + self._in_hand
            dropped = dict(self._dropped)
        return {
            "boot": self.boot,
            "reserved": self._spool.ledger.numbered,
            "submitted": self._submitted,
            "queued": queued,
            "spool_records": self._spool.records,
            "spool_bytes": self._spool.size,
            "spool_error": self._spool.error,
            "ledger_error": self._spool.ledger.error,
            "stored": totals.stored,
            "duplicates": totals.duplicates,
            "dropped": dropped,
            "unprinted": self._unprinted,
            "app_error": self._delivery.error,
        }

    def _lost(self, reason: str, number: int) -> None:
        self._metrics.add("telemock.capture.dropped", (reason,), number)
        with self._changed:
            self._dropped[reason] += number

    def _not_printed(self, number: int) -> None:
        self._metrics.add("telemock.output.dropped", ("stdout",), number)
        self._unprinted += number

    def _show_spool(self) -> None:
        self._metrics.set("telemock.spool.records", self._spool.records)
        self._metrics.set("telemock.spool.size", self._spool.size)

    def _write(self) -> None:
        while True:
            with self._changed:
                self._idle = True
                while not self._queue and not self._closing:
                    self._changed.wait()
                self._idle = False
                if not self._queue:
                    return
                if not self._closing and len(self._queue) < GROUP_RECORDS:
                    self._changed.wait(GATHER_S)  # only `close` ends it early
                group = self._take()
            try:
                self._keep(group)
            except Exception as e:  # the text may hold what a record holds
                log.error("%d records could not be kept: %s", len(group), type(e).__name__)
                self._spool.lose("disk_error", len(group))
            self._in_hand = 0

    def _take(self) -> list[tuple[CaptureRecord, Traced | None]]:
        group: list[tuple[CaptureRecord, Traced | None]] = []
        total = 0
        while self._queue and len(group) < GROUP_RECORDS and total < GROUP_SIZE:
            record, traced, size = self._queue.popleft()
            group.append((record, traced))
            total += size
        self._queue_size -= total
        self._in_hand = len(group)
        return group

    def _keep(self, group: list[tuple[CaptureRecord, Traced | None]]) -> None:
        kept = [(record.kind, self._told(record, traced)) for record, traced in group]
        if self._printer is not None:  # the log handler prints the lines of kind `log`
            self._printer.put(ascii_json(line) for kind, line in kept if kind != "log")
        self._spool.append(line for _, line in kept)
        self._show_spool()
        self._delivery.wake()

    def _told(self, record: CaptureRecord, traced: Traced | None) -> bytes:
        """Measures the record and makes its spans; returns its line."""
        self._measure.record(record, traced)
        record, line = self._line(record)
        if traced is not None and self._spans is not None:
            if len(self._queue) > TRACED_RECORDS:
                self._metrics.add("telemock.otlp.dropped", ("traces", "queue_full"))
                return line
            try:
                self._spans.record(record, traced)
            except Exception as e:  # the text may hold what the record holds
                log.error("a record's spans could not be made: %s", type(e).__name__)
                self._metrics.add("telemock.otlp.dropped", ("traces", "error"))
        return line

    def _line(self, record: CaptureRecord) -> tuple[CaptureRecord, bytes]:
        """The record masked and encoded; without its contents if either fails."""
        try:
            if self._search is not None:
                self._search(record)
            line = encode(self._masker().record(record))
            if len(line) <= LINE_CAP:
                return record, line
            for body in bodies_of(record):
                withhold(body, "too_large")
                self._metrics.add("telemock.withheld", ("too_large",))
            line = encode(record)
            if len(line) <= LINE_CAP:
                return record, line
            record = _bare(record, "too_large")
        except Exception as e:  # the text may hold what the record holds
            log.error(
                "a record could not be masked, its contents are left out: %s", type(e).__name__
            )
            record = _bare(record, "unmaskable")
        return record, encode(record)


def _bare(record: CaptureRecord, reason: str) -> CaptureRecord:
    """The event, without any text of a client or a host."""
    return CaptureRecord(
        boot=record.boot,
        seq=record.seq,
        kind=record.kind,
        time_ns=record.time_ns,
        duration_ns=record.duration_ns,
        workload=record.workload,
        profile=record.profile,
        rule=record.rule,
        action=record.action,
        mode=record.mode,
        reason=reason,
        trace_id=record.trace_id,
        span_id=record.span_id,
    )
