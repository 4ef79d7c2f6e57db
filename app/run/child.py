"""Starts the command of a run, watched, and waits for its end. Called by `perform`."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from app.run import around, descendants, processes, transparent
from app.run.canary.plant import Planted
from app.run.interception import Interception, Passed
from app.run.led import Led
from app.run.stopping import Stop
from app.run.strict import Strict

_FORWARDED = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip
_LOOK_S = 0.5
FAILED, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127  # as `env` and `timeout` have them


class RunError(processes.LocalError):
    """The command cannot be run this way. `code` is the exit code."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


def look_for(name: str, path: str) -> None:
    """Raises RunError where a shell with that PATH would not start it either."""
    if shutil.which(name, path=path) is not None:
        return
    places = [""] if "/" in name else path.split(os.pathsep)
    if name and any((Path(place) / name).exists() for place in places):
        raise RunError(
            f"{name}: not executable\n\nhint: chmod +x, or name its interpreter too", NOT_EXECUTABLE
        )
    raise RunError(
        f"{name}: command not found\n\n"
        "hint: PATH has none; an alias or a command of the shell's own needs one: sh -c '…'",
        NOT_FOUND,
    )


class Watch:
    """Sees the command's connections: by the kernel's questions where `route` leads them to the
    sidecar, else by looking now and then. `need` waits for the sidecar, False if none comes."""

    def __init__(
        self,
        route: transparent.Transparent | None,
        ours: frozenset[int],
        own: Sequence[int],
        started: Callable[[int], None] | None = None,
        planted: Planted | None = None,
        need: Callable[[], bool] = lambda: True,
    ) -> None:
        self._route, self._ours, self.own, self._need = route, ours, own, need
        self._started, self._planted = started, planted
        self._interception: Interception | None = None
        self._around: around.Around | None = None

    def prepare(self) -> Callable[[], None] | None:
        """Returns a function that the command's process runs before it becomes the command."""
        run = self._route.prepare() if self._route else None
        if self._planted is None:
            return run
        return self._planted.prepare(run, self._route.hosts_copy if self._route else None)

    def begin(self, pid: int) -> None:
        """Once the command runs."""
        if self._route is None:
            self._around = around.Around(self.own)
        else:
            self._interception = self._route.begin(self._ours, self.own, self._need)
            self._interception.note_inherited(pid)
        if self._started:
            self._started(pid)

    @property
    def led(self) -> Sequence[Led]:
        """For a gate: connections that went to the sidecar."""
        return self._interception.led if isinstance(self._interception, Strict) else ()

    def goes_on(self) -> bool:
        """True while any process lives whose connections the kernel asks about."""
        return self._interception is not None and self._interception.goes_on()

    def stop(self) -> tuple[Counter[Passed], int | None]:
        """The connections that were not led to the sidecar, and the number of those that were:
        None if the kernel was not asked."""
        if self._route is None:
            return (self._around.stop() if self._around else Counter()), None
        if self._interception is None:  # the command could not be started
            return Counter(), 0
        self._interception.stop()
        return self._interception.passed, self._interception.brought


def wait_for(
    command: Sequence[str],
    environ: Mapping[str, str],
    watch: Watch | None = None,
    output: int | None = None,
    stop: Stop | None = None,
) -> int:
    """Runs the command; returns its exit code. Its stdout and stderr go to the file `output`, and
    its stdin is empty then; by default all three are ours. Forwards signals, except those that a
    terminal sends to the whole foreground group: the command has them already. Those of `stop` end
    the command with all that it started; raises Stopped if one came before."""
    watched = {*_FORWARDED, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        if stop:
            stop.check()
        prepare = watch.prepare() if watch else None

        def become() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            if prepare:
                prepare()

        try:
            process = subprocess.Popen(  # noqa: S603
                command, env=dict(environ), preexec_fn=become, stdout=output, stderr=output,
                stdin=None if output is None else subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.SubprocessError:
            raise RunError(
                "the kernel refused what it allowed a moment ago, so the command was not started"
                "\n\nhint: --no-transparent sees what heeds proxy variables"
            ) from None
        except OSError as e:
            code = NOT_FOUND if isinstance(e, FileNotFoundError) else NOT_EXECUTABLE
            raise RunError(f"{command[0]}: {e.strerror}", code) from None
        if watch:
            watch.begin(process.pid)
        own = watch.own if watch else ()
        while process.poll() is None:
            if stop and stop.number:
                descendants.end(own)
                return 128 + stop.number
            number, from_terminal = _next_signal(watched)
            if number == signal.SIGCHLD:
                descendants.reap([process.pid, *own])
            elif stop and number in stop.signals:
                stop.came(number)
            elif number and not from_terminal:
                process.send_signal(number)
        while signal.sigpending() & watched:  # Ctrl-C was the command's, that has ended by it
            number = signal.sigwait(watched)
            if stop:
                stop.came(number)
        code = process.returncode
        return code if code >= 0 else 128 - code
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _next_signal(watched: set[signal.Signals]) -> tuple[int, bool]:
    """Waits for a signal; True if a terminal sent it (macOS does not tell). 0 after a while: the
    kernel gives a signal that is blocked here to a thread where it is not, whose handler then waits
    for this one."""
    if sys.platform == "darwin":
        return signal.sigwait(watched), False
    got = signal.sigtimedwait(watched, _LOOK_S)
    return (got.si_signo, got.si_code > 0) if got else (0, False)
