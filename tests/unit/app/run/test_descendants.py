"""app/run/descendants.py: what outlives a command is adopted, waited for and named. Each test runs
in a process of its own, which adopts."""

import subprocess
import sys

import pytest

from app.contract.record import Program
from app.run import descendants

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="adoption is Linux'")

PRELUDE = """
import os, signal, subprocess, sys, tempfile, threading, time
from app.contract.processes import children
from app.run import descendants as d
said = []
adopting = d.adopting()
adopting.__enter__()
own = subprocess.Popen(["sleep", "60"])
"""


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"{PRELUDE}{script}\nown.kill(); own.wait()"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_orphan_is_waited_for_and_our_own_children_are_not():
    out = run("""
subprocess.run(["sh", "-c", "sleep 2 & sleep 0.5"])
print([one.name for one in d.left([own.pid])])
began = time.monotonic()
print(d.wait(20, [own.pid], said.append), time.monotonic() - began < 10, own.poll())
print(said[0].partition(" (pid")[0])
""")
    assert out.splitlines() == [
        "['sleep']",
        "[] True None",
        "telemock: the command has ended, sleep",
    ]


@pytest.mark.parametrize("end", ["d.wait(0.3, [own.pid], said.append)",
                                 "d.wait(30, [own.pid], said.append)"])  # fmt: skip
def test_after_the_time_or_a_signal_the_rest_is_returned(end):
    out = run(f"""
orphan = int(subprocess.check_output(["sh", "-c", "sleep 60 >/dev/null & echo $!"]))
threading.Timer(0.6, lambda: os.kill(os.getpid(), signal.SIGINT)).start() if "30" in {end!r} else 0
signal.pthread_sigmask(signal.SIG_BLOCK, d._ENDS)
print([one.pid == orphan for one in {end}])
os.kill(orphan, 9)
""")
    assert out == "[True]"


def test_a_signal_that_ends_the_wait_is_told_and_then_there_is_no_wait():
    out = run("""
from app.run.stopping import Stop
stop = Stop(signal.SIGTERM)
orphan = int(subprocess.check_output(["sh", "-c", "sleep 60 >/dev/null & echo $!"]))
signal.pthread_sigmask(signal.SIG_BLOCK, d._ENDS)
signal.raise_signal(signal.SIGTERM)
print(len(d.wait(50, [own.pid], said.append, stop=stop)), int(stop.number), len(said))
print(len(d.wait(50, [own.pid], said.append, stop=stop)), len(said))
os.kill(orphan, 9)
""")
    assert out.splitlines() == ["1 15 1", "1 1"]


def test_with_no_wait_it_says_nothing_and_returns_the_rest():
    out = run("""
orphan = int(subprocess.check_output(["sh", "-c", "sleep 60 >/dev/null & echo $!"]))
print(len(d.wait(0, [own.pid], said.append)), said)
os.kill(orphan, 9)
""")
    assert out == "1 []"


def test_adopted_children_that_ended_are_taken_leave_of():
    out = run("""
subprocess.run(["sh", "-c", "sleep 0.1 &"])
until = time.monotonic() + 10
while len(children(os.getpid())) > 1 and time.monotonic() < until:
    d.reap([own.pid])
print(children(os.getpid()) == [own.pid], own.poll())
""")
    assert out == "True None"


def test_programs_are_named_and_the_rest_is_counted():
    programs = [Program("node", 1), Program("", 2), Program("sh", 3), Program("sh", 4)]
    assert descendants.named(programs[:1]) == "node (pid 1)"
    assert descendants.named(programs, 2) == "node (pid 1), a process (pid 2) and 2 more"


def test_what_is_left_is_ended_and_our_own_children_are_not():
    out = run("""
os.chdir(tempfile.mkdtemp())
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
stubborn += "print(1, flush=True); time.sleep(60)"
subprocess.run(["sh", "-c", f"sleep 60 & {sys.executable} -c '{stubborn}' > out & "
                            "while [ ! -s out ]; do sleep 0.05; done"])
print(len(d.left([own.pid])))
d.end([own.pid], 0.5)
print(d.left([own.pid]), own.poll(), children(os.getpid()) == [own.pid])
""")
    assert out.splitlines() == ["2", "[] None True"]


def test_who_adopted_before_still_does_and_who_did_not_does_no_more():
    out = run("""
def adopts():
    orphan = int(subprocess.check_output(["sh", "-c", "sleep 60 >/dev/null & echo $!"]))
    found = orphan in children(os.getpid())
    os.kill(orphan, 9)
    return found
with d.adopting():
    print(adopts())
print(adopts())
adopting.__exit__(None, None, None)
print(adopts())
""")
    assert out.split() == ["True", "True", "False"]
