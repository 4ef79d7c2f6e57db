"""`telemock run -- COMMAND`: the sidecar on a laptop. Starts the app and the sidecar, runs the
command through them, and lists what it sent home. Called by the CLI.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from app import trust
from app.client.running import running_app
from app.client.source import ClientError, connect
from app.contract import names, state
from app.contract.actions import ACTIONS, Mode
from app.escape import as_json as json_of
from app.escape import paragraphs, plain
from app.report.coverage import Coverage, beyond, count
from app.run import around, descendants, java, processes, summary, transparent, verdict
from app.run.interception import Interception, Passed
from app.settings import Settings

_FORWARDED = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip
FAILED, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127  # as `env` and `timeout` have them
WAIT_SECONDS = 10.0  # for processes that outlive the command
PROXY_ONLY = "this run is not transparent"


class RunError(processes.LocalError):
    """The command cannot be run this way. `code` is the exit code."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


def run(
    command: Sequence[str],
    settings: Settings,
    *,
    mode: Mode | None = None,
    profiles: Sequence[str] = (),
    as_json: bool = False,
    redirect: bool | None = None,
    verbose: bool = False,
    discover: bool = False,
    wait: float = WAIT_SECONDS,
) -> int:
    """Runs the command and returns its exit code: 128 + n when signal n ended it, 126 and 127 when
    it could not be started, as in a shell. `redirect`: True insists on the transparent form, None
    takes it where the kernel allows it.

    The command owns stdin, stdout and stderr; what it sent home follows on stderr, or with
    `as_json` as one JSON document on stdout. Raises RunError, LocalError.
    """
    if mode and (row := ACTIONS[mode]).lacking:
        raise RunError(f"mode {mode} is not available: it {row.lacking}\n\nhint: {row.instead}")
    if not command:
        raise RunError("no command to run\n\nhint: telemock run -- COMMAND ARGUMENTS…")
    _look_for(command[0])
    refused = transparent.refused() if redirect is not False else ""
    if refused and redirect:
        raise RunError(
            f"--transparent: {refused}\n\nhint: --no-transparent sees what heeds proxy variables"
        )
    if refused:
        _say(
            f"telemock: {PROXY_ONLY} ({refused}): a program that ignores the proxy variables goes "
            "past telemock, and the verdict will say so"
        )
    descendants.adopt()
    state.make_with_room(settings.data)
    began = time.time_ns()
    with contextlib.ExitStack() as stack:
        app = _app(settings, profiles, stack)
        hosts = _exact(app)
        route = (
            None
            if refused or redirect is False
            else transparent.Transparent(hosts, processes.free_port(), settings.data)
        )
        environ = {
            "TELEMOCK_WORKLOAD_CONTAINER": Path(command[0]).name,
            "TELEMOCK_RUN": str(os.getpid()),
        }
        if mode:
            environ["TELEMOCK_MODE"] = mode
        if route is not None:
            environ |= route.settings
            stack.callback(route.end)
        stdout = sys.stderr.fileno() if verbose else subprocess.DEVNULL
        sidecar = _sidecar(settings, app, environ, stdout)
        stack.callback(sidecar.child.stop)
        own = [child.pid for child in (app.child, sidecar.child) if child]
        ours = frozenset(map(_port_of, (app.url, sidecar.proxy, sidecar.health)))
        variables = _variables(settings.data / names.DIR_CA, sidecar.proxy, route is not None)
        watch = Watch(route, ours, own)
        code = _wait_for([*command], {**os.environ, **variables}, watch)
        survivors = descendants.wait(wait, own, _say)
        passed, brought = watch.stop()
        ended = sidecar.child.ended
        if ended:
            _say(f"telemock: the sidecar ended before the command: see {sidecar.child.console}")
        try:
            if not app.answers():  # it was killed, or belonged to another run and ended with that
                app = processes.start_app(settings.data, settings.logs, port=app.port)
                stack.callback(app.stop)
            if sidecar.child.ended:  # the new one delivers the spool of the old one
                sidecar = sidecar._replace(child=_sidecar(settings, app, {}).child)
            left, why = sidecar.not_taken()
            sidecar.child.stop()  # it ends its exchanges and delivers the rest
            if _is_left(settings.data / names.DIR_SPOOL, sidecar.boot, why):
                left = max(left, 1)
                _say_what_is_not_stored(left, why, sidecar.child.console)
            else:
                left = 0
            with connect(settings, app.url) as source:
                rows = summary.summed(summary.records(source, sidecar.boot, began))
                lost = summary.lost(source, sidecar.boot, began)
        except Exception as e:  # whatever it is, the exit code is still the command's
            _say_untold(e, code, as_json)
            return code
    coverage = verdict.of_run(
        rows=rows,
        who=Path(command[0]).name,
        left=left,
        lost=lost,
        passed=passed,
        survivors=survivors,
        brought=brought,
        refused=refused,
        sidecar_ended=ended,
    )
    _report(rows, lost, coverage, code, as_json=as_json, discover=discover)
    for limit in () if as_json else verdict.services(passed):
        _say(f"telemock: besides, {limit}")
    return code


def _look_for(name: str) -> None:
    """Raises RunError where a shell would not start it either."""
    if shutil.which(name) is not None:
        return
    places = [""] if "/" in name else os.environ.get("PATH", os.defpath).split(os.pathsep)
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
    sidecar, else by looking now and then."""

    def __init__(
        self, route: transparent.Transparent | None, ours: frozenset[int], own: Sequence[int]
    ) -> None:
        self._route, self._ours, self.own = route, ours, own
        self._interception: Interception | None = None
        self._around: around.Around | None = None

    def prepare(self) -> Callable[[], None] | None:
        """Returns a function that the command's process runs before it becomes the command."""
        return self._route.prepare() if self._route else None

    def begin(self, pid: int) -> None:
        """Once the command runs."""
        if self._route is None:
            self._around = around.Around(self.own)
        else:
            self._interception = self._route.begin(self._ours)
            self._interception.note_inherited(pid)

    def stop(self) -> tuple[Counter[Passed], int | None]:
        """The connections that were not led to the sidecar, and the number of those that were:
        None if the kernel was not asked."""
        if self._route is None:
            return (self._around.stop() if self._around else Counter()), None
        if self._interception is None:  # the command could not be started
            return Counter(), 0
        self._interception.stop()
        return self._interception.passed, self._interception.brought


def _app(settings: Settings, profiles: Sequence[str], stack: contextlib.ExitStack) -> processes.App:
    """Uses the app that runs on this data directory, or starts one for this run."""
    url = running_app(settings.data)
    if url:
        if profiles:
            raise RunError(
                f"an app runs on {settings.data} ({url}) with profiles of its own\n\n"
                "hint: stop it, or give this run another TELEMOCK_DATA"
            )
        return processes.App(url, settings.data, None)
    environ = {"TELEMOCK_PROFILES": ",".join(profiles)} if profiles else {}
    app = processes.start_app(settings.data, settings.logs, environ=environ)
    stack.callback(app.stop)
    return app


def _sidecar(
    settings: Settings,
    app: processes.App,
    environ: Mapping[str, str],
    stdout: int = subprocess.DEVNULL,
) -> processes.RunningSidecar:
    return processes.start_sidecar(
        settings.data, settings.logs, app.url, environ=environ, stdout=stdout
    )


def _exact(app: processes.App) -> list[str]:
    """Hosts of the app's profiles, without suffixes, which an /etc/hosts cannot name."""
    hosts = [host for profile in app.profiles() for host in profile.hosts]
    return list(dict.fromkeys(host.name for host in hosts if not host.suffix))


def _port_of(url: str) -> int:
    return urlsplit(url).port or 0


def _variables(ca: Path, proxy: str, redirected: bool) -> dict[str, str]:
    """Variables for the command's environment. A redirected command gets the proxy, too: it names
    hosts that no DNS knows."""
    found, told = trust.trusting(os.environ, ca)
    for more, said in (
        java.options(os.environ, ca),
        trust.proxied(os.environ, proxy, redirected=redirected),
    ):
        found, told = found | more, told + said
    for line in told:
        _say(f"telemock: {line}")
    return found


def _wait_for(
    command: Sequence[str], environ: Mapping[str, str], watch: Watch | None = None
) -> int:
    """Runs the command; returns its exit code. Forwards signals, except those that a terminal sends
    to the whole foreground group: the command has them already."""
    watched = {*_FORWARDED, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        prepare = watch.prepare() if watch else None

        def become() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            if prepare:
                prepare()

        try:
            process = subprocess.Popen(command, env=dict(environ), preexec_fn=become)  # noqa: S603
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
        while process.poll() is None:
            number, from_terminal = _next_signal(watched)
            if number == signal.SIGCHLD:
                descendants.reap([process.pid, *(watch.own if watch else ())])
            elif not from_terminal:
                process.send_signal(number)
        while signal.sigpending() & watched:  # Ctrl-C was the command's, that has ended by it
            signal.sigwait(watched)
        code = process.returncode
        return code if code >= 0 else 128 - code
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _next_signal(watched: set[signal.Signals]) -> tuple[int, bool]:
    """Waits for a signal; True if a terminal sent it (macOS does not tell)."""
    if sys.platform == "darwin":
        return signal.sigwait(watched), False
    got = signal.sigwaitinfo(watched)
    return got.si_signo, got.si_code > 0


def _say_untold(error: Exception, code: int, as_json: bool) -> None:
    kind = (
        "" if isinstance(error, processes.LocalError | ClientError) else f"{type(error).__name__}: "
    )
    text = f"what the command sent cannot be told: {kind}{error}"
    _say(f"error: {text}")
    if as_json:
        what, _, hint = text.partition("\n\nhint: ")
        print(json_of({"exit_code": code, "error": what, "hint": hint}), flush=True)


def _report(
    rows: Sequence[summary.Sent],
    lost: Mapping[str, int],
    coverage: Coverage,
    code: int,
    *,
    as_json: bool,
    discover: bool,
) -> None:
    if as_json:
        document = {
            "exit_code": code,
            "sent": list(rows),
            "lost": dict(lost),
            "coverage": coverage,
        }
        print(json_of(document), flush=True)
        return
    # A connection without a request may be telemetry's all the same.
    others = [row for row in rows if row.outcome == "relayed" and not row.profile]
    shown = rows if discover else [row for row in rows if row not in others]
    if shown:
        _say("telemock: what was sent")
        print(summary.table(shown, sys.stderr), end="", file=sys.stderr, flush=True)
    elif coverage.complete:
        _say("telemock: no request to a host of a profile was seen")
    if others and not discover:
        hosts = len({row.host for row in others})
        of = count(sum(row.count for row in others), "connection", "connections")
        _say(
            f"telemock: {of} to {count(hosts, 'other host', 'other hosts')} relayed unread; "
            "--discover lists them"
        )
    _say(f"telemock: {coverage.verdict}")
    for gap in beyond(coverage.gaps):
        _say(f"telemock: besides, not complete: {gap}")


def _is_left(spool: Path, boot: str, why: str) -> bool:
    """True if records remain: a sidecar keeps its ledger until the app has accounted for all
    records; with an older app that never happens."""
    return (spool / f"{boot}.lock").exists() and bool(why or any(spool.glob(f"{boot}-*.ndjson")))


def _say_what_is_not_stored(left: int, why: str, console: Path) -> None:
    _say(
        f"telemock: {count(left, 'record', 'records')} of this run are not stored, so what follows "
        f"is not all of it{f': {plain(why)}' if why else ''}\n"
        f"hint: the next run delivers those that the spool could keep; {console} says more"
    )


def _say(line: str) -> None:
    print(paragraphs(line), file=sys.stderr, flush=True)
