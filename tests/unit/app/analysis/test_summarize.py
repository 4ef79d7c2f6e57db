"""The analysis as people start it, on whole, rotated, broken and missing files."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from app.analysis.summarize import lines, log_files, main, summarize
from app.contract.names import FILE_STORE
from app.contract.record import LINE_CAP
from app.logs.files import LogFiles, request_log
from app.report.build import build
from app.report.papers import known_papers
from app.store.sqlite.store import SqliteStore
from tests.records import T0, exchange, incoming, spliced
from tests.unit.app.analysis.test_rows import records

ROOT = Path(__file__).parents[4]


def fill(logs: Path, first: int, last: int) -> Path:
    files = LogFiles(logs)
    for n in range(first, last + 1):
        files.requests([request_log(exchange(n))])
    files.close()
    return logs / "telemetry_requests.log"


def test_command_writes_both_files(tmp_path: Path) -> None:
    fill(tmp_path, 1, 3)
    done = subprocess.run(
        [sys.executable, "-m", "app.analysis.summarize"], cwd=ROOT, text=True,
        env={**os.environ, "TELEMOCK_LOGS": str(tmp_path), "TELEMOCK_DATA": str(tmp_path / "none")},
        capture_output=True, check=True,
    )  # fmt: skip
    assert "3 requests" in done.stdout
    summary = json.loads((tmp_path / "analysis" / "summary.json").read_text())
    assert (summary["source"], summary["report"]["count"]) == ("log files", 3)
    assert summary["report"]["versions"][0]["version"] == "4.16.1-20904e45"
    assert (tmp_path / "analysis" / "final-report.md").read_text().startswith("# Telemetry report")
    assert len(list((tmp_path / "analysis").iterdir())) == 2


def test_a_store_is_asked_where_there_is_one_and_says_the_same_as_the_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, logs = tmp_path / "data", tmp_path / "logs"
    data.mkdir()
    found = incoming(*records())
    store = SqliteStore(data / FILE_STORE)
    store.write([*found, *incoming(spliced(len(found) + 1, time_ns=T0))])
    files = LogFiles(logs)
    files.requests([one.log_line for one in found])
    files.close()
    monkeypatch.setenv("TELEMOCK_DATA", str(data))
    monkeypatch.setenv("TELEMOCK_LOGS", str(logs))

    def written(*arguments: str) -> dict[str, Any]:
        assert main([*arguments]) == 0
        made: dict[str, Any] = json.loads((logs / "analysis" / "summary.json").read_text())
        return made

    stored, logged = written(), written("--from-logs", str(logs))
    assert str(data / FILE_STORE) in capsys.readouterr().out
    assert stored["log"] == logged["log"] and stored["log"]["requests"] == len(found)
    papers = known_papers(["cribl"], None)[0].in_use
    asked = msgspec.to_builtins(build(store, papers=papers, inbox=store.inbox()))
    assert stored["report"] | {"generated_at": ""} == asked | {"generated_at": ""}
    (only,) = [row for row in stored["report"]["passed"] if row["kind"] == "spliced"]
    assert only["host"] == "other.example"
    for report in (stored["report"], logged["report"]):
        for name in ("generated_at", "count", "passed", "workloads"):  # with the connection
            del report[name]
        for name in ("coverage", "ledger", "missing", "inbox"):  # of no log file
            del report[name]
    assert stored["report"] == logged["report"]
    store.close()


def test_a_store_without_log_files_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SqliteStore(tmp_path / FILE_STORE).close()
    monkeypatch.setenv("TELEMOCK_DATA", str(tmp_path))
    monkeypatch.setenv("TELEMOCK_LOGS", str(tmp_path / "logs"))
    assert main([]) == 0
    made = json.loads((tmp_path / "logs" / "analysis" / "summary.json").read_text())
    assert (made["log"], made["report"]["count"]) == (None, 0)


def test_a_store_that_cannot_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / FILE_STORE).write_bytes(b"no store " * 1_000)
    monkeypatch.setenv("TELEMOCK_DATA", str(tmp_path))
    monkeypatch.setenv("TELEMOCK_LOGS", str(fill(tmp_path / "logs", 1, 1).parent))
    assert main([]) == 3
    assert "hint: " in capsys.readouterr().err


def test_no_terminal_acts_on_what_is_written(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x9b31m\u202e"
    files = LogFiles(tmp_path)
    odd = exchange(1, host=evil, path=evil, route=evil, pod=evil, headers=[("User-Agent", evil)])
    files.requests([request_log(odd)])
    files.close()
    assert main(["--from-logs", str(tmp_path)]) == 0
    for path in (tmp_path / "analysis").iterdir():
        written = path.read_text()
        assert "owned" in written
        assert all(c.isprintable() or c == "\n" for c in written), path


def test_rotated_files_count_once(tmp_path: Path) -> None:
    log = fill(tmp_path, 1, 2)
    old = tmp_path / "telemetry_requests.log.2026-01-01T00-00-00.000000Z"
    old.write_bytes(log.read_bytes())
    packed = zstandard.compress(log.read_bytes())  # a crash between packing and removing
    Path(f"{old}.zst").write_bytes(packed)
    (tmp_path / f"{old.name}.zst.tmp").write_bytes(b"half")
    assert [p.name for p in log_files(tmp_path)] == [f"{old.name}.zst", log.name]
    assert summarize(tmp_path).report.count == 4


@pytest.mark.parametrize(
    "broken",
    [b"not json\n", b"\n", b"[]\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b'{"url":1}\n',
     b'{"half":', b"x" * (LINE_CAP + 10) + b"\n"],
    ids=lambda b: b[:8].decode("latin-1").strip() or "empty",
)  # fmt: skip
def test_broken_lines_are_counted(tmp_path: Path, broken: bytes) -> None:
    log = fill(tmp_path, 1, 2)
    good = log.read_bytes()
    log.write_bytes(good + broken if broken.endswith(b":") else good + broken + good)
    summary = summarize(tmp_path)
    assert summary.log and summary.log.broken_lines == 1
    assert summary.report.count == summary.log.requests == (2 if broken.endswith(b":") else 4)


def test_damaged_packed_file(tmp_path: Path) -> None:
    log = fill(tmp_path, 1, 50)
    packed = zstandard.compress(log.read_bytes())
    (tmp_path / "telemetry_requests.log.2026-01-01T00-00-00.000000Z.zst").write_bytes(packed[:-20])
    summary = summarize(tmp_path)
    assert summary.log and summary.log.broken_lines >= 1 and summary.log.requests >= 50


def test_line_in_several_reads_is_one(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a\n" + b"x" * (3 * LINE_CAP) + b"\nb\n")
    assert list(lines(path)) == [b"a", None, b"b"]


def test_nothing_to_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--from-logs", str(tmp_path)]) == 3
    assert "hint: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path, 1, 1)
    (tmp_path / "analysis").write_text("in the way")
    assert main(["--from-logs", str(tmp_path)]) == 1
    assert "hint: " in capsys.readouterr().err


def test_wrong_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TELEMOCK_RETENTION_DAYS", "many")
    assert main([]) == 2
    assert "TELEMOCK_RETENTION_DAYS" in capsys.readouterr().err
