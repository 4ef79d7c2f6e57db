"""app/run/processes.py: children that start, fail readably, and leave nothing behind."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.client.running import running_app
from app.contract import names
from app.run import processes
from tests.peers import Listener
from tests.waiting import wait_for

PY = sys.executable


def child(tmp_path: Path, script: str, **more: bool) -> processes.Child:
    return processes.Child(
        "the thing",
        [PY, "-c", script],
        environ=os.environ,
        console=tmp_path / "logs" / "thing.log",
        **more,
    )


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_child_that_ends_early_is_an_error_with_its_last_lines(tmp_path):
    one = child(tmp_path, "import sys; sys.exit('\\x1b[2Jthe port is taken')")
    with pytest.raises(processes.LocalError) as caught:
        one.wait(lambda: False)
    text = str(caught.value)
    assert text.startswith("the thing ended with 1\n\n")
    assert "the port is taken" in text
    assert "\x1b" not in text
    assert f"hint: all it said is in {one.console}" in text


def test_a_child_that_is_never_ready_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "START_SECONDS", 0.2)
    one = child(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(processes.LocalError, match="was not ready"):
        one.wait(lambda: False)
    assert gone(one.pid)


def test_a_child_that_ignores_sigterm_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.2)
    ready = tmp_path / "ready"
    one = child(
        tmp_path,
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)",
    )
    one.wait(ready.exists)
    one.stop()
    assert gone(one.pid)
    one.stop()


@pytest.mark.parametrize("stay", [False, True])
def test_a_child_ends_with_its_parent_unless_it_shall_stay(tmp_path, stay):
    script = f"""
import os, sys, time
from pathlib import Path
from app.run import processes
one = processes.Child("x", [{PY!r}, "-c", "import time; time.sleep(60)"], environ=os.environ,
                  console=Path({str(tmp_path / "x.log")!r}), stay={stay})
print(one.pid, os.getpgid(one.pid) == one.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([PY, "-c", script], stdout=subprocess.PIPE, text=True)
    pid, own_group = parent.stdout.readline().split()
    parent.stdout.close()
    assert own_group == "True"
    parent.kill()
    parent.wait()
    if stay:
        assert not gone(int(pid))
        os.kill(int(pid), signal.SIGKILL)
    wait_for(lambda: gone(int(pid)), 20)


def test_app_and_sidecar_start_answer_and_stop(tmp_path):
    data, logs = tmp_path / "data", tmp_path / "logs"
    app = processes.start_app(data, logs, environ={"TELEMOCK_PROFILES": "cribl"})
    try:
        assert running_app(data) == app.url
        assert app.token == (data / names.FILE_TOKEN).read_text().strip()
        assert [p.id for p in app.profiles()] == ["cribl"]
        sidecar = processes.start_sidecar(data, logs, app.url)
        try:
            assert len(sidecar.boot) >= 16
            assert sidecar.health.startswith("http://127.0.0.1:")
        finally:
            sidecar.child.stop()
    finally:
        app.stop()
    assert gone(app.child.pid) and gone(sidecar.child.pid)
    assert not app.answers()
    assert running_app(data) == ""


def test_a_port_that_is_taken_meanwhile_is_no_error(tmp_path, monkeypatch):
    class Taken(Listener):
        def connected(self, connection: socket.socket) -> None: ...

    with contextlib.closing(Taken()) as taken:
        port = taken.port
        chosen, free = [port, port, processes.free_port()], processes.free_port
        monkeypatch.setattr(processes, "free_port", lambda: chosen.pop(0) if chosen else free())
        app = processes.start_app(tmp_path / "data", tmp_path / "logs")
        try:
            assert app.port != port and app.answers()
            chosen[:] = [port, processes.free_port(), processes.free_port(), port]
            sidecar = processes.start_sidecar(tmp_path / "data", tmp_path / "logs", app.url)
            assert str(port) not in sidecar.proxy + sidecar.health
            sidecar.child.stop()
        finally:
            app.stop()


def test_a_setting_that_is_wrong_is_told_by_the_error(tmp_path):
    with pytest.raises(processes.LocalError, match="TELEMOCK_MODE is 'mok'"):
        processes.start_app(tmp_path, tmp_path, environ={"TELEMOCK_MODE": "mok"})
