"""app/rehearse/watched.py: time and sockets of a command, and its end."""

import signal
import subprocess
import sys

from app.rehearse.watched import _STEP_S, Watched
from tests.waiting import wait_for

OPEN = (
    "import socket,time; a=[socket.socket() for _ in range(4)]; print(1, flush=True); "
    "time.sleep({})"
)


def test_it_counts_sockets_until_the_command_ends():
    until_told = [sys.executable, "-c", OPEN.format("0); input(")]
    with Watched(60) as found, subprocess.Popen(until_told, stdin=subprocess.PIPE) as one:
        found.begin(one.pid)
        wait_for(lambda: found.sockets == 4)
        one.communicate(b"\n")
    assert (found.sockets, found.stopped) == (4, False)
    assert found.seconds >= _STEP_S


def test_a_command_and_its_children_are_ended_in_time():
    shell = f"{sys.executable} -c '{OPEN.format(60)}' & wait"
    with (
        Watched(0.5) as found,
        subprocess.Popen(["sh", "-c", shell], stdout=subprocess.PIPE) as one,
    ):
        assert one.stdout and one.stdout.readline() == b"1\n"
        found.begin(one.pid)
        assert one.wait(20) == -signal.SIGTERM
        assert one.stdout.read() == b""  # the child, too, has closed it
    assert found.stopped and found.sockets == 4


def test_who_ignores_sigterm_is_killed(monkeypatch):
    monkeypatch.setattr("app.rehearse.watched._KILL_S", 0.5)
    script = "trap '' TERM; echo 1; while :; do sleep 0.1; done"
    with (
        Watched(0.3) as found,
        subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as one,
    ):
        found.begin(one.pid)
        assert one.wait(20) == -signal.SIGKILL
    assert found.stopped


def test_a_command_that_has_ended_already():
    with subprocess.Popen(["true"]) as one:
        one.wait()
    with Watched(1) as found:
        found.begin(one.pid)
    assert (found.seconds, found.sockets, found.stopped) == (0.0, 0, False)
