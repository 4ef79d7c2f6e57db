"""Commands that make several runs, ended in the midst of one by a signal: all that they started is
ended, and what was known is told as incomplete."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.run import transparent

# Sends in each run; in the last one it heeds no signal, nor does what it started.
COMMAND = """
echo run >> {folder}/runs
curl -sI -o /dev/null https://huggingface.co/api/telemetry/x
[ "$(wc -l < {folder}/runs)" -lt {last} ] && exit 0
trap '' TERM INT HUP
setsid sleep 4713 &
echo $$ $! > {folder}/begun && mv {folder}/begun {folder}/hangs
while :; do sleep 0.05; done
"""
MOST_S = 300.0  # ends what hangs, and nothing else

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]


@contextmanager
def command(folder: Path, last: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command of telemock that is in its last run."""
    (folder / "command.sh").write_text(COMMAND.format(folder=folder, last=last))
    (folder / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "app.cli", *arguments, "--", "sh", str(folder / "command.sh")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"TMPDIR": str(folder / "tmp")}, preexec_fn=_heeds_signals,
    )  # fmt: skip
    guard = threading.Timer(MOST_S, process.kill)
    guard.start()
    try:
        yield process
    finally:
        guard.cancel()
        process.kill()
        process.communicate()


def _heeds_signals() -> None:
    """The tests may run in the background, or under nohup."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def ended(folder: Path, process: subprocess.Popen[str], number: int) -> tuple[str, str]:
    """What it prints once the signal came twice, as `timeout` sends it; nothing is left of it."""
    while not (folder / "hangs").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    hanging = [int(pid) for pid in (folder / "hangs").read_text().split()]
    assert len(hanging) == 2
    process.send_signal(number)
    process.send_signal(number)
    said = process.communicate()
    assert process.returncode == 128 + number, said
    assert not [pid for pid in hanging if Path(f"/proc/{pid}").exists()]
    assert list((folder / "tmp").iterdir()) == []
    return said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_audit(tmp_path: Path, number: signal.Signals) -> None:
    with command(tmp_path, 2, "optout", "huggingface", "--json") as process:
        out, err = ended(tmp_path, process, number)
    found = json.loads(out)
    assert (found["without"]["result"], found["again"]["result"], err) == ("sends", "not run", "")
    assert {one["result"] for one in found["switches"]} <= {"not run", "by hand"}
    assert not found["holds"] and not found["proves"]
    assert found["conclusion"].endswith(f"incomplete ({number.name})")


@pytest.mark.skipif(bool(transparent.refused()), reason="the kernel gives no listener")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_rehearsal(tmp_path: Path, number: signal.Signals) -> None:
    faults = ["--fault", "tls-error", "--fault", "403"]
    with command(tmp_path, 3, "rehearse", "--profile", "huggingface", *faults) as process:
        out, err = ended(tmp_path, process, number)
    assert (
        f"1 fault rehearsed: 1 tolerated, 0 degraded, 0 fatal; interrupted by {number.name}" in out
    )
    assert "Traceback" not in err


def test_a_rehearsal_of_which_nothing_is_known_yet(tmp_path: Path) -> None:
    with command(tmp_path, 1, "rehearse", "--profile", "huggingface", "--json") as process:
        out, err = ended(tmp_path, process, signal.SIGTERM)
    assert "SIGTERM" in json.loads(out)["error"]
    assert err.startswith("error: interrupted by SIGTERM in the run without a fault")
