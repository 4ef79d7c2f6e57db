"""The disk queue between the sidecar and the app: a record stays here until the app has it.

`addon.record.ship` appends masked records, `addon.record.deliver` reads the oldest and accepts what
the app took. The directory holds, side by side for every start of a sidecar:

    <boot>-<number>.ndjson  a segment: encoded records, one a line, about 1 MiB
    <boot>.lock             its ledger, locked while the process that appends to them lives

A start adopts the segments and the ledger of every boot whose lock nobody holds, so processes that
share a directory never touch each other's. Nothing is fsynced: the page cache survives the death of
the process, the usual fate of a container; a power failure loses the last seconds, and to avoid
that would cost every record a disk's latency. Records that the app took right before a crash are
sent again, and the store deduplicates them by id.
"""

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from pathlib import Path

from addon.record.boots import Boots
from addon.record.segment import Segment, SpoolBatch, cut, segment_name, segments_in, segments_of
from app.contract.account import Account
from app.contract.files import is_full

SEGMENT_SIZE = 1 << 20  # bytes after which the next segment begins
HELD_SIZE = 4 << 20  # bytes of records held in memory while the disk takes none
RETRY_S = 1.0  # between attempts to write to a disk that failed

log = logging.getLogger(__name__)


class Spool:
    """`lost(reason, number)` is called for lost records, after their boot's ledger noted it. One
    thread appends, one reads and accepts. Only `adopt` raises: a failing disk is named in `error`,
    and tried again."""

    def __init__(
        self, directory: Path, boot: str, limit: int, lost: Callable[[str, int], None]
    ) -> None:
        """`limit`: bytes of all segments and of the records in memory."""
        self.error = ""
        self._losing = "disk_error"  # reason for records that are lost while the disk fails
        self._directory = directory
        self.boot = boot  # names this start
        self._limit = limit
        self._segment_size = min(SEGMENT_SIZE, max(1, limit // 4))
        self._lost = lost
        self._lock = threading.Lock()
        self._segments: deque[Segment] = deque()  # oldest first
        self._active: Segment | None = None  # the one that is appended to
        self._fd = -1  # of the active segment
        self._number = 0
        self._held: deque[bytes] = deque()
        self._held_size = 0
        self._retry_at = 0.0
        self._boots = Boots(directory, boot, lost)
        self.ledger = self._boots.own

    def start(self) -> None:
        """Keeps numbers on disk from now on, so that a kill loses none."""
        self._boots.start()

    @property
    def records(self) -> int:
        """The number of waiting records, on disk and in memory."""
        with self._lock:
            return sum(s.records for s in self._segments) + len(self._held)

    @property
    def size(self) -> int:
        """The size of the waiting records in bytes."""
        with self._lock:
            return self._size()

    def _size(self) -> int:
        return sum(s.size for s in self._segments) + self._held_size

    def adopt(self) -> int:
        """Puts the segments of processes that are gone before all others; returns their number of
        records.

        Raises OSError, after it did what it could, if it should be called again.
        """
        if not self._directory.is_dir():
            return 0
        ledgers, error = self._boots.found()
        # Listed again: the last owner may have finished one before it released the lock.
        listed = segments_in(self._directory)
        found = [segments_of(o.boot, listed.get(o.boot, []), o.position) for o in ledgers]
        adopted = [s for _, segments in sorted(found, key=lambda f: f[0]) for s in segments]
        with self._lock:
            self._segments.extendleft(reversed(adopted))
            self._boots.take(ledgers, {s.boot for s in adopted})
            for segment in [s for s in adopted if s.taken >= s.size]:
                self._finish(segment)
        if error is not None:
            raise error
        return sum(s.records for s in adopted)

    @property
    def left_over(self) -> bool:
        """True if there were more boots than are adopted at a time."""
        return self._boots.left_over

    def accounts(self, *, leaving: bool = False) -> list[Account]:
        """The accounts for the app, sent beside the records; the last ones if `leaving`."""
        with self._lock:
            leaving = leaving and not self._held
            return self._boots.accounts(self._waiting(), leaving=leaving)

    @property
    def untold(self) -> bool:
        """True if an adopted boot has ended, and the app was not told yet."""
        with self._lock:
            return self._boots.untold(self._waiting())

    def tell(self, accounts: Iterable[Account], known: Mapping[str, int]) -> None:
        """Told that the app got these accounts; `known`: its number of records by known boot."""
        with self._lock:
            self._boots.tell(accounts, known)

    def _waiting(self) -> set[str]:
        """The boots with waiting records on disk."""
        return {s.boot for s in self._segments if s.taken < s.size}

    def lose(self, reason: str, number: int) -> None:
        """Counts records of this boot that did not reach the spool. From any thread."""
        self.ledger.lose(reason, number)
        self._lost(reason, number)

    def append(self, lines: Iterable[bytes]) -> None:
        """Keeps records: on disk, in memory while the disk fails; those over the limit are lost."""
        with self._lock:
            size = self._size()
            fitting = []
            for line in lines:
                if size + len(line) + 1 <= self._limit:
                    fitting.append(line)
                    size += len(line) + 1
                else:
                    self.lose("spool_full", 1)
            if not fitting:
                return
            written = 0
            if time.monotonic() >= self._retry_at and self._write_held():
                written = self._write(fitting)
            for line in fitting[written:]:
                if self._held_size + len(line) > HELD_SIZE:
                    self.lose(self._losing, 1)
                else:
                    self._held.append(line)
                    self._held_size += len(line)
            self.ledger.save()

    def read(self, count: int, size: int) -> SpoolBatch:
        """At most `count` of the oldest records and about `size` bytes, at least one; empty if
        none waits. They stay until `accept`."""
        while True:
            with self._lock:
                segment = next((s for s in self._segments if s.taken < s.size), None)
                if segment is None:
                    return self._read_held(0, count, size)
                start, end = segment.taken, segment.size
            try:
                batch = cut(segment, start, end, count, size)
            except OSError as e:
                self._give_up(segment, e)
                continue
            if batch.lines:
                return batch
            self.accept(batch)  # only damaged records

    def behind(self, batch: SpoolBatch, count: int, size: int) -> list[bytes]:
        """The records after a batch that was read, within the same limits, only to look at."""
        with self._lock:
            parts = [
                (s, s.taken + batch.length if s is batch.source else s.taken, s.size)
                for s in self._segments
            ]
            held = self._read_held(batch.length if batch.source is None else 0, count, size).lines
        for segment, start, end in parts:
            with contextlib.suppress(OSError):
                if start < end and (lines := cut(segment, start, end, count, size).lines):
                    return lines
        return held

    def _read_held(self, start: int, count: int, size: int) -> SpoolBatch:
        lines: list[bytes] = []
        for line in islice(self._held, start, None):
            if lines and (len(lines) >= count or size < len(line)):
                break
            lines.append(line)
            size -= len(line)
        return SpoolBatch(lines, None, len(lines), 0)

    def accept(
        self, batch: SpoolBatch, refused: Collection[int] = (), reason: str = "refused"
    ) -> None:
        """Forgets the batch's records, and deletes its segment if no more are in it. Those at the
        indices `refused` are lost for that reason."""
        with self._lock:
            segment = batch.source
            if segment is None:
                self._accept_held(batch.lines, refused, reason)
                return
            segment.taken += batch.length
            segment.records = max(0, segment.records - len(batch.lines) - batch.corrupt)
            self._settle(segment, {"corrupt": batch.corrupt, reason: len(refused)})
            if segment.taken >= segment.size:
                self._finish(segment)

    def _accept_held(self, lines: list[bytes], refused: Collection[int], reason: str) -> None:
        for at, line in enumerate(lines):
            # Lines that went to disk meanwhile are sent again from there.
            if self._held and self._held[0] is line:
                self._held_size -= len(self._held.popleft())
                if at in refused:
                    self.lose(reason, 1)

    def _settle(self, segment: Segment, lost: dict[str, int]) -> None:
        """Notes in the segment's ledger how far it is done, and its losses."""
        lost = {reason: number for reason, number in lost.items() if number}
        self._boots.of(segment.boot).accept(segment.number, segment.taken, lost)
        for reason, number in lost.items():
            self._lost(reason, number)

    def close(self) -> None:
        """Writes the records in memory to disk, and leaves the segments to the next start."""
        with self._lock:
            if not self._write_held():
                self.lose(self._losing, len(self._held))
                self._held.clear()
                self._held_size = 0
            self._seal()
            self._boots.close({s.boot for s in self._segments})

    def _write_held(self) -> bool:
        """Writes the records in memory to disk; True if none is left in memory."""
        if self._held:
            for _ in range(self._write(list(self._held))):
                self._held_size -= len(self._held.popleft())
        return not self._held

    def _write(self, lines: list[bytes]) -> int:
        """The number of lines that are on disk now, whole."""
        try:
            segment = self._open()
        except OSError as e:
            self._failed(e)
            return 0
        data = b"\n".join([*lines, b""])
        done = 0
        error: OSError | None = None
        try:
            while done < len(data):
                done += os.write(self._fd, memoryview(data)[done:])
        except OSError as e:
            error = e
        whole = data.rfind(b"\n", 0, done) + 1
        written = len(lines) if whole == len(data) else data.count(b"\n", 0, whole)
        segment.size += whole
        segment.records += written
        if error is not None:
            with contextlib.suppress(OSError):  # a torn line; readers stop before it in any case
                os.ftruncate(self._fd, segment.size)
            self._failed(error)
            self._seal()  # the next segment may be small enough
            return written
        if self.error:
            log.info("the spool can be written again")
            self.error = ""
        if segment.size >= self._segment_size:
            self._seal()
        return written

    def _open(self) -> Segment:
        if self._active is None:
            self._boots.claim()
            self._number += 1
            path = self._directory / segment_name(self.boot, self._number)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._fd = os.open(path, flags, 0o600)
            self._active = Segment(path, self.boot, own=True)
            self._segments.append(self._active)
        return self._active

    def _seal(self) -> None:
        segment, self._active = self._active, None
        if segment is None:
            return
        os.close(self._fd)
        self._fd = -1
        if not segment.size:
            self._finish(segment)

    def _failed(self, error: OSError) -> None:
        self._retry_at = time.monotonic() + RETRY_S
        if not self.error:
            log.error("the spool cannot be written, records wait in memory: %s", error.strerror)
        self.error = error.strerror or type(error).__name__
        self._losing = "disk_full" if is_full(error) else "disk_error"

    def _finish(self, segment: Segment) -> None:
        """Empties or deletes a segment whose records are all done."""
        if segment is self._active:
            try:
                os.ftruncate(self._fd, 0)
            except OSError as e:
                self._failed(e)
                self._seal()
            else:
                segment.size = segment.records = segment.taken = 0
                self._settle(segment, {})
                return
        with contextlib.suppress(ValueError):
            self._segments.remove(segment)
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as e:  # it will be sent once more after the next start
            log.warning("%s cannot be deleted: %s", segment.path, e.strerror)
        if segment.boot != self.boot:
            self._boots.finished(segment.boot, {s.boot for s in self._segments})

    def _give_up(self, segment: Segment, error: OSError) -> None:
        with self._lock:
            log.error("%s cannot be read back: %s", segment.path, error.strerror or error)
            segment.taken = segment.size
            self._settle(segment, {"corrupt": segment.records})
            if segment is self._active:
                self._active = None
                os.close(self._fd)
                self._fd = -1
            self._finish(segment)
