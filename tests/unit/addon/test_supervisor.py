"""addon/supervisor.py: real processes, ended in every way."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from addon.supervisor import CANNOT_START, ENV_RESTARTED, LOOKS, PAUSES_S
from tests.unit.addon.test_container_memory import group
from tests.waiting import wait_for

DEADLINE_S = 20.0
# Tells its pid and what it was told, then waits to be ended.
WAITS = f"""
import os, signal, sys, time
def on_signal(number, frame):
    print("got", number, flush=True)
    if number == signal.SIGTERM:
        sys.exit(7)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, on_signal)
print("up", os.getpid(), os.environ.get({ENV_RESTARTED!r}, ""), flush=True)
while True:
    time.sleep(60)
"""
QUICK = "from addon import supervisor as s; import sys\n"
KEEP = "sys.exit(s.keep([sys.executable, *sys.argv[1:]]))"


class Supervisor:
    """One that runs a Python program, and what both have printed."""

    def __init__(self, program: str, *prefix: str, change: str = "", **environ: str) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", f"{QUICK}{change}\n{KEEP}", "-c", program],
            stdout=subprocess.PIPE, text=True, env={**os.environ, **environ},
        )  # fmt: skip

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def up(self) -> tuple[int, str]:
        """Pid and TELEMOCK_RESTARTED of the next process."""
        said = self.line().split(" ", 2)
        assert said[0] == "up", said
        return int(said[1]), [*said, ""][2]

    def ended(self) -> int:
        return self.process.wait(DEADLINE_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def begin(*arguments: str, **more: str) -> Supervisor:
        made.append(Supervisor(*arguments, **more))
        return made[-1]

    yield begin
    for each in made:
        each.close()


Start = Callable[..., Supervisor]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_killed_process_is_started_again_and_told_why(start: Start) -> None:
    keeper = start(WAITS)
    pid, told = keeper.up()
    assert told == ""
    for n in (1, 2, 3):
        os.kill(pid, signal.SIGKILL)
        before, (pid, told) = pid, keeper.up()
        assert told == f"{n} was killed by signal 9 (SIGKILL)"
        assert pid != before and gone(before)
    assert keeper.process.poll() is None


def test_the_first_times_it_is_started_at_once(start: Start) -> None:
    keeper = start(WAITS)
    pid, _ = keeper.up()
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    keeper.up()
    assert time.monotonic() - began < 2


def test_waits_are_bounded() -> None:
    assert list(PAUSES_S) == sorted(PAUSES_S)
    assert PAUSES_S[-1] <= 5


@pytest.mark.parametrize("code", [1, 3, CANNOT_START])
def test_a_crash_is_no_end(start: Start, code: int) -> None:
    """Once it was killed, also what the first start would end for."""
    program = (
        f"import os, signal, sys; told = os.environ.get({ENV_RESTARTED!r}, '')\n"
        "print('up', os.getpid(), told, flush=True)\n"
        f"sys.exit({code}) if told else os.kill(os.getpid(), signal.SIGABRT)"
    )
    keeper = start(program)
    keeper.up()
    assert keeper.up()[1] == "1 was killed by signal 6 (SIGABRT)"
    assert keeper.up()[1] == f"2 ended with exit code {code}"


@pytest.mark.parametrize("code", [0, CANNOT_START])
def test_an_end_of_its_own_will_is_one(start: Start, code: int) -> None:
    assert start(f"import sys; sys.exit({code})").ended() == code


def test_signals_are_passed_on_every_time(start: Start) -> None:
    keeper = start(WAITS)
    pid, _ = keeper.up()
    for _ in range(2):
        keeper.process.send_signal(signal.SIGINT)
        assert keeper.line() == f"got {signal.SIGINT.value}"
    keeper.process.send_signal(signal.SIGTERM)
    assert keeper.line() == f"got {signal.SIGTERM.value}"
    assert keeper.ended() == 7
    assert gone(pid)


def test_what_does_not_mind_the_signal_is_waited_for_and_told_by_its_signal(start: Start) -> None:
    keeper = start(WAITS)
    pid, _ = keeper.up()
    keeper.process.send_signal(signal.SIGINT)
    keeper.line()
    os.kill(pid, signal.SIGKILL)
    assert keeper.ended() == 128 + signal.SIGKILL


def test_sigterm_between_two_processes_ends_it(start: Start) -> None:
    crash = "import os; print('up', os.getpid(), flush=True); os.abort()"
    keeper = start(crash, change="s.PAUSES_S = (600.0,)")
    pid, _ = keeper.up()
    wait_for(lambda: gone(pid), DEADLINE_S)
    keeper.process.terminate()
    assert keeper.ended() == 0


def test_a_process_that_hangs_is_ended_and_started_again(start: Start) -> None:
    """It answers every look, until it is stopped."""
    held = socket.socket()  # its port is nobody else's, and the program may listen on it
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    port = str(held.getsockname()[1])
    program = (
        "import os, socket\n"
        f"print('up', os.getpid(), os.environ.get({ENV_RESTARTED!r}, ''), flush=True)\n"
        f"server = socket.create_server(('127.0.0.1', {port}), reuse_port=True)\n"
        "while True:\n"
        "    with server.accept()[0] as s:\n"
        "        print('asked', s.recv(999).split()[1].decode(), flush=True)\n"
        "        s.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\n')\n"
    )
    quick = "from addon import ready; s.LOOK_S = s.FIRST_LOOK_S = 0.1; ready._ANSWER_SECONDS = 0.3"
    keeper = start(program, change=quick, TELEMOCK_HEALTH_PORT=port)
    pid, _ = keeper.up()
    assert [keeper.line() for _ in range(2 * LOOKS)] == ["asked /health"] * 2 * LOOKS
    os.kill(pid, signal.SIGSTOP)
    while (said := keeper.line()) == "asked /health":
        pass
    assert said.startswith("up ") and said.endswith(f" 1 did not answer /health {LOOKS} times")
    assert gone(pid)
    held.close()


def test_what_is_about_to_exceed_the_container_s_memory_is_ended_first(
    start: Start, tmp_path: Path
) -> None:
    group(tmp_path, used=60 << 20)
    change = (
        "from addon import container_memory as m\n"
        f"m.memory = lambda: m.ContainerMemory({str(tmp_path)!r}, 'memory.current', 100 << 20)"
    )
    keeper = start(WAITS, change=change)
    pid, _ = keeper.up()
    group(tmp_path, used=99 << 20)
    wait_for(lambda: gone(pid), DEADLINE_S)
    group(tmp_path, used=60 << 20)
    told = keeper.up()[1]
    assert told.endswith(" was about to exceed the container's 100 MiB of memory")


def test_as_the_first_process_of_a_container_it_takes_signals_and_orphans(start: Start) -> None:
    """The kernel spares such a process signals that it has no handler for."""
    unshare = shutil.which("unshare")
    alone = (unshare or "", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc",
             "--kill-child")  # fmt: skip
    if not unshare or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("needs unshare and user namespaces")
    orphan = (
        "import os, time\n"
        "if not os.fork():\n"
        "    if os.fork(): os._exit(0)\n"
        "    while os.getppid() != 1: time.sleep(0.01)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "while any(open(f'/proc/{p}/stat').read().split()[3] == '1' for p in os.listdir('/proc')\n"
        "          if p.isdigit() and int(p) not in (1, os.getpid())): time.sleep(0.02)\n"
    )
    keeper = start(orphan + WAITS, *alone)
    keeper.up()  # it comes up only once the orphan is gone
    (first,) = (
        Path(f"/proc/{keeper.process.pid}/task/{keeper.process.pid}/children").read_text().split()
    )
    os.kill(int(first), signal.SIGTERM)
    assert keeper.line() == f"got {signal.SIGTERM.value}"
    assert keeper.ended() == 7
