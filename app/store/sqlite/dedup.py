"""Deduplicates records: keeps which sequence numbers of each boot were ever stored.

Called by `app.store.sqlite.writer`, inside its transaction. It caches each boot's highest run, so
that a stream in order needs no reading.
"""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from app.contract.record import CaptureRecord
from app.store import Incoming

_CACHE = 20_000  # boots


@dataclass(slots=True)
class _Boot:
    """`first` and `last` are the boot's highest run, 0 without one."""

    number: int
    first: int
    last: int


class Dedup:
    """Call `forget` after a roll-back."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._boots: dict[str, _Boot] = {}

    def forget(self) -> None:
        self._boots.clear()

    def take(self, batch: Sequence[Incoming]) -> tuple[dict[str, int], list[int]]:
        """Marks the batch's records as stored. Returns the ids of its boots, and the indexes of
        records that are new."""
        now = time.time_ns()
        by_boot: dict[str, dict[int, int]] = {}
        for index, one in enumerate(batch):
            by_boot.setdefault(one.record.boot, {}).setdefault(one.record.seq, index)
        numbers: dict[str, int] = {}
        stored: list[int] = []
        updates = []
        for name, indexes in by_boot.items():
            boot = self._boot(batch[next(iter(indexes.values()))].record, now)
            numbers[name] = boot.number
            fresh = self._fresh(boot, sorted(indexes))
            stored += (indexes[seq] for seq in fresh)
            if fresh:
                updates.append((fresh[-1], len(fresh), now, boot.number))
        self._connection.executemany(
            "UPDATE boot SET max_seq=max(max_seq, ?), count=count+?, last_ns=? WHERE id=?", updates
        )
        return numbers, sorted(stored)

    def _boot(self, record: CaptureRecord, now: int) -> _Boot:
        boot = self._boots.get(record.boot)
        if boot is None:
            if len(self._boots) >= _CACHE:
                self._boots.clear()
            boot = self._boots[record.boot] = self._look_up(record, now)
        return boot

    def _look_up(self, record: CaptureRecord, now: int) -> _Boot:
        row = self._connection.execute(
            "SELECT id FROM boot WHERE boot=?", (record.boot,)
        ).fetchone()
        if row:
            boot = _Boot(row[0], 0, 0)
            self._read_highest(boot)
            return boot
        workload = record.workload
        number = self._connection.execute(
            "INSERT INTO boot(boot, namespace, pod, node, max_seq, count, first_ns, last_ns)"
            " VALUES (?,?,?,?,0,0,?,?)",
            (record.boot, workload.namespace, workload.pod, workload.node, now, now),
        ).lastrowid
        return _Boot(number or 0, 0, 0)

    def _read_highest(self, boot: _Boot) -> None:
        boot.first, boot.last = self._connection.execute(
            "SELECT first, last FROM run WHERE boot_id=? ORDER BY first DESC LIMIT 1",
            (boot.number,),
        ).fetchone() or (0, 0)

    def _fresh(self, boot: _Boot, seqs: list[int]) -> list[int]:
        """Marks ascending numbers as stored; returns those that are new."""
        first, last = seqs[0], seqs[-1]
        if first <= boot.last or last - first >= len(seqs):
            fresh = self._merged(boot.number, seqs)
            self._read_highest(boot)
            return fresh
        if boot.last and first == boot.last + 1:
            self._connection.execute(
                "UPDATE run SET last=? WHERE boot_id=? AND first=?", (last, boot.number, boot.first)
            )
        else:
            self._connection.execute("INSERT INTO run VALUES (?,?,?)", (boot.number, first, last))
            boot.first = first
        boot.last = last
        return seqs

    def _merged(self, boot: int, seqs: list[int]) -> list[int]:
        """`_fresh` for numbers in any order and with gaps."""
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
            self._connection.executemany(
                "DELETE FROM run WHERE boot_id=? AND first=?", ((boot, a) for a, _ in known)
            )
            self._connection.execute(
                "INSERT INTO run VALUES (?,?,?)",
                (boot, min([first, *(a for a, _ in known)]), max([last, *(b for _, b in known)])),
            )
        return fresh

    def _touching(self, boot: int, first: int, last: int) -> list[tuple[int, int]]:
        """Returns runs that overlap or adjoin first..last, without reading the others."""
        found = []
        for a, b in self._connection.execute(
            "SELECT first, last FROM run WHERE boot_id=? AND first<=? ORDER BY first DESC",
            (boot, last + 1),
        ):
            if b < first - 1:
                break
            found.append((a, b))
        return found
