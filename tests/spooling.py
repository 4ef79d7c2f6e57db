"""Spools in one directory, and what is in them: for tests of the spool and its boots."""

import os
from collections import Counter
from pathlib import Path

from addon.record.segment import segment_name
from addon.record.spool import Spool
from app.contract.record import CaptureRecord, encode

BOOT, OLD, OLDER = "ab" * 16, "cd" * 16, "ef" * 16


def line(seq: int, boot: str = BOOT, size: int = 0) -> bytes:
    record = CaptureRecord(boot=boot, seq=seq, kind="exchange", time_ns=1, detail="x" * size)
    return encode(record)


class Case:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lost: Counter[str] = Counter()

    def spool(self, boot: str = BOOT, limit: int = 64 << 20) -> Spool:
        return Spool(self.directory, boot, limit, self.count)

    def count(self, reason: str, number: int) -> None:
        self.lost[reason] += number

    def names(self) -> list[str]:
        return sorted(p.name for p in self.directory.iterdir())

    def leave(self, boot: str, *contents: bytes, age: int = 0) -> None:
        """Segments of a process that is gone."""
        self.directory.mkdir(exist_ok=True)
        for number, content in enumerate(contents, 1):
            path = self.directory / segment_name(boot, number)
            path.write_bytes(content)
            os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))


def drain(spool: Spool, count: int = 500) -> list[bytes]:
    lines: list[bytes] = []
    while (batch := spool.read(count, 1 << 20)).lines:
        lines += batch.lines
        spool.accept(batch)
    return lines


def ended(*lines: bytes) -> bytes:
    return b"".join(x + b"\n" for x in lines)
