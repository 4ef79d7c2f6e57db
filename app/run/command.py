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
from collections.abc import Mapping, Sequence
from pathlib import Path

from app import trust
from app.client.running import running_app
from app.client.source import ClientError, connect
from app.contract import names, state
from app.contract.actions import ACTIONS, Mode
from app.escape import as_json as json_of
from app.escape import paragraphs, plain
from app.report.show import why_lost
from app.run import processes, summary, transparent
from app.settings import Settings

_FORWARDED = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip
FAILED, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127  # as `env` and `timeout` have them


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
    redirect: bool = False,
    verbose: bool = False,
) -> int:
    """Runs the command and returns its exit code: 128 + n when signal n ended it, 126 and 127 when
    it could not be started, as in a shell.

    The command owns stdin, stdout and stderr; what it sent home follows on stderr, or with
    `as_json` as one JSON document on stdout. Raises RunError, LocalError.
    """
    if mode and (row := ACTIONS[mode]).lacking:
        raise RunError(f"mode {mode} is not available: it {row.lacking}\n\nhint: {row.instead}")
    if not command:
        raise RunError("no command to run\n\nhint: telemock run -- COMMAND ARGUMENTS…")
    _look_for(command[0])
    if redirect and not transparent.allowed():
        transparent.isolate(mode)
    state.make_with_room(settings.data)
    began = time.time_ns()
    with contextlib.ExitStack() as stack:
        app = _app(settings, profiles, stack)
        route = _transparent(app, settings) if redirect else None
        environ = {"TELEMOCK_WORKLOAD_CONTAINER": Path(command[0]).name}
        if mode:
            environ["TELEMOCK_MODE"] = mode
        if route is not None:
            environ |= route.settings
        stdout = sys.stderr.fileno() if verbose else subprocess.DEVNULL
        sidecar = _sidecar(settings, app, environ, stdout)
        stack.callback(sidecar.child.stop)
        prefix = stack.enter_context(route.held(settings.data)) if route is not None else []
        variables = _variables(settings.data / names.DIR_CA, "" if route else sidecar.proxy)
        code = _wait_for([*prefix, *command], {**os.environ, **variables})
        if sidecar.child.ended:
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
                _say_what_is_not_stored(left, why, sidecar.child.console)
            with connect(settings, app.url) as source:
                rows = summary.summed(summary.records(source, sidecar.boot, began))
                lost = summary.lost(source, sidecar.boot, began)
        except Exception as e:  # whatever it is, the exit code is still the command's
            _say_untold(e, code, as_json)
            return code
    ca = settings.data / names.DIR_CA / names.FILE_CA_CERT
    _report(rows, lost, ca, code, as_json)
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


def _transparent(app: processes.App, settings: Settings) -> transparent.Redirect:
    return transparent.Redirect(_redirected(app), settings.dummy_ranges)


def _redirected(app: processes.App) -> list[str]:
    """Hosts of the app's profiles, without suffixes, which an /etc/hosts cannot name."""
    hosts = [host for profile in app.profiles() for host in profile.hosts]
    if suffixes := sorted({f".{host.name}" for host in hosts if host.suffix}):
        _say(f"telemock: not redirected, since /etc/hosts names no suffix: {', '.join(suffixes)}")
    return list(dict.fromkeys(host.name for host in hosts if not host.suffix))


def _variables(ca: Path, proxy: str) -> dict[str, str]:
    """Variables for the command's environment; no proxy variables if `proxy` is empty."""
    found, told = trust.trusting(os.environ, ca)
    if proxy:
        more, said = trust.proxied(os.environ, proxy)
        found, told = found | more, told + said
    for line in told:
        _say(f"telemock: {line}")
    return found


def _wait_for(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Runs the command; returns its exit code. Forwards signals, except those that a terminal sends
    to the whole foreground group: the command has them already."""
    watched = {*_FORWARDED, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        try:
            process = subprocess.Popen(  # noqa: S603
                command,
                env=dict(environ),
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before),
            )
        except OSError as e:
            code = NOT_FOUND if isinstance(e, FileNotFoundError) else NOT_EXECUTABLE
            raise RunError(f"{command[0]}: {e.strerror}", code) from None
        while process.poll() is None:
            number, from_terminal = _next_signal(watched)
            if number != signal.SIGCHLD and not from_terminal:
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
    rows: Sequence[summary.Sent], lost: Mapping[str, int], ca: Path, code: int, as_json: bool
) -> None:
    if as_json:
        document = {
            "exit_code": code,
            "sent": list(rows),
            "lost": dict(lost),
        }
        print(json_of(document), flush=True)
        return
    _say_what_was_not_seen(rows, ca)
    if rows:
        _say("telemock: what left")
        _say(summary.table(rows).rstrip())
    if lost:
        _say(f"telemock: records that were lost: {why_lost(lost)}")


def _is_left(spool: Path, boot: str, why: str) -> bool:
    """True if records remain: a sidecar keeps its ledger until the app has accounted for all
    records; with an older app that never happens."""
    return (spool / f"{boot}.lock").exists() and bool(why or any(spool.glob(f"{boot}-*.ndjson")))


def _say_what_is_not_stored(left: int, why: str, console: Path) -> None:
    number = f"{left} records" if left else "records"
    _say(
        f"telemock: {number} of this run are not stored, so what follows is not all of it"
        f"{f': {plain(why)}' if why else ''}\n"
        f"hint: the next run delivers those that the spool could keep; {console} says more"
    )


def _say_what_was_not_seen(rows: Sequence[summary.Sent], ca: Path) -> None:
    silent = [row for row in rows if row.kind == "tls_rejected" or row.reason == "no_request"]
    if silent:
        hosts = ", ".join(sorted({row.host for row in silent}))
        _say(
            f"telemock: connections without a request: {sum(row.count for row in silent)} to "
            f"{hosts}; what was to be sent on them was not seen"
        )
    elif not any(row.kind == "exchange" or row.method for row in rows):
        _say("telemock: no request to a host of a profile was seen")
    if any(row.kind == "tls_rejected" for row in silent):
        _say(f"telemock: the command probably does not trust the sidecar's certificate: see {ca}")


def _say(line: str) -> None:
    print(paragraphs(line), file=sys.stderr, flush=True)
