"""One batch into the file, in one transaction, each record once.

Called by `app.store.sqlite`, which holds the lock: nothing here is for two threads at a time.
"""

import sqlite3
import time
from collections import defaultdict
from collections.abc import Sequence

import zstandard

from app.contract.record import CaptureRecord
from app.inventory import route_of
from app.store import Decoders, Incoming, Written
from app.store.names import Names
from app.store.rollup import Batch, sender

DICTIONARY_SIZE = 16 * 1024
TRAIN_AFTER = 1_000  # records
_LEVEL = 3


class Writer:
    """Owns the connection that writes."""

    def __init__(self, connection: sqlite3.Connection, decoders: Decoders) -> None:
        self.connection = connection
        self._decoders = decoders
        self._names = Names(connection)
        self._dictionary = 0
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._untrained = 0  # records so far, while there is no dictionary
        self._start()

    def write(self, batch: Sequence[Incoming]) -> Written:
        """Raises sqlite3.Error with nothing of the batch kept."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            written = self._write(batch)
            self.connection.execute("COMMIT")
        except BaseException:
            self._names.forget()
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        if not self._dictionary:
            self._untrained += len(written.stored)
        return written

    def train(self) -> None:
        """Make the dictionary once there is enough to learn from. It holds pieces of (masked)
        records and stays when they are pruned."""
        if self._dictionary or self._untrained < TRAIN_AFTER:
            return
        self._untrained = 0  # when it fails, as many again are waited for
        blobs = self.connection.execute(
            "SELECT record FROM capture WHERE dictionary_id=0 ORDER BY id DESC LIMIT ?",
            (TRAIN_AFTER,),
        )
        plain = zstandard.ZstdDecompressor()
        # A large record teaches no more than its beginning, and would cost its length.
        samples: list[bytes | bytearray | memoryview[int]] = [
            plain.decompress(blob)[:8_192] for (blob,) in blobs
        ]
        try:
            trained = zstandard.train_dictionary(DICTIONARY_SIZE, samples)
        except zstandard.ZstdError:
            return  # too much alike, or too little
        number = self.connection.execute(
            "INSERT INTO dictionary(data) VALUES (?)", (trained.as_bytes(),)
        ).lastrowid
        self._use(number or 0, trained.as_bytes())

    def _start(self) -> None:
        row = self.connection.execute(
            "SELECT id, data FROM dictionary ORDER BY id DESC LIMIT 1"
        ).fetchone()
        if row:
            self._use(*row)
        else:
            (self._untrained,) = self.connection.execute("SELECT records FROM total").fetchone()

    def _use(self, number: int, data: bytes) -> None:
        self._dictionary = number
        self._compressor = zstandard.ZstdCompressor(
            level=_LEVEL, dict_data=zstandard.ZstdCompressionDict(data)
        )

    def _write(self, batch: Sequence[Incoming]) -> Written:
        boots, stored = self._claim(batch)
        sums = Batch(self._names, self._decoders)
        rows = []
        for index in stored:
            record, line = batch[index]
            sums.add(record)
            rows.append(
                (
                    boots[record.boot],
                    *_columns(record),
                    self._dictionary,
                    self._compressor.compress(line),
                )
            )
        self.connection.executemany(
            "INSERT INTO capture(boot_id, seq, time_ns, kind, profile, host, method, path, route,"
            " rule, action, reason, status, version, namespace, pod, dictionary_id, record)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            rows,
        )
        self.connection.execute("UPDATE total SET records=records+?", (len(rows),))
        new_fields = sums.write(self.connection)
        return Written(stored, len(batch) - len(stored), new_fields, self._names.new_hosts())

    def _claim(self, batch: Sequence[Incoming]) -> tuple[dict[str, int], list[int]]:
        """Numbers of the batch's boots, and the indexes of the records that were never stored."""
        now = time.time_ns()
        by_boot: dict[str, dict[int, int]] = defaultdict(dict)
        for index, (record, _) in enumerate(batch):
            by_boot[record.boot].setdefault(record.seq, index)
        boots: dict[str, int] = {}
        stored: list[int] = []
        for boot, indexes in by_boot.items():
            number = self._boot(batch[next(iter(indexes.values()))].record, now)
            boots[boot] = number
            fresh = self._fresh(number, sorted(indexes))
            stored += (indexes[seq] for seq in fresh)
            if fresh:
                self.connection.execute(
                    "UPDATE boot SET max_seq=max(max_seq, ?), count=count+?, last_ns=? WHERE id=?",
                    (fresh[-1], len(fresh), now, number),
                )
        return boots, sorted(stored)

    def _boot(self, record: CaptureRecord, now: int) -> int:
        row = self.connection.execute("SELECT id FROM boot WHERE boot=?", (record.boot,)).fetchone()
        if row:
            return int(row[0])
        workload = record.workload
        return (
            self.connection.execute(
                "INSERT INTO boot(boot, namespace, pod, node, max_seq, count, first_ns, last_ns)"
                " VALUES (?,?,?,?,0,0,?,?)",
                (record.boot, workload.namespace, workload.pod, workload.node, now, now),
            ).lastrowid
            or 0
        )

    def _fresh(self, boot: int, seqs: list[int]) -> list[int]:
        """Those of the ascending numbers that were never seen; they count as seen from now on."""
        fresh: list[int] = []
        start = 0
        for end in range(1, len(seqs) + 1):
            if end < len(seqs) and seqs[end] == seqs[end - 1] + 1:
                continue
            first, last = seqs[start], seqs[end - 1]
            known = self._touching(boot, first, last)
            covered = [(max(a, first), min(b, last)) for a, b in known]
            fresh += (s for s in seqs[start:end] if not any(a <= s <= b for a, b in covered))
            start = end
            if len(known) == 1 and known[0][0] <= first and known[0][1] >= last:
                continue
            self.connection.executemany(
                "DELETE FROM run WHERE boot_id=? AND first=?", ((boot, a) for a, _ in known)
            )
            self.connection.execute(
                "INSERT INTO run VALUES (?,?,?)",
                (boot, min([first, *(a for a, _ in known)]), max([last, *(b for _, b in known)])),
            )
        return fresh

    def _touching(self, boot: int, first: int, last: int) -> list[tuple[int, int]]:
        """Runs that overlap first..last or lie right beside it, without reading the others."""
        found = []
        for a, b in self.connection.execute(
            "SELECT first, last FROM run WHERE boot_id=? AND first<=? ORDER BY first DESC",
            (boot, last + 1),
        ):
            if b < first - 1:
                break
            found.append((a, b))
        return found


def _columns(record: CaptureRecord) -> tuple[object, ...]:
    request = record.request
    return (
        record.seq,
        record.time_ns,
        record.kind,
        record.profile,
        record.host,
        request.method if request else "",
        request.path[:1_024] if request else "",
        route_of(record),
        record.rule,
        record.action,
        record.reason,
        record.response.status if record.response else 0,
        record.product_version,
        record.workload.namespace,
        sender(record),
    )
