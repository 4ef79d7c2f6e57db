"""One file of the spool: its name, and how records are read back from it, damaged ones aside.

`spool.Spool` decides which segments there are; nothing here writes.
"""

import logging
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from app.contract.record import LINE_CAP, RecordError, decode

_SCAN = 1 << 16  # bytes that are looked at together

log = logging.getLogger(__name__)

_NAME = re.compile(r"([0-9a-f]{32})-[0-9]{8,}\.ndjson")


@dataclass(slots=True, eq=False)
class Segment:
    """A file of the queue. Bytes after `size` are no part of it, those before `taken` are done."""

    path: Path
    boot: str
    size: int = 0
    records: int = 0  # that wait, damaged ones too
    taken: int = 0
    own: bool = False  # written by this process

    @property
    def number(self) -> int:
        return int(self.path.stem.rpartition("-")[2])


class SpoolBatch(NamedTuple):
    """The oldest records that wait. `source` None: from memory, and `length` counts records."""

    lines: list[bytes]
    source: Segment | None
    length: int
    corrupt: int


def segment_name(boot: str, number: int) -> str:
    return f"{boot}-{number:08}.ndjson"


def segments_in(directory: Path) -> dict[str, list[Path]]:
    """Segments by boot, in their order. Files of other names are nobody's business."""
    found: dict[str, list[Path]] = {}
    for path in sorted(directory.iterdir()):
        if match := _NAME.fullmatch(path.name):
            found.setdefault(match[1], []).append(path)
    return found


def segments_of(
    boot: str, paths: list[Path], position: tuple[int, int]
) -> tuple[int, list[Segment]]:
    """When the first was last written to, and what they are; `position` is up to which segment, and
    byte of it, the records are done with."""
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
    """Lines of a file from there on, a last one without its end too."""
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
    """The records of a segment's bytes from `start`; no line when there is only damage."""
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
    """A line that this process wrote is one when both ends are there: reading it takes as long as
    the rest of its delivery, and the app refuses what is damaged all the same."""
    if segment.own and line[:1] == b"{" and line[-1:] == b"}":
        return True
    try:
        decode(line)
    except RecordError:
        return False
    return True


def _damage(fd: int, start: int, end: int) -> int:
    """Bytes up to the next line."""
    position = start
    while position < end and (chunk := os.pread(fd, min(_SCAN, end - position), position)):
        at = chunk.find(b"\n")
        if at >= 0:
            return position + at + 1 - start
        position += len(chunk)
    return end - start
