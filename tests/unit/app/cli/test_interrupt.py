"""app/cli/interrupt.py: Ctrl-C at any instant ends with 130, without a traceback."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.commands import bare

# From the handler on, which main() installs first; Python's own start before it is not ours.
PROGRAM = """
import _signal, os
install = _signal.signal
def installed(*handler):
    install(*handler)
    _signal.signal = install
    os.write(2, b"begun\\n")
_signal.signal = installed
from app.cli import main
main()
"""
COMMANDS = {
    "report": 0.6,
    "captures tail": 1.0,
    "inject --values leader": 0.8,
    "run -- sleep 0.2": 4.0,
}
INSTANTS = 12


@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_at_any_instant(command: str, tmp_path: Path) -> None:
    codes = []
    for n in range(INSTANTS):
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM, *command.split()],
            cwd=tmp_path, env=bare(tmp_path), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, process_group=0,
        )  # fmt: skip
        assert process.stderr and process.stderr.readline() == b"begun\n"
        time.sleep(COMMANDS[command] * (n / INSTANTS) ** 2)  # most of them early: modules load
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert b"Traceback" not in said and b"ignored" not in said, said.decode()
        # While Python ends, the default of the signal is back: a shell says 130 of it, too.
        codes.append(130 if process.returncode == -signal.SIGINT else process.returncode)
    assert codes[0] == 130
    assert set(codes) <= {130, 0, 3}


def ended(body: str) -> tuple[int, str]:
    code = f"""
import os, signal, sys, time
from app.cli.interrupt import Interrupt
me = lambda: os.kill(os.getpid(), signal.SIGINT)
def command():
    {body}
    return 7
with Interrupt() as interrupt:
    interrupt.run(command)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("pass", 7),
        ("me(); time.sleep(5)", 130),
        ("import atexit; atexit.register(me)", 130),  # after the command
        ("import gc; X = type('X', (), {'__del__': lambda s: (me(), time.sleep(5))}); X()", 130),
        ("try: me(); time.sleep(5)\n    except KeyboardInterrupt: raise SystemExit(1)", 1),
        ("try: me(); time.sleep(5)\n    except KeyboardInterrupt: pass", 130),
        ("try: me(); time.sleep(5)\n    finally: me(); time.sleep(5)", 130),  # while it tidies up
    ],
)
def test_an_interrupt_is_raised_once_and_ends_it_the_second_time(body: str, code: int) -> None:
    assert ended(body) == (code, "")


def test_a_process_that_ignores_ctrl_c_goes_on_doing_so() -> None:
    ignoring = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
    code = "from app.cli.interrupt import Interrupt; import os\nwith Interrupt() as i:\n"
    code += "  i.run(lambda: os.kill(os.getpid(), 2) or 5)"
    done = subprocess.run([*ignoring, sys.executable, "-c", code], check=False)
    assert done.returncode == 5


def test_children_end_with_it(tmp_path: Path) -> None:
    """Also those that `run` has just started."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "app.cli", "run", "--", "sleep", "60"],
        cwd=tmp_path, env=bare(tmp_path), stderr=subprocess.PIPE, process_group=0,
    )  # fmt: skip
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    deadline = time.monotonic() + 20
    while left := [p for p in Path("/proc").iterdir() if p.name.isdigit() and in_(p, tmp_path)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def in_(process: Path, folder: Path) -> bool:
    try:
        return process.name != str(os.getpid()) and (process / "cwd").readlink() == folder
    except OSError:
        return False
