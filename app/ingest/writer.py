"""Writes records to the store: batches of sidecars, and the mock's own.

`RecordWriter` owns the one thread that writes; batches that wait together share a transaction.
After the commit it appends to the log files and counts. `app.api.intake` calls it with what
`app.ingest.batch` read.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from app.contract.account import Account
from app.contract.masking.masker import Masker
from app.contract.printable import place
from app.contract.record import CaptureRecord, encode, rough_size
from app.ingest.counters import Counting
from app.ingest.digest import Decoders, digested
from app.ingest.otlp_logs import log_record
from app.logs.files import LogFiles
from app.otel.export import Exporter
from app.otel.metrics import Metrics
from app.store import Incoming, Store, StoreError, StoreFull, Told, Written

QUEUE_CAP = 10_000  # the mock's records that wait
QUEUE_BYTES = 64 << 20  # bytes of these, about
GROUP_BYTES = 8 << 20  # records that share a transaction, about
_LINES = 32  # lines of the request log in one write: they fit the processor's cache
RETRY_S = 1.0  # between attempts to write after a failure

log = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    records: list[Incoming]
    told: Sequence[Told]
    size: int
    done: Callable[[Written | BaseException], None]


_Own = tuple[CaptureRecord | Incoming, int]  # a record (unmasked) or its digest; and its size


class RecordWriter:
    """Owns the thread between `start` and `close`. The caller owns the store."""

    def __init__(
        self,
        store: Store,
        masker: Callable[[], Masker],
        decoders: Decoders,
        files: LogFiles,
        metrics: Metrics,
        exporter: Exporter,
        boot: str,
        lacking: Callable[[], str] = lambda: "",
    ) -> None:
        """`lacking` returns why the store's directory takes no writes, "" when it does."""
        self._store = store
        self._lacking = lacking
        self._masker = masker
        self._decoders = decoders
        self._files = files
        self._metrics = metrics
        self._exporter = exporter
        self.counting = Counting(metrics)
        self.boot = boot
        self.dropped: dict[str, int] = {}  # lost records of the mock, by reason
        self.problem = ""  # a sentence while nothing can be stored, else ""
        self._losing = ""  # the reason of losses during that time
        self._seq = 0
        self._batches: deque[_Waiting] = deque()
        self._own: deque[_Own] = deque()
        self._own_bytes = 0
        self._in_hand = 0  # the mock's records that are being written
        self._changed = threading.Condition()
        self._closing = False
        self._retry_at = 0.0
        self._thread = threading.Thread(target=self._run, name="telemock-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def waiting(self) -> int:
        """The number of the mock's records that are not stored yet."""
        return len(self._own) + self._in_hand

    def reserve(self) -> int:
        """Returns the next sequence number; if it is never added, a record shows as missing."""
        with self._changed:
            self._seq += 1
            return self._seq

    def account(self, *, ended: bool) -> Account:
        """The account of the mock's own records, as sidecars give theirs."""
        with self._changed:
            return Account(boot=self.boot, numbered=self._seq, lost=dict(self.dropped), ended=ended)

    def add(self, record: CaptureRecord) -> bool:
        """Queues a record of the mock, unmasked. Never blocks; False when it was dropped."""
        size = rough_size(record)
        with self._changed:
            fits = len(self._own) < QUEUE_CAP and self._own_bytes + size <= QUEUE_BYTES
            if fits and not self._closing:
                self._own.append((record, size))
                self._own_bytes += size
                self._changed.notify()
                return True
        self._drop("shutdown" if fits else self._losing or "queue_full", 1)
        return False

    async def write(self, batch: list[Incoming], told: Sequence[Told] = ()) -> Written:
        """Returns after the commit. On StoreError nothing is stored, neither of the batch nor of
        the accounts its sender `told`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Written] = loop.create_future()

        def settle(outcome: Written | BaseException) -> None:
            if future.done():
                return
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        def done(outcome: Written | BaseException) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the caller is gone
                loop.call_soon_threadsafe(settle, outcome)

        with self._changed:
            if self._closing:
                raise StoreError("the app is shutting down\n\nhint: send the batch again later")
            self._batches.append(_Waiting(batch, told, sum(i.size for i in batch), done))
            self._changed.notify()
        return await future

    def close(self, timeout: float) -> int:
        """Writes what waits, then ends the thread. Returns the number of records that could not be
        written within `timeout` seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout)
        left = self.waiting
        if left:
            self._drop(self._losing or "shutdown", left)
            log.error("%d records could not be written before the app stopped", left)
        return left

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._ready():
                    if self._closing:  # nothing waits
                        return
                    again = self._own or self.problem
                    self._changed.wait(
                        max(0.05, self._retry_at - time.monotonic()) if again else None
                    )
                batches, own = self._take()
                self._in_hand = len(own)
            if not batches and not own:
                self._try_again()
            elif not self._write_group(batches, own) and self._closing:
                break
        for batch in self._batches:
            batch.done(StoreError("the app is shutting down\n\nhint: send the batch again later"))

    def _ready(self) -> bool:
        to_do = self._own or (self.problem and not self._closing)
        return bool(self._batches or (to_do and self._due()))

    def _due(self) -> bool:
        return self._closing or time.monotonic() >= self._retry_at

    def _take(self) -> tuple[list[_Waiting], list[_Own]]:
        batches: list[_Waiting] = []
        size = 0
        while self._batches and (not batches or size < GROUP_BYTES):
            batches.append(self._batches.popleft())
            size += batches[-1].size
        own: list[_Own] = []
        if self._due():
            while self._own and (not own or size < GROUP_BYTES):
                own.append(self._own.popleft())
                size += own[-1][1]
        return batches, own

    def _write_group(self, batches: list[_Waiting], own: list[_Own]) -> bool:
        """Writes one transaction; True when all of it is stored. A failed batch goes back to its
        sender; the mock's own records go back to the queue."""
        mine = [(i, size) for record, size in own if (i := self._encoded(record))]
        group = [i for b in batches for i in b.records] + [i for i, _ in mine]
        try:
            written = self._store.write(group, [t for b in batches for t in b.told])
        except StoreError as e:
            self._failed(e)
            with self._changed:
                self._own.extendleft(reversed(mine))
                self._in_hand -= len(mine)
            for batch in batches:
                batch.done(e)
            return False
        except Exception as e:  # one record must not end the thread, nor cost the others
            log.error("a group of %d records could not be written: %s", len(group), place(e))
            if len(batches) + len(mine) > 1:
                parts: list[tuple[list[_Waiting], list[_Own]]] = [([b], []) for b in batches] + [
                    ([], [o]) for o in mine
                ]
                return all([self._write_group(*part) for part in parts])
            self._forget(mine, "app_error")
            for batch in batches:
                batch.done(StoreError("the store failed\n\nhint: the app's log says why"))
            return True
        self._works()
        with self._changed:
            self._own_bytes -= sum(size for _, size in mine)
            self._in_hand -= len(mine)
        stored = set(written.stored)
        at = 0
        for batch in batches:
            kept = [i for i in range(len(batch.records)) if at + i in stored]
            at += len(batch.records)
            told = {t.account.boot for t in batch.told}
            known = {boot: count for boot, count in written.accounts.items() if boot in told}
            batch.done(Written(kept, len(batch.records) - len(kept), [], accounts=known))
        self._after(group, written)
        return True

    def _failed(self, error: StoreError) -> None:
        if not self.problem:
            log.error("nothing can be stored, records wait: %s", error)
        self.problem = str(error).partition("\n")[0]
        self._losing = "disk_full" if isinstance(error, StoreFull) else "disk_error"
        self._retry_at = time.monotonic() + RETRY_S
        self._metrics.set("telemock.store.failing", 1)

    def _works(self) -> None:
        """Ends the failure, unless the disk is full: a small batch may fit where others do not."""
        if self.problem and not self._lacking():
            self.problem = self._losing = ""
            self._metrics.set("telemock.store.failing", 0)
            log.info("records are stored again")

    def _try_again(self) -> None:
        """Tests the store after a failure when nothing waits to be written."""
        try:
            self._store.write([])
            self._works()
        except StoreError as e:
            self._failed(e)
        self._retry_at = time.monotonic() + RETRY_S

    def _encoded(self, record: CaptureRecord | Incoming) -> Incoming | None:
        """Masks once: a token must not be masked again."""
        if not isinstance(record, CaptureRecord):
            return record
        try:
            masked = self._masker().record(record)
            return digested(masked, encode(masked), self._decoders)
        except Exception as e:  # unmasked content is never written
            log.error("a record of the mock could not be masked: %s", place(e))
            self._forget([(record, rough_size(record))], "unmaskable")
            return None

    def _forget(self, own: Sequence[_Own], reason: str) -> None:
        with self._changed:
            self._own_bytes -= sum(size for _, size in own)
            self._in_hand -= len(own)
        if own:
            self._drop(reason, len(own))

    def _drop(self, reason: str, number: int) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + number
        self._metrics.add("telemock.capture.dropped", (reason,), number)

    def _after(self, group: list[Incoming], written: Written) -> None:
        self.counting.stored(group, written)
        stored = [group[index] for index in written.stored]
        for at in range(0, len(stored), _LINES):
            lines = [line for i in stored[at : at + _LINES] if (line := i.log_line)]
            self._files.requests(lines)
        for incoming in stored:
            if incoming.record.kind == "log":
                self._files.sidecar(incoming.record)
            if self._exporter.logs:
                self._exporter.log(log_record(incoming))
