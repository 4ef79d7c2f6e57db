"""app/run/child.py: how a command is waited for. Whole runs are in
tests/integration/test_run.py."""

import os
import signal
import subprocess
import sys

import pytest

# The rest needs the main thread of a process of its own: it blocks signals. The tests may run where
# hang-ups are ignored (nohup), which a shell cannot trap then: so that is set back first.
IN_A_PROCESS = """
import os, signal, sys
from app.run.child import RunError, wait_for

def main(wait):
    try:
        code = wait()
    except RunError as e:
        code = e.code
    sys.exit(code)
"""


def waiting(command: list[str], **popen) -> subprocess.Popen:
    call = f"main(lambda: wait_for({command!r}, os.environ))"
    default = (
        "signal.signal(signal.SIGHUP, signal.SIG_DFL);"  # a background job begins without both
        "signal.signal(signal.SIGINT, signal.default_int_handler)"
    )
    script = f"{IN_A_PROCESS}\n{default}; {call}"
    return subprocess.Popen([sys.executable, "-c", script], **popen)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM),
        (["sh", "-c", "kill -KILL $$"], 128 + signal.SIGKILL),
        (["/no/such/file"], 127),
        (["/etc"], 126),
    ],
)
def test_the_exit_code_is_the_commands(command, code):
    assert waiting(command, stderr=subprocess.DEVNULL).wait(20) == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_to_us_reaches_the_command(number):
    script = f"trap 'echo got; exit 5' {number.name[3:]}; echo ready; while :; do sleep 0.05; done"
    one = waiting(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert one.stdout.readline() == "ready\n"
    os.kill(one.pid, number)
    assert one.stdout.read() == "got\n"
    assert one.wait(20) == 5
    one.stdout.close()


def test_the_commands_own_streams_are_ours():
    one = waiting(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert one.communicate("through\n", 20)[0] == "through\n"


def test_what_the_command_prints_goes_to_the_file_that_was_given(tmp_path):
    printed = tmp_path / "printed"
    command = ["sh", "-c", "cat; echo out; echo err >&2"]  # nobody types, so `cat` ends at once
    with printed.open("wb") as file:
        number = file.fileno()
        call = f"main(lambda: wait_for({command}, os.environ, None, {number}))"
        one = subprocess.run(
            [sys.executable, "-c", f"{IN_A_PROCESS}\n{call}"],
            pass_fds=[number],
            capture_output=True,
            input=b"typed\n",
            check=True,
        )
    assert printed.read_text() == "out\nerr\n"
    assert (one.stdout, one.stderr) == (b"", b"")
