"""One run of a command through the sidecar: starts the app and the sidecar, runs the command, and
judges what was seen of it. Called by whatever runs commands: `telemock run` and its relatives.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from app import trust
from app.client.running import running_app
from app.client.source import Source, connect
from app.contract import names, state
from app.contract.actions import ACTIONS, Mode
from app.contract.record import CaptureRecord
from app.contract.rules import Profile, RuleSet
from app.escape import paragraphs, plain
from app.report.coverage import Coverage, count
from app.run import descendants, java, processes, summary, transparent, verdict
from app.run.canary.plant import Planted
from app.run.child import RunError, Watch, look_for, wait_for
from app.run.interception import Passed
from app.run.stage import FailingHosts
from app.settings import Settings

WAIT_SECONDS = 10.0  # for processes that outlive the command
PROXY_ONLY = "this run is not transparent"


@dataclass
class Performed:
    """The outcome of one run. With `error` the command ended with `code`, and what it sent cannot
    be told: everything else is None or empty then."""

    code: int
    rows: Sequence[summary.Sent] = ()
    lost: Mapping[str, int] = field(default_factory=dict)
    coverage: Coverage | None = None
    services: Sequence[str] = ()  # limits that are worth a line of their own
    passed: Counter[Passed] = field(default_factory=Counter)  # what did not come to the sidecar
    error: Exception | None = None
    source: Source | None = None
    boot: str = ""
    began_ns: int = 0

    def records(self) -> Iterator[CaptureRecord]:
        """Yields the run's records, newest first, while its app runs."""
        if self.source is not None:
            yield from summary.records(self.source, self.boot, self.began_ns)


def say(line: str) -> None:
    print(paragraphs(line), file=sys.stderr, flush=True)


@contextlib.contextmanager
def performed(
    command: Sequence[str],
    settings: Settings,
    *,
    mode: Mode | None = None,
    profiles: Sequence[str] = (),
    redirect: bool | None = None,
    verbose: bool = False,
    wait: float = WAIT_SECONDS,
    environ: Mapping[str, str] | None = None,
    output: int | None = None,
    for_sidecar: Mapping[str, str] | None = None,
    failing: FailingHosts | None = None,
    started: Callable[[int], None] | None = None,
    planted: Planted | None = None,
    strict: bool = False,
    say: Callable[[str], None] = say,
) -> Iterator[Performed]:
    """Runs the command to its end, and yields what became of it; the run's app answers meanwhile.

    `redirect`: True insists on the transparent form, None takes it where the kernel allows it.
    `environ` is the command's environment, by default ours; `output` the file of its stdout and
    stderr; `for_sidecar` are more settings of the sidecar. `strict`: for a gate, see
    `app.run.strict`. Connections to hosts of `failing` go there; `started` is told the command's
    process. Forwards signals, so it needs the main thread. Raises RunError, LocalError.
    """
    if mode and (row := ACTIONS[mode]).lacking:
        raise RunError(f"mode {mode} is not available: it {row.lacking}\n\nhint: {row.instead}")
    if not command:
        raise RunError("no command to run\n\nhint: telemock run -- COMMAND ARGUMENTS…")
    environ = os.environ if environ is None else environ
    look_for(command[0], environ.get("PATH", os.defpath))
    refused = transparent.refused() if redirect is not False else ""
    if refused and redirect:
        raise RunError(
            f"--transparent: {refused}\n\nhint: --no-transparent sees what heeds proxy variables"
        )
    if refused:
        say(
            f"telemock: {PROXY_ONLY} ({refused}): a program that ignores the proxy variables goes "
            "past telemock, and the verdict will say so"
        )
    descendants.adopt()
    state.make_with_room(settings.data)
    began = time.time_ns()
    with contextlib.ExitStack() as stack:
        app = _app(settings, profiles, stack)
        used = app.profiles()
        route = (
            None
            if refused or redirect is False
            else transparent.Transparent(
                _exact(used),
                processes.free_port(),
                settings.data,
                failing,
                _ports(used),
                strict=strict,
            )
        )
        environ_of_sidecar = {
            **(for_sidecar or {}),
            "TELEMOCK_WORKLOAD_CONTAINER": Path(command[0]).name,
            "TELEMOCK_RUN": str(os.getpid()),
            **(planted.settings if planted else {}),
        }
        if mode:
            environ_of_sidecar["TELEMOCK_MODE"] = mode
        if route is not None:
            environ_of_sidecar |= route.settings
            stack.callback(route.end)
        stdout = sys.stderr.fileno() if verbose else subprocess.DEVNULL
        sidecar = _sidecar(settings, app, environ_of_sidecar, stdout)
        stack.callback(sidecar.child.stop)
        own = [child.pid for child in (app.child, sidecar.child) if child]
        open_to_it = (sidecar.proxy,) if strict else (app.url, sidecar.proxy, sidecar.health)
        ours = frozenset(map(_port_of, open_to_it))
        ca = settings.data / names.DIR_CA
        variables = _variables(environ, ca, sidecar.proxy, route is not None, say)
        watch = Watch(route, ours, own, started, planted)
        code = wait_for([*command], {**environ, **variables}, watch, output)
        survivors = descendants.wait(wait, own, say)
        passed, brought = watch.stop()
        ended = sidecar.child.ended
        if ended:
            say(f"telemock: the sidecar ended before the command: see {sidecar.child.console}")
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
                _say_what_is_not_stored(left, why, sidecar.child.console, say)
            else:
                left = 0
            source = stack.enter_context(connect(settings, app.url))
            rows = summary.summed(summary.records(source, sidecar.boot, began))
            lost = summary.lost(source, sidecar.boot, began)
        except Exception as e:  # whatever it is, the exit code is still the command's
            found = Performed(code, error=e)
        else:
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
            services = verdict.services(passed)
            found = Performed(
                code, rows, lost, coverage, services, passed, None, source, sidecar.boot, began
            )
        yield found


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


def _exact(profiles: Sequence[Profile]) -> list[str]:
    """Hosts of the profiles, without suffixes, which an /etc/hosts cannot name."""
    hosts = [host for profile in profiles for host in profile.hosts]
    return list(dict.fromkeys(host.name for host in hosts if not host.suffix))


def _ports(profiles: Sequence[Profile]) -> dict[str, frozenset[int]]:
    """Ports of hosts, and of suffixes, besides 80 and 443."""
    rules = RuleSet(tuple(profiles))
    found = {host: rules.ports_of(host) for host in _exact(profiles)}
    suffixes = [host for profile in profiles for host in profile.hosts if host.suffix]
    found |= {f".{host.name}": frozenset(host.ports) for host in suffixes}
    return {host: ports for host, ports in found.items() if ports}


def _port_of(url: str) -> int:
    return urlsplit(url).port or 0


def _variables(
    environ: Mapping[str, str],
    ca: Path,
    proxy: str,
    redirected: bool,
    say: Callable[[str], None],
) -> dict[str, str]:
    """Variables for the command's environment. A redirected command gets the proxy, too: it names
    hosts that no DNS knows."""
    found, told = trust.trusting(environ, ca)
    for more, said in (
        java.options(environ, ca),
        trust.proxied(environ, proxy, redirected=redirected),
    ):
        found, told = found | more, told + said
    for line in told:
        say(f"telemock: {line}")
    return found


def _is_left(spool: Path, boot: str, why: str) -> bool:
    """True if records remain: a sidecar keeps its ledger until the app has accounted for all
    records; with an older app that never happens."""
    return (spool / f"{boot}.lock").exists() and bool(why or any(spool.glob(f"{boot}-*.ndjson")))


def _say_what_is_not_stored(left: int, why: str, console: Path, say: Callable[[str], None]) -> None:
    say(
        f"telemock: {count(left, 'record', 'records')} of this run are not stored, so what follows "
        f"is not all of it{f': {plain(why)}' if why else ''}\n"
        f"hint: the next run delivers those that the spool could keep; {console} says more"
    )
