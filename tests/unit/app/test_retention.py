"""app/retention.py: what is too old, or too much, goes while the app runs."""

import shutil
from pathlib import Path

import pytest

from app.contract.names import LOG_REQUESTS
from tests.serving import serving
from tests.waiting import wait_for


def test_retention_drops_what_is_too_old(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        served.bare.get("/telemetry/?v=1")
        assert len(served.captures()) == 1
    with serving(tmp_path, TELEMOCK_RETENTION_DAYS="0.0000001") as served:
        wait_for(lambda: not served.captures(0))


def test_limits_that_the_volume_has_no_room_for_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = shutil.disk_usage(tmp_path).total
    with serving(tmp_path, TELEMOCK_RETENTION_SIZE=str(whole), TELEMOCK_LOGS_SIZE=str(whole)):
        wait_for(lambda: "lower TELEMOCK_RETENTION_SIZE or TELEMOCK_LOGS_SIZE" in caplog.text)


def test_log_files_over_their_size_go_at_the_start(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    older = logs / f"{LOG_REQUESTS}.1"
    older.write_bytes(b"x" * (2 << 20))
    with serving(tmp_path, TELEMOCK_LOGS_SIZE="1MiB"):
        wait_for(lambda: not older.exists())
