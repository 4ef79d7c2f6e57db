"""addon/__main__.py: what the command line says."""

import os
import subprocess
import sys

from addon import options
from addon.supervisor import CANNOT_START
from tests.sidecar import ROOT


def command(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "addon", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        env=os.environ | environ,
    )


def test_help_is_the_table_of_settings() -> None:
    done = command("--help")
    assert done.returncode == 0
    assert options.table() in done.stdout


def test_a_wrong_setting_or_argument_is_exit_code_2() -> None:
    done = command(TELEMOCK_MODE="mok")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: TELEMOCK_MODE is 'mok'")
    done = command("--verbose")
    assert done.returncode == 2 and "hint:" in done.stderr


def test_a_directory_that_cannot_be_written_stops_the_start() -> None:
    done = command(TELEMOCK_DATA="/dev/null/data")
    assert done.returncode == CANNOT_START
    assert "/dev/null" in done.stderr and "hint: TELEMOCK_DATA" in done.stderr
