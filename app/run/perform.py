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
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app import trust
from app.contract import names, state
from app.contract.actions import ACTIONS, Mode
from app.contract.matching import Host
from app.contract.processes import children
from app.contract.record import CaptureRecord
from app.contract.rules import Profile, RuleSet
from app.escape import paragraphs, plain
from app.report.coverage import Coverage, count
from app.run import descendants, java, processes, summary, transparent, verdict
from app.run.canary.plant import Planted
from app.run.child import RunError, Watch, look_for, wait_for
from app.run.interception import Passed
from app.run.led import Led
from app.run.servers import Servers
from app.run.stage import FailingHosts
from app.run.stopping import Stop
from app.settings import Settings

if TYPE_CHECKING:
    from app.client.source import Source

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
    source: "Source | None" = None
    boot: str = ""
    began_ns: int = 0
    profiles: Sequence[Profile] = ()
    transparent: bool = False
    led: Sequence[Led] = ()

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
    allowed: Sequence[transparent.AllowedHost] = (),
    say: Callable[[str], None] = say,
    stop: Stop | None = None,
) -> Iterator[Performed]:
    """Runs the command to its end, and yields what became of it; the run's app answers meanwhile.

    `redirect`: True insists on the transparent form, None takes it where the kernel allows it.
    `environ` is the command's environment, by default ours; `output` the file of its stdout and
    stderr; `for_sidecar` are more settings of the sidecar. `strict`: for a gate, see
    `app.run.strict`, and `allowed` the hosts that the command knows. Connections to hosts of
    `failing` go there; `started` is told the command's process. Forwards signals, so it needs the
    main thread, but those of `stop`: they end the run.
    Raises RunError, LocalError, Stopped.
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
    others = children(os.getpid())  # not the command's, whatever they are
    state.make_with_room(settings.data)
    began = time.time_ns()
    with contextlib.ExitStack() as stack:
        stack.enter_context(descendants.adopting())
        lazy = strict and not refused and redirect is not False
        servers = Servers(settings, profiles, stack, lazy=lazy)
        hosts = servers.hosts()
        route = (
            None
            if refused or redirect is False
            else transparent.Transparent(
                _exact(hosts),
                processes.free_port(),
                settings.data,
                failing,
                _ports(servers.profiles),
                strict=strict,
                allowed=allowed,
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
        if lazy:
            proxy = servers.start_later(environ_of_sidecar, stdout, hosts)
        else:
            proxy = servers.start(environ_of_sidecar, stdout)
        own = servers.own
        open_to_it = (proxy,) if strict else (proxy, servers.app.url, servers.sidecar.health)
        own += others
        ours = frozenset(map(_port_of, open_to_it))
        ca = settings.data / names.DIR_CA
        variables = _variables(environ, ca, proxy, route is not None, say)
        watch = Watch(route, ours, own, started, planted, servers.need)
        code = wait_for([*command], {**environ, **variables}, watch, output, stop)
        survivors = descendants.wait(wait, own, say, watch.goes_on, stop)
        passed, brought = watch.stop()
        ended = servers.started and servers.error is None and servers.sidecar.child.ended
        if ended:
            console = servers.sidecar.child.console
            say(f"telemock: the sidecar ended before the command: see {console}")
        rows: Sequence[summary.Sent] = ()
        lost: Mapping[str, int] = {}
        source: Source | None = None
        boot, left = "", 0
        try:
            if servers.error is not None:
                raise servers.error
            if servers.started:
                servers.revive()
                sidecar = servers.sidecar
                boot = sidecar.boot
                left, why = sidecar.not_taken()
                sidecar.child.stop()  # it ends its exchanges and delivers the rest
                if _is_left(settings.data / names.DIR_SPOOL, boot, why):
                    left = max(left, 1)
                    _say_what_is_not_stored(left, why, sidecar.child.console, say)
                else:
                    left = 0
                from app.client.source import connect

                source = stack.enter_context(connect(settings, servers.app.url))
                rows = summary.summed(summary.records(source, boot, began))
                lost = summary.lost(source, boot, began)
        except Exception as e:  # whatever it is, the exit code is still the command's
            found = Performed(code, error=e, passed=passed)
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
                code, rows, lost, coverage, services, passed, None, source, boot, began
            )
        found.began_ns, found.profiles = began, servers.profiles
        found.transparent, found.led = route is not None, watch.led
        yield found


def _exact(hosts: Sequence[Host]) -> list[str]:
    """Without suffixes, which an /etc/hosts cannot name."""
    return list(dict.fromkeys(host.name for host in hosts if not host.suffix))


def _ports(profiles: Sequence[Profile]) -> dict[str, frozenset[int]]:
    """Ports of hosts, and of suffixes, besides 80 and 443."""
    rules = RuleSet(tuple(profiles))
    hosts = [host for profile in profiles for host in profile.hosts]
    found = {host: rules.ports_of(host) for host in _exact(hosts)}
    suffixes = [host for host in hosts if host.suffix]
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
