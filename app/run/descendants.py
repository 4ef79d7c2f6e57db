"""Processes that outlive the command: adopted, waited for, and named.

`app.run.perform` asks. Linux only; elsewhere there are none to see.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator

from app.contract import processes
from app.contract.record import Program
from app.run.stopping import Stop

_SET_SUBREAPER, _GET_SUBREAPER = 36, 37  # of prctl
_STEP_S = 0.1
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Meanwhile processes whose parent ends become children of this one."""
    if sys.platform != "linux":
        yield
        return
    prctl, before = ctypes.CDLL(None).prctl, ctypes.c_int()
    prctl(_GET_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    prctl(_SET_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_SET_SUBREAPER, before.value, 0, 0, 0)


def left(own: Collection[int]) -> list[Program]:
    """The living descendants, but for our `own` children and theirs."""
    spared = {pid for each in own for pid in (each, *processes.descendants(each))}
    found = [pid for pid in processes.descendants(os.getpid()) if pid not in spared]
    return [Program(processes.name_of(pid), pid) for pid in found if processes.lives(pid)]


def reap(own: Collection[int]) -> None:
    """Takes leave of adopted children that have ended; `own` have who waits for them."""
    for pid in processes.children(os.getpid()):
        if pid not in own:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue


def wait(
    seconds: float,
    own: Collection[int],
    say: Callable[[str], None],
    unseen: Callable[[], bool] = lambda: False,
    stop: Stop | None = None,
) -> list[Program]:
    """Waits until none is left, a signal comes, which `stop` is told, or the time is over; returns
    those that are. `unseen` knows of some that no look finds: they end and begin faster."""

    def found() -> list[Program]:
        return left(own) or [Program("a process that begins anew again and again", 0)] * unseen()

    rest = found()
    if not rest or not seconds or (stop and stop.number):
        return rest
    say(
        f"telemock: the command has ended, {named(rest)} of its processes have not: waiting up to "
        f"{seconds:g} s for what they send (Ctrl-C ends that)"
    )
    until = time.monotonic() + seconds
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        while rest and time.monotonic() < until:
            if got := signal.sigtimedwait(_ENDS, _STEP_S):
                if stop:
                    stop.came(got.si_signo)
                break
            reap(own)
            rest = found()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return rest


def end(own: Collection[int], seconds: float = 2.0) -> None:
    """Ends all descendants but `own` and theirs: SIGTERM, and SIGKILL after `seconds`."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + seconds
        for program in left(own):
            with contextlib.suppress(ProcessLookupError):
                os.kill(program.pid, number)
        while left(own) and time.monotonic() < until:
            reap(own)
            time.sleep(_STEP_S / 5)
    reap(own)


def named(programs: Collection[Program], most: int = 3) -> str:
    """Programs as text: `node (pid 12)`."""
    some = [f"{one.name or 'a process'} (pid {one.pid})" for one in list(programs)[:most]]
    rest = len(programs) - len(some)
    return ", ".join(some) + (f" and {rest} more" if rest > 0 else "")
