"""Turns logs/telemetry_requests.log and its rotated files into summary.json and a report.

`python -m app.analysis.summarize [--logs DIR]` writes them to analysis/. It reads line by line and
needs no store, so that it works on a copied folder. It counts lines it cannot read.
"""

import argparse
import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import zstandard

from app.analysis.tally import Summary, Tally, markdown
from app.contract.files import write_whole
from app.contract.instant import iso
from app.contract.names import DIR_ANALYSIS, FILE_REPORT, FILE_SUMMARY, LOG_REQUESTS
from app.contract.record import LINE_CAP
from app.contract.settings import SettingError
from app.settings import load

_NOTHING_TO_READ = 3
_HEAD = 18  # longest header of a zstd frame, in bytes


def summarize(logs: Path) -> Summary:
    """Summarizes the request lines below `logs`, oldest file first. Raises FileNotFoundError when
    there is no log file."""
    tally = Tally()
    files = log_files(logs)
    for path in files:
        for line in lines(path):
            entry = None if line is None else _entry(line)
            if entry is None or not tally.add(entry):
                tally.broken += 1
    return tally.summary(
        generated_at=iso(time.time_ns()),
        files=[path.name for path in files],
    )


def log_files(logs: Path) -> list[Path]:
    """Rotated files first. A file both packed and unpacked (after a crash) counts once."""
    rotated = {
        path.name.removesuffix(".zst"): path
        for path in sorted(logs.glob(f"{LOG_REQUESTS}.[0-9]*"))
        if path.suffix != ".tmp"
    }
    current = logs / LOG_REQUESTS
    found = [*rotated.values(), *([current] if current.is_file() else [])]
    if not found:
        raise FileNotFoundError(current)
    return found


def lines(path: Path) -> Iterator[bytes | None]:
    """Yields lines without their ends; None for a line too long, or in a damaged packed file."""
    packed = path.suffix == ".zst"
    with path.open("rb") as raw:
        try:
            size, file = _unpacked(raw) if packed else (0, raw)
            while line := file.readline(LINE_CAP):
                if line.endswith(b"\n"):
                    yield line[:-1]
                    continue
                rest = line
                while len(rest) == LINE_CAP and not rest.endswith(b"\n"):
                    rest = file.readline(LINE_CAP)
                yield None  # too long, or cut by a crash
            if packed and file.tell() != size:
                yield None
        except (OSError, zstandard.ZstdError):
            yield None


def _unpacked(packed: BinaryIO) -> tuple[int, BinaryIO]:
    """Returns the packed file's plain size, and its plain content. Raises zstandard.ZstdError."""
    size = zstandard.frame_content_size(packed.read(_HEAD))
    packed.seek(0)
    return size, io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(packed))


def write(summary: Summary, logs: Path) -> tuple[Path, Path]:
    """Writes both files, each whole or not at all."""
    directory = logs / DIR_ANALYSIS
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in (
        (FILE_SUMMARY, msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"),
        (FILE_REPORT, markdown(summary).encode()),
    ):
        path = directory / name
        write_whole(path, [content])
        written.append(path)
    return written[0], written[1]


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def main(arguments: list[str] | None = None) -> int:
    """Exits with 0 done, 1 cannot write, 2 wrong usage or setting, 3 nothing to read."""
    parser = argparse.ArgumentParser(
        prog="python -m app.analysis.summarize",
        description="Summarize the request log into analysis/summary.json and final-report.md.",
    )
    parser.add_argument(
        "--logs", type=Path, help="directory of the log files (default: TELEMOCK_LOGS, or logs)"
    )
    logs: Path | None = parser.parse_args(arguments).logs
    try:
        logs = logs or load().logs
        summary = summarize(logs)
    except SettingError as e:
        print(f"error: {e}", file=sys.stderr)
        return 2
    except FileNotFoundError:
        print(
            f"error: there is no {LOG_REQUESTS} in {logs}\n\n"
            "hint: --logs names the directory; the app writes the file with the first request",
            file=sys.stderr,
        )
        return _NOTHING_TO_READ
    try:
        written = write(summary, logs)
    except OSError as e:
        print(
            f"error: {e.filename or logs / DIR_ANALYSIS}: {e.strerror}\n\n"
            "hint: the analysis is written below the log directory; the last one is still there",
            file=sys.stderr,
        )
        return 1
    print(f"{summary.requests} requests, {summary.broken_lines} lines that could not be read")
    for path in written:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
