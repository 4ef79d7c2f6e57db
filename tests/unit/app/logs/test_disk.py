"""What a directory takes is tried; what a volume is asked to hold is compared with its size."""

import resource
import shutil
import signal
from pathlib import Path

from app.logs.disk import TRIED, lacking, too_small


def test_a_directory_that_takes_more_keeps_nothing(tmp_path: Path) -> None:
    assert lacking(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


def test_why_it_takes_no_more(tmp_path: Path) -> None:
    assert lacking(tmp_path / "none") == "No such file or directory"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (TRIED - 1, limits[1]))
    try:
        assert lacking(tmp_path) == "No space left on device"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_limits_are_added_up_by_volume(tmp_path: Path) -> None:
    data, logs = tmp_path / "data", tmp_path / "logs"
    data.mkdir()
    logs.mkdir()
    whole = shutil.disk_usage(tmp_path).total
    assert too_small({data: whole // 2, logs: whole // 2}) == ""
    assert too_small({data: 0, logs: whole}) == ""
    told = too_small({data: whole // 2 + 1, logs: whole // 2 + 1})
    assert told.startswith(f"the volume of {data} and {logs} holds {whole >> 20} MiB, less than ")
