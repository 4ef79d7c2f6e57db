"""The first process of the sidecar's container: keeps one `python -m addon` running in it.

If a native sidecar's container ends, its pod is not ready and leaves its Services; from the second
end on the kubelet waits 10 s to 5 minutes before it restarts the container. So this process
restarts the sidecar itself, and kills one that hangs, which a probe cannot do without
touching the pod. It also kills one that is about to exceed the container's memory: with cgroup v2
the kernel would kill the whole container. docs/decisions/2026-11-29-readiness.md has the figures.

Imports little, and the rest after the process was started, so that it need not wait for it.
"""

import os
import signal
import sys
import time

CANNOT_START = 2  # exit code: cannot start with these settings, or in this environment
ENV_RESTARTED = "TELEMOCK_RESTARTED"  # passed to the process, read by `addon.options`

# Before a restart: nearly none at first, bounded for a process that does not come up.
PAUSES_S = (0.05, 0.2, 1.0, 5.0)
LONG_S = 60.0  # a process that lived for so long was healthy: counting begins anew
LOOK_S = 10.0  # between checks of /health
LOOKS = 3  # failed checks in a row after which the process is taken to hang
FIRST_LOOK_S = 60.0  # a busy node may start it slowly

_ASKED = (signal.SIGTERM, signal.SIGINT)
# Blocked and waited for: without a handler no signal can be missed. The kernel keeps a blocked
# signal even for a container's first process; it drops others for which that has no handler.
_WAITED_FOR = (signal.SIGCHLD, *_ASKED)


class End:
    """`code` is the exit code, or minus the signal; `judged`: why this process killed it."""

    def __init__(self, code: int, asked: bool, judged: str, lived_s: float) -> None:
        self.code, self.asked, self.judged, self.lived_s = code, asked, judged, lived_s

    @property
    def why(self) -> str:
        if self.judged:
            return self.judged
        if self.code < 0:
            return f"was killed by signal {-self.code} ({_name(-self.code)})"
        return f"ended with exit code {self.code}"


def keep(command: list[str]) -> int:
    """Runs the command until it ends by itself, or after SIGTERM or SIGINT, which are passed on;
    returns its exit code. A first start that cannot start counts as ended by itself: people must
    see its error."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
    restarts, hasty, environment = 0, 0, dict(os.environ)
    while True:
        end = _run(command, environment)
        if end.asked or end.code == 0 or (end.code == CANNOT_START and not restarts):
            return end.code if end.code >= 0 else 128 - end.code
        hasty = 0 if end.lived_s >= LONG_S else hasty
        if _asked_within(PAUSES_S[min(hasty, len(PAUSES_S) - 1)]):
            return 0
        restarts, hasty = restarts + 1, hasty + 1
        environment[ENV_RESTARTED] = f"{restarts} {end.why}"


def _run(command: list[str], environment: dict[str, str]) -> End:
    began = time.monotonic()
    child = os.posix_spawnp(command[0], command, environment, setsigmask=())
    from addon.container_memory import memory

    asked, judged, vain, look_at = False, "", 0, began + FIRST_LOOK_S
    held = memory()
    while True:
        patience = min(look_at - time.monotonic(), held.patience() if held else LOOK_S)
        found = signal.sigtimedwait(_WAITED_FOR, max(0.0, patience))
        if found is not None and found.si_signo in _ASKED:
            asked = True
            os.kill(child, found.si_signo)  # not reaped yet, so its pid is not reused
        elif found is None and not judged:
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + LOOK_S
                vain = 0 if asked or _answers() else vain + 1
            if vain == LOOKS:
                judged = f"did not answer /health {LOOKS} times"
            elif held and held.room < 0:
                judged = f"was about to exceed the container's {held.limit >> 20} MiB of memory"
            if judged:
                os.kill(child, signal.SIGKILL)
        if (code := _reaped(child)) is not None:
            return End(code, asked, judged, time.monotonic() - began)


def _reaped(child: int) -> int | None:
    """The child's exit code once it has ended. Also reaps orphans, which become the first process'
    children: one SIGCHLD may stand for several."""
    code = None
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
    except ChildProcessError:
        pass
    return code


def _answers() -> bool:
    from addon import ready

    return ready.address()[1] == 0 or ready.alive()


def _asked_within(seconds: float) -> bool:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        found = signal.sigtimedwait(_WAITED_FOR, left)
        if found is not None and found.si_signo in _ASKED:
            return True
    return False


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:] or [sys.executable, "-m", "addon"]))
