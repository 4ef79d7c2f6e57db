"""What the process of the templates does by itself; `test_template` asks it as the app does."""

import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from app.profiles import sandbox


@pytest.fixture
def process() -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    ours, its = socket.socketpair()
    with ours, its:
        started = subprocess.Popen([sys.executable, "-P", sandbox.__file__], stdin=its.fileno())
        its.close()
        ours.settimeout(20)
        assert sandbox.receive(ours) == sandbox.OK
        yield ours, started
        started.kill()
        started.wait()


def ask(connection: socket.socket, source: str) -> bytes:
    request = pickle.dumps((source, {"v": "é"}, False))
    connection.sendall(sandbox.FRAME.pack(len(request)) + request)
    return sandbox.receive(connection)


def test_it_answers_until_nobody_asks(
    process: tuple[socket.socket, subprocess.Popen[bytes]],
) -> None:
    connection, started = process
    assert ask(connection, "{{ v }}") == sandbox.OK + "é".encode()
    assert ask(connection, "{{ w.x }}").startswith(sandbox.FAILED + b"UndefinedError")
    assert ask(connection, "{{ v }}" * 1000) == sandbox.OK + "é".encode() * 1000
    connection.close()
    assert started.wait(10) == 0


def test_it_ends_when_its_memory_is_full(
    process: tuple[socket.socket, subprocess.Popen[bytes]],
) -> None:
    connection, started = process
    large = "{% set s = v %}" + "{% set s = s ~ s ~ s ~ s %}" * 16
    assert ask(connection, large).startswith(sandbox.FAILED + b"it needed more than")
    assert started.wait(10) == 1


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer")
def test_it_ends_by_itself_when_whoever_asked_is_gone(
    process: tuple[socket.socket, subprocess.Popen[bytes]],
) -> None:
    connection, started = process
    loops = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"
    request = pickle.dumps((loops, {}, False))
    began = time.monotonic()
    connection.sendall(sandbox.FRAME.pack(len(request)) + request)
    connection.close()
    assert started.wait(20) == -signal.SIGALRM
    assert time.monotonic() - began > sandbox.SECONDS


def test_it_imports_nothing_of_the_app() -> None:
    script = f"import runpy, sys; runpy.run_path({sandbox.__file__!r}); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True,
        cwd="/", env={n: v for n, v in os.environ.items() if n != "PYTHONPATH"},
    )  # fmt: skip
    assert not [m for m in done.stdout.split() if m == "app" or m.startswith("app.")]
