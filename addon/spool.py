"""The disk queue between the sidecar and the app: a record stays here until the app has it.

`ship.Shipper` appends masked records, `deliver.Delivery` reads the oldest and accepts what the app
took. The directory holds, side by side for every start of a sidecar:

    <boot>-<number>.ndjson  a segment: encoded records, one a line, about 1 MiB
    <boot>.lock             locked (flock) for as long as the process lives that appends to them

A start takes over the segments of every boot whose lock nobody holds, so processes that share a
directory never touch each other's. Nothing is fsynced: the page cache survives the death of the
process, which is what happens to containers; a power failure loses the last seconds, shows as a gap
in the sequence, and would cost every record a disk's latency to avoid. What was accepted of a
segment is not noted on disk either: after a crash its records are sent again, and the store knows
them by id.
"""

import contextlib
import errno
import fcntl
import logging
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from addon.segment import Batch, Segment, count_lines, cut, segment_name, segments_in

SEGMENT_SIZE = 1 << 20  # bytes after which the next segment begins
HELD_SIZE = 4 << 20  # bytes of records that memory holds while the disk takes none
RETRY_S = 1.0  # between attempts to write to a disk that failed

log = logging.getLogger(__name__)


class Spool:
    """`lost(reason, number)` is called for records that are gone. One thread appends, one reads and
    accepts. Only `adopt` raises: a disk that fails is named in `error`, and tried again."""

    def __init__(
        self, directory: Path, boot: str, limit: int, lost: Callable[[str, int], None]
    ) -> None:
        """`limit` is in bytes, of all segments and of what memory holds."""
        self.error = ""
        self._losing = "disk_error"  # reason for records that are lost while the disk fails
        self._directory = directory
        self.boot = boot  # names this start
        self._limit = limit
        self._segment_size = min(SEGMENT_SIZE, max(1, limit // 4))
        self._lost = lost
        self._lock = threading.Lock()
        self._segments: deque[Segment] = deque()  # oldest first
        self._active: Segment | None = None  # of them, the one that is appended to
        self._fd = -1  # of the active one
        self._number = 0
        self._held: deque[bytes] = deque()
        self._held_size = 0
        self._retry_at = 0.0
        self._claims: dict[str, int] = {}  # boot -> descriptor of its lock

    @property
    def records(self) -> int:
        """Records that wait, on disk and in memory."""
        with self._lock:
            return sum(s.records for s in self._segments) + len(self._held)

    @property
    def size(self) -> int:
        """Bytes of them."""
        with self._lock:
            return self._size()

    def _size(self) -> int:
        return sum(s.size for s in self._segments) + self._held_size

    def adopt(self) -> int:
        """Put the segments of processes that are gone before all others; how many records.

        Raises OSError, after it has done what it could, when it should be called again.
        """
        if not self._directory.is_dir():
            return 0
        boots = []
        error: OSError | None = None
        for boot in segments_in(self._directory).keys() - self._claims.keys() - {self.boot}:
            try:
                if self._claim(boot):
                    boots.append(boot)
            except OSError as e:
                error = e
        # Listed again: the last owner may have finished one before it let go.
        listed = segments_in(self._directory)
        found = [_found(boot, listed.get(boot, [])) for boot in boots]
        adopted = [s for _, segments in sorted(found, key=lambda f: f[0]) for s in segments]
        with self._lock:
            self._segments.extendleft(reversed(adopted))
            for segment in [s for s in adopted if not s.size]:
                self._finish(segment)
            for boot in boots:
                self._release(boot)
        if error is not None:
            raise error
        return sum(s.records for s in adopted)

    def append(self, lines: Iterable[bytes]) -> None:
        """Keep records: on disk, in memory while the disk fails; those over the limit are lost."""
        with self._lock:
            size = self._size()
            fitting = []
            for line in lines:
                if size + len(line) + 1 <= self._limit:
                    fitting.append(line)
                    size += len(line) + 1
                else:
                    self._lost("spool_full", 1)
            if not fitting:
                return
            written = 0
            if time.monotonic() >= self._retry_at and self._write_held():
                written = self._write(fitting)
            for line in fitting[written:]:
                if self._held_size + len(line) > HELD_SIZE:
                    self._lost(self._losing, 1)
                else:
                    self._held.append(line)
                    self._held_size += len(line)

    def read(self, count: int, size: int) -> Batch:
        """At most `count` of the oldest records and about `size` bytes, at least one; empty when
        none waits. They stay until `accept`."""
        while True:
            with self._lock:
                segment = next((s for s in self._segments if s.taken < s.size), None)
                if segment is None:
                    return self._read_held(count, size)
                start, end = segment.taken, segment.size
            try:
                batch = cut(segment, start, end, count, size)
            except OSError as e:
                self._give_up(segment, e)
                continue
            if batch.lines:
                return batch
            self.accept(batch)  # nothing but damage

    def _read_held(self, count: int, size: int) -> Batch:
        lines: list[bytes] = []
        for line in self._held:
            if lines and (len(lines) >= count or size < len(line)):
                break
            lines.append(line)
            size -= len(line)
        return Batch(lines, None, len(lines), 0)

    def accept(self, batch: Batch) -> None:
        """The batch is done with: forget its records, and delete a segment that holds no more."""
        with self._lock:
            if batch.corrupt:
                self._lost("corrupt", batch.corrupt)
            segment = batch.source
            if segment is None:
                for line in batch.lines:
                    # Those that the disk took meanwhile are sent again from there.
                    if self._held and self._held[0] is line:
                        self._held_size -= len(self._held.popleft())
                return
            segment.taken += batch.length
            segment.records = max(0, segment.records - len(batch.lines) - batch.corrupt)
            if segment.taken >= segment.size:
                self._finish(segment)

    def close(self) -> None:
        """Bring to disk what memory holds, and leave the segments to the next start."""
        with self._lock:
            if not self._write_held():
                self._lost(self._losing, len(self._held))
                self._held.clear()
                self._held_size = 0
            self._seal()
            for boot in list(self._claims):
                self._release(boot)
            for fd in self._claims.values():
                os.close(fd)
            self._claims.clear()

    def _write_held(self) -> bool:
        """Bring to disk what memory holds; whether it holds no more."""
        if self._held:
            for _ in range(self._write(list(self._held))):
                self._held_size -= len(self._held.popleft())
        return not self._held

    def _write(self, lines: list[bytes]) -> int:
        """How many of the lines are on disk now, whole."""
        try:
            segment = self._open()
        except OSError as e:
            self._failed(e)
            return 0
        data = b"".join(line + b"\n" for line in lines)
        done = 0
        error: OSError | None = None
        try:
            while done < len(data):
                done += os.write(self._fd, memoryview(data)[done:])
        except OSError as e:
            error = e
        whole = data.rfind(b"\n", 0, done) + 1
        written = data.count(b"\n", 0, whole)
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
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._claim(self.boot)
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
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        self._losing = "disk_full" if full else "disk_error"

    def _finish(self, segment: Segment) -> None:
        """Every record of it is done with."""
        if segment is self._active:
            try:
                os.ftruncate(self._fd, 0)
            except OSError as e:
                self._failed(e)
                self._seal()
            else:
                segment.size = segment.records = segment.taken = 0
                return
        with contextlib.suppress(ValueError):
            self._segments.remove(segment)
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as e:  # it will be sent once more after the next start
            log.warning("%s cannot be deleted: %s", segment.path, e.strerror)
        if segment.boot != self.boot:
            self._release(segment.boot)

    def _give_up(self, segment: Segment, error: OSError) -> None:
        with self._lock:
            log.error("%s cannot be read back: %s", segment.path, error.strerror or error)
            self._lost("corrupt", segment.records)
            if segment is self._active:
                self._active = None
                os.close(self._fd)
                self._fd = -1
            self._finish(segment)

    def _claim(self, boot: str) -> bool:
        """False when another process holds the boot's lock."""
        if boot in self._claims:
            return True
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self._directory / f"{boot}.lock", flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except OSError:
            os.close(fd)
            raise
        self._claims[boot] = fd
        return True

    def _release(self, boot: str) -> None:
        """Give up the lock of a boot that has no segment left."""
        if boot not in self._claims or any(s.boot == boot for s in self._segments):
            return
        with contextlib.suppress(OSError):
            (self._directory / f"{boot}.lock").unlink()
        os.close(self._claims.pop(boot))


def _found(boot: str, paths: list[Path]) -> tuple[int, list[Segment]]:
    """A boot's segments, and when the first was last written to."""
    since = 0
    segments = []
    for path in paths:
        try:
            state = path.lstat()
            if stat.S_ISREG(state.st_mode):
                since = since or state.st_mtime_ns
                segments.append(Segment(path, boot, state.st_size, count_lines(path)))
        except OSError as e:
            log.warning("%s stays in the spool, it cannot be read: %s", path, e.strerror)
    return since, segments
