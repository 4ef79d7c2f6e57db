"""Delivers the spool to the app: batches over one kept connection, until the app has them.

At least once from here; the store makes it exactly once by (boot, seq).
`addon.record.ship.Shipper` owns the thread.
"""

import contextlib
import http.client
import logging
import random
import threading
import time
from typing import NamedTuple

import zstandard

from addon.app_client.client import AppApi, Backoff, Distrusted, NoToken
from addon.record.receipt import NotTaken, read
from addon.record.segment import SpoolBatch
from addon.record.spool import Spool
from app.contract import account
from app.contract.account import Receipt, RefusedRecord
from app.contract.names import (
    CONTENT_TYPE_RECORDS,
    HEADER_ACCOUNTS,
    HEADER_LEAVING,
    HEADER_SIDECAR,
    PATH_CAPTURES,
)
from app.otel.metrics import Metrics

BATCH_RECORDS = 500
BATCH_SIZE = 1 << 20  # bytes, before compression
REST_S = 0.05  # between deliveries, so that a busy proxy's records go in batches
ADOPT_S = 5.0  # between attempts to read what earlier starts left
# The most to wait after a first and after many failures: with a minute, the handshakes of 10,000
# sidecars that come back keep the app busy for a fifth of it.
BACKOFF_S = (0.1, 60.0)
SPREAD_S = 5.0  # over which starts that adopted records begin to send

# The batch itself may be the trouble, and a smaller one may be taken.
_TRY_SMALLER = frozenset({400, 413, 422})
_TOO_LARGE = 413
SURE = 3  # times that another record is taken before the one refused in between is given up

log = logging.getLogger(__name__)


class Totals(NamedTuple):
    stored: int
    duplicates: int
    refused: int


class Delivery:
    """`run` sends the spool's records until `finish`; `wake` tells it of new ones."""

    def __init__(
        self,
        spool: Spool,
        api: AppApi,
        metrics: Metrics,
    ) -> None:
        self.error = self._outcome = ""  # the reason why the app takes nothing now
        self.totals = Totals(0, 0, 0)
        self._spool = spool
        self._api = api
        self._metrics = metrics
        self._compress = zstandard.ZstdCompressor(level=3).compress
        self._count = BATCH_RECORDS
        self._taken = b""  # a record that the app took, and would take again
        self._backoff = Backoff(*BACKOFF_S)
        self._adopted = False
        self._adopt_at = 0.0
        self._work = threading.Event()
        self._finishing = threading.Event()
        self._deadline = float("inf")

    def wake(self) -> None:
        self._work.set()

    def finish(self, deadline: float) -> None:
        """Ends `run` when the spool is empty, or at `deadline` (of time.monotonic)."""
        self._deadline = deadline
        self._finishing.set()
        self._work.set()

    def abort(self) -> None:
        """Aborts a running exchange. From any thread."""
        self._api.abort()

    def run(self) -> None:
        while time.monotonic() < self._deadline:
            self._work.clear()
            self._adopt()
            try:
                batch = self._spool.read(self._count, BATCH_SIZE)
                if batch.lines:
                    self._deliver(batch)
                    if len(batch.lines) < BATCH_RECORDS:
                        self._finishing.wait(REST_S)
                elif self._spool.untold:
                    self._post([])
                    self._works()
                elif self._finishing.is_set():
                    break
                else:
                    self._work.wait(None if self._adopted else ADOPT_S)
            except NotTaken as e:
                self._failed(e)
            except Exception as e:  # the text may hold what a record or the token holds
                self._failed(NotTaken("error", f"{type(e).__name__} in the sidecar"))
        self._take_leave()
        self._api.close()

    def _take_leave(self) -> None:
        """Tells the app, so that it does not miss this sidecar. Without a retry: nothing is lost if
        it fails."""
        if self.error or time.monotonic() >= self._deadline:
            return
        with contextlib.suppress(NotTaken):
            self._post([], leaving=True)

    def _adopt(self) -> None:
        if self._adopted or time.monotonic() < self._adopt_at:
            return
        try:
            records = self._spool.adopt()
        except OSError as e:
            if not self._adopt_at:
                log.error("records of earlier starts cannot be read: %s", e.strerror)
            self._adopt_at = time.monotonic() + ADOPT_S
            return
        self._adopted = not self._spool.left_over
        self._adopt_at = time.monotonic() + ADOPT_S
        if records:
            log.info("%d records of earlier starts wait in the spool", records)
        if records or self._spool.untold:
            self._finishing.wait(random.uniform(0, SPREAD_S))  # noqa: S311 - spreads load

    def _deliver(self, batch: SpoolBatch) -> None:
        reason = "refused"
        began = time.monotonic()
        try:
            receipt = self._post(batch.lines)
        except NotTaken as e:
            if e.status not in _TRY_SMALLER:
                raise
            if len(batch.lines) > 1:
                self._metrics.add("telemock.ship.batches", (e.outcome,))
                self._count = len(batch.lines) // 2
                return
            receipt = self._insist(batch, e)
            self._metrics.add("telemock.ship.batches", (e.outcome,))
            reason = "too_large" if e.status == _TOO_LARGE else reason
        else:
            self._metrics.add("telemock.ship.batches", ("accepted",))
            self._metrics.observe("telemock.ship.duration", (), time.monotonic() - began)
            if not self._taken and not receipt.refused:
                self._taken = min(batch.lines, key=len)
        self._done(batch, receipt, reason)

    def _insist(self, batch: SpoolBatch, e: NotTaken) -> Receipt:
        """Of one record that was refused alone. It is given up only when the app takes another one
        each time before it refuses this one: an app, or a proxy before it, that refuses whatever
        comes must not empty the spool. Raises NotTaken then.

        The other one stays in the spool: the store deduplicates it when it comes again.
        """
        others = [self._taken]
        if not self._taken:
            others = self._spool.behind(batch, BATCH_RECORDS, BATCH_SIZE)
        for times in range(1, SURE + 1):
            if not others or self._post([min(others, key=len)]).refused:
                raise e
            for _ in range(times):  # irregular: two apps may answer in turns
                try:
                    return self._post(batch.lines)
                except NotTaken as again:
                    if again.status not in _TRY_SMALLER:
                        raise
        return Receipt(0, 0, [RefusedRecord(1, str(e))])

    def _done(self, batch: SpoolBatch, receipt: Receipt, reason: str) -> None:
        self._spool.accept(batch, {one.line - 1 for one in receipt.refused}, reason)
        if receipt.refused:
            log.warning(
                "the app refused %d records; the first: %s",
                len(receipt.refused), receipt.refused[0].reason,
            )  # fmt: skip
        self.totals = Totals(
            self.totals.stored + receipt.stored,
            self.totals.duplicates + receipt.duplicates,
            self.totals.refused + len(receipt.refused),
        )
        self._count = min(BATCH_RECORDS, self._count * 2)
        self._works()

    def _works(self) -> None:
        self._backoff.reset()
        if self.error:
            log.info("the app takes records again")
            self.error = self._outcome = ""

    def _failed(self, e: NotTaken) -> None:
        self._metrics.add("telemock.ship.batches", (e.outcome,))
        if e.outcome != self._outcome:
            log.warning("records wait in the spool: %s", e)
        self.error, self._outcome = str(e), e.outcome
        wait = self._backoff.next(e.again_s)
        if self._finishing.is_set():
            time.sleep(max(0.0, min(wait, BACKOFF_S[0], self._deadline - time.monotonic())))
        else:
            self._finishing.wait(wait)

    def _post(self, lines: list[bytes], *, leaving: bool = False) -> Receipt:
        """Raises NotTaken."""
        headers = {
            "content-type": CONTENT_TYPE_RECORDS,
            "content-encoding": "zstd",
            HEADER_SIDECAR: self._spool.boot,
        }
        accounts = self._spool.accounts(leaving=leaving)
        if accounts:
            headers[HEADER_ACCOUNTS] = account.encode(accounts)
        if leaving:
            headers[HEADER_LEAVING] = "1"
        body = b"".join(line + b"\n" for line in lines)
        try:
            answer = self._api.ask("POST", PATH_CAPTURES, headers, self._compress(body))
        except NoToken as e:
            raise NotTaken("unauthorized", f"the token cannot be read: {e.strerror}") from None
        except (OSError, http.client.HTTPException) as e:
            text = getattr(e, "strerror", None) or type(e).__name__
            outcome = "distrusted" if isinstance(e, Distrusted) else "unreachable"
            raise NotTaken(outcome, f"the app cannot be reached: {text}") from None
        receipt = read(answer, len(lines))
        self._spool.tell(accounts, receipt.accounts)
        return receipt
