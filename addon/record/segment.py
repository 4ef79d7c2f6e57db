"""One file of the spool: its name, and its records read back, without damaged ones.

`addon.record.spool.Spool` owns the segments; nothing here writes.
"""

import logging
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from app.contract.record import LINE_CAP, RecordError, decode

_SCAN = 1 << 16  # bytes of one read

log = logging.getLogger(__name__)

_NAME = re.compile(r"([0-9a-f]{32})-[0-9]{8,}\.ndjson")


@dataclass(slots=True, eq=False)
class Segment:
    """A file of the queue. Bytes after `size` are not part of it, those before `taken` are done."""

    path: Path
    boot: str
    size: int = 0
    records: int = 0  # waiting ones, with the damaged
    taken: int = 0
    own: bool = False  # written by this process

    @property
    def number(self) -> int:
        return int(self.path.stem.rpartition("-")[2])


class SpoolBatch(NamedTuple):
    """The oldest waiting records. `source` None: from memory, and `length` counts records."""

    lines: list[bytes]
    source: Segment | None
    length: int
    corrupt: int


def segment_name(boot: str, number: int) -> str:
    return f"{boot}-{number:08}.ndjson"


def segments_in(directory: Path) -> dict[str, list[Path]]:
    """Segments by boot, in order. Files with other names are ignored."""
    found: dict[str, list[Path]] = {}
    for path in sorted(directory.iterdir()):
        if match := _NAME.fullmatch(path.name):
            found.setdefault(match[1], []).append(path)
    return found


def segments_of(
    boot: str, paths: list[Path], position: tuple[int, int]
) -> tuple[int, list[Segment]]:
    """The time of the first one's last write, and the segments; `position` is the segment, and the
    byte in it, up to which the records are done."""
    since = 0
    segments = []
    for path in paths:
        try:
            state = path.lstat()
            if stat.S_ISREG(state.st_mode):
                since = since or state.st_mtime_ns
                segment = Segment(path, boot, state.st_size)
                if segment.number <= position[0]:
                    done = position[1] if segment.number == position[0] else segment.size
                    segment.taken = min(done, segment.size)
                segment.records = count_lines(path, segment.taken)
                segments.append(segment)
        except OSError as e:
            log.warning("%s stays in the spool, it cannot be read: %s", path, e.strerror)
    return since, segments


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)


def count_lines(path: Path, start: int = 0) -> int:
    """The number of lines from `start` on, with a last one without an end."""
    fd = _open(path)
    try:
        os.lseek(fd, start, os.SEEK_SET)
        lines = 0
        last = b"\n"
        while chunk := os.read(fd, _SCAN):
            lines += chunk.count(b"\n")
            last = chunk[-1:]
        return lines + (last != b"\n")
    finally:
        os.close(fd)


def cut(segment: Segment, start: int, end: int, count: int, size: int) -> SpoolBatch:
    """The records of a segment's bytes from `start`; no line if all of them are damaged."""
    fd = _open(segment.path)
    try:
        data = os.pread(fd, min(size, end - start), start)
        if b"\n" not in data:
            data = os.pread(fd, min(LINE_CAP + 1, end - start), start)
        if not data:
            raise OSError(0, "it is shorter than it was")
        lines: list[bytes] = []
        position = corrupt = 0
        while len(lines) < count and (at := data.find(b"\n", position)) >= 0:
            line = data[position:at]
            if _is_record(line, segment):
                lines.append(line)
            else:
                corrupt += 1
            position = at + 1
        if position == 0:  # a torn end, or more bytes than any record has
            return SpoolBatch([], segment, _damage(fd, start, end), 1)
        return SpoolBatch(lines, segment, position, corrupt)
    finally:
        os.close(fd)


def _is_record(line: bytes, segment: Segment) -> bool:
    """For a line of this process both its ends suffice: decoding it would double the cost of its
    delivery, and the app refuses damaged records all the same."""
    if segment.own and line[:1] == b"{" and line[-1:] == b"}":
        return True
    try:
        decode(line)
    except RecordError:
        return False
    return True


def _damage(fd: int, start: int, end: int) -> int:
    """The number of bytes up to the next line."""
    position = start
    while position < end and (chunk := os.pread(fd, min(_SCAN, end - position), position)):
        at = chunk.find(b"\n")
        if at >= 0:
            return position + at + 1 - start
        position += len(chunk)
    return end - start
