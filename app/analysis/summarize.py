"""Writes summary.json and final-report.md: the report of the store, or of the log files alone.

`python -m app.analysis.summarize [--from-logs DIR]` writes them to analysis/ beside the log files.
It reads a log line by line, and counts lines it cannot read.
"""

import argparse
import io
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import zstandard

from app.analysis.final_report import LOG_FILES, Summary, markdown
from app.analysis.rows import LogRows
from app.analysis.tally import Tally
from app.client.source import ClientError, connect
from app.contract.files import PRIVATE_DIR, tighten, write_whole
from app.contract.instant import iso
from app.contract.names import (
    DIR_ANALYSIS,
    FILE_REPORT,
    FILE_STORE,
    FILE_SUMMARY,
    LOG_REQUESTS,
)
from app.contract.record import LINE_CAP
from app.contract.settings import SettingError
from app.escape import json_text, paragraphs, plain
from app.report import build as reports
from app.report.build import Report
from app.report.coverage import Gap, count
from app.report.papers import Paper, PaperOf, known_papers, no_paper
from app.settings import Settings, load
from app.store import Scope, StoreError

_NOTHING_TO_READ = 3
_HEAD = 18  # longest header of a zstd frame, in bytes


ONLY_REQUESTS = Gap(
    id="log_files",
    count=0,
    says="log files hold requests only: connections without one, WebSocket messages and lost "
    "records are not in them",
    remedy="ask the store: without --from-logs",
)


def summarize(
    logs: Path,
    stored: tuple[str, Report] | None = None,
    papers: Sequence[Paper] = (),
    find: PaperOf = no_paper,
) -> Summary:
    """Summarizes what is `stored` (its place and its report) with the log files; without it, the
    request lines below `logs`. Raises FileNotFoundError if there is neither."""
    rows, tally = LogRows(), Tally()
    files = log_files(logs)
    if stored is None and not files:
        raise FileNotFoundError(logs / LOG_REQUESTS)
    for path in files:
        for line in lines(path):
            entry = None if line is None else _entry(line)
            if entry is None or not rows.add(entry):
                tally.broken += 1
            else:
                tally.add(entry)
    report = stored and stored[1]
    return Summary(
        generated_at=iso(time.time_ns()),
        source=stored[0] if stored else LOG_FILES,
        report=report or reports.build(rows, papers=papers, find=find, gaps=[ONLY_REQUESTS]),
        log=tally.summary([path.name for path in files]) if files else None,
    )


def _stored(settings: Settings) -> tuple[str, Report] | None:
    """Asks as `telemock report` does; None if there is no store. Raises ClientError, StoreError."""
    path = settings.data / FILE_STORE
    if not settings.server and not path.is_file():
        return None
    with connect(settings) as source:
        return settings.server or str(path), source.report(Scope())


def log_files(logs: Path) -> list[Path]:
    """Rotated files first. A file both packed and unpacked (after a crash) counts once."""
    rotated = {
        path.name.removesuffix(".zst"): path
        for path in sorted(logs.glob(f"{LOG_REQUESTS}.[0-9]*"))
        if path.suffix != ".tmp"
    }
    current = logs / LOG_REQUESTS
    return [*rotated.values(), *([current] if current.is_file() else [])]


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
    directory.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIR)
    tighten(directory, (FILE_SUMMARY, FILE_REPORT))
    told = json_text(msgspec.json.format(msgspec.json.encode(summary), indent=2)) + "\n"
    written = []
    for name, content in ((FILE_SUMMARY, told), (FILE_REPORT, markdown(summary))):
        path = directory / name
        write_whole(path, [content.encode()])
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
        description="Write analysis/summary.json and final-report.md in TELEMOCK_LOGS: what "
        "telemock report says of the store in TELEMOCK_DATA, or else of the log files.",
    )
    parser.add_argument(
        "--from-logs", type=Path, metavar="DIR",
        help="only the log files in DIR, for folders that were copied away from the store; writes "
        "to DIR/analysis",
    )  # fmt: skip
    from_logs: Path | None = parser.parse_args(arguments).from_logs
    try:
        settings = load()
        logs = from_logs or settings.logs
        stored = None if from_logs else _stored(settings)
        papers, _ = known_papers(settings.profiles, settings.added)
        summary = summarize(logs, stored, papers.in_use, papers.find)
    except SettingError as e:
        return _failed(str(e), 2)
    except (ClientError, StoreError) as e:
        return _failed(str(e), _NOTHING_TO_READ)
    except FileNotFoundError:
        return _failed(
            f"there is no store, and no {LOG_REQUESTS} in {logs}\n\n"
            "hint: TELEMOCK_DATA names the store's directory, --from-logs that of log files; the "
            "app makes both with the first request",
            _NOTHING_TO_READ,
        )
    try:
        written = write(summary, logs)
    except OSError as e:
        return _failed(
            f"{e.filename or logs / DIR_ANALYSIS}: {e.strerror}\n\n"
            "hint: the analysis is written below the log directory; the last one is still there",
            1,
        )
    print(
        f"{count(summary.report.count, 'capture', 'captures')}, from {plain(summary.source, 1_000)}"
    )
    if summary.log:
        log = summary.log
        broken = count(log.broken_lines, "line", "lines")
        print(f"{count(log.requests, 'request', 'requests')}, {broken} that could not be read")
    for path in written:
        print(path)
    return 0


def _failed(text: str, code: int) -> int:
    print(paragraphs(f"error: {text}"), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
