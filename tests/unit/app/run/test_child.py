"""app/run/child.py: how a command is waited for. Whole runs are in
tests/integration/test_run.py."""

import os
import signal
import subprocess
import sys
from pathlib import Path

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


STUBBORN = """trap '' TERM INT HUP; (trap '' TERM; exec sleep 4714) & echo $$ $!
while :; do sleep 0.05; done"""


@pytest.mark.parametrize("elsewhere", [False, True], ids=["alone", "beside a thread"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_stops_ends_the_command_and_all_that_it_started(number, elsewhere):
    """Also where the kernel gives it to a thread that does not wait for it."""
    script = f"""{IN_A_PROCESS}
import subprocess, threading
from app.run import descendants
from app.run.stopping import stopping
for one in (signal.SIGHUP, signal.SIGINT):
    signal.signal(one, signal.SIG_DFL)
own = subprocess.Popen(["sleep", "4715"])
class Ours:
    own = [own.pid]
    prepare = lambda self: None
    begin = lambda self, pid: None
{elsewhere} and threading.Thread(target=threading.Event().wait, daemon=True).start()
with stopping() as stop, descendants.adopting():
    code = wait_for(["sh", "-c", {STUBBORN!r}], os.environ, Ours(), stop=stop)
    print("spared" if own.poll() is None else "ended", code - stop.number, stop.number)
own.kill()
own.wait()
"""
    one = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    pids = one.stdout.readline().split()
    os.kill(one.pid, number)
    assert one.stdout.read() == f"spared 128 {number:d}\n"
    assert one.wait() == 0
    one.stdout.close()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_after_such_a_signal_no_command_begins():
    script = f"""{IN_A_PROCESS}
from app.run.stopping import Stop, Stopped
stop = Stop(signal.SIGTERM)
stop.came(signal.SIGTERM)
try:
    wait_for(["echo", "began"], os.environ, stop=stop)
except Stopped as e:
    print(e)
"""
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "SIGTERM\n"
