"""The analysis as people start it, on whole, rotated, broken and missing files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from app.analysis.summarize import lines, log_files, main, summarize
from app.contract.record import LINE_CAP
from app.logs.files import LogFiles, request_log
from tests.records import exchange

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
        env={**os.environ, "TELEMOCK_LOGS": str(tmp_path)}, capture_output=True, check=True,
    )  # fmt: skip
    assert "3 requests" in done.stdout
    summary = json.loads((tmp_path / "analysis" / "summary.json").read_text())
    assert (summary["requests"], summary["by_version"]) == (3, {"4.16.1-20904e45": 3})
    assert (tmp_path / "analysis" / "final-report.md").read_text().startswith("# Telemetry report")
    assert len(list((tmp_path / "analysis").iterdir())) == 2


def test_rotated_files_count_once(tmp_path: Path) -> None:
    log = fill(tmp_path, 1, 2)
    old = tmp_path / "telemetry_requests.log.2026-01-01T00-00-00.000000Z"
    old.write_bytes(log.read_bytes())
    packed = zstandard.compress(log.read_bytes())  # a crash between packing and removing
    Path(f"{old}.zst").write_bytes(packed)
    (tmp_path / f"{old.name}.zst.tmp").write_bytes(b"half")
    assert [p.name for p in log_files(tmp_path)] == [f"{old.name}.zst", log.name]
    assert summarize(tmp_path).requests == 4


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
    assert summary.broken_lines == 1
    assert summary.requests == (2 if broken.endswith(b":") else 4)


def test_damaged_packed_file(tmp_path: Path) -> None:
    log = fill(tmp_path, 1, 50)
    packed = zstandard.compress(log.read_bytes())
    (tmp_path / "telemetry_requests.log.2026-01-01T00-00-00.000000Z.zst").write_bytes(packed[:-20])
    summary = summarize(tmp_path)
    assert summary.broken_lines >= 1 and summary.requests >= 50


def test_line_in_several_reads_is_one(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a\n" + b"x" * (3 * LINE_CAP) + b"\nb\n")
    assert list(lines(path)) == [b"a", None, b"b"]


def test_nothing_to_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--logs", str(tmp_path)]) == 3
    assert "hint: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path, 1, 1)
    (tmp_path / "analysis").write_text("in the way")
    assert main(["--logs", str(tmp_path)]) == 1
    assert "hint: " in capsys.readouterr().err


def test_wrong_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", "many")
    assert main([]) == 2
    assert "PORT" in capsys.readouterr().err
