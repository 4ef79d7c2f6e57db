"""Runs the command once as usual, then once for each fault of each endpoint that it asked."""

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec

from app.escape import plain
from app.rehearse import draft
from app.rehearse.faults import FAULTS, Fault
from app.rehearse.judge import LINE, Judgement, RunEvidence, judge
from app.rehearse.watched import Watched
from app.report.coverage import count
from app.run import transparent
from app.run.child import RunError
from app.run.perform import Performed, say
from app.run.stage import FailingHosts
from app.run.stopping import Stop, Stopped, stopping
from app.run.trial import tried
from app.settings import Settings
from app.trust import NO_PROXY

LIMIT_S = 120.0  # for a command that ends by itself, beyond its usual time


class AskedEndpoint(NamedTuple):
    """An endpoint that the command asked: a rule of the profile, and the host."""

    rule: str
    route: str
    host: str
    scheme: str


class RehearsedFault(msgspec.Struct, kw_only=True):
    """One row: an endpoint under a fault. Without a judgement, `skipped` says why."""

    endpoint: str
    host: str
    fault: str
    judgement: Judgement | None = None
    evidence: RunEvidence | None = None
    skipped: str = ""


class Rehearsal(msgspec.Struct, kw_only=True):
    """`unruled` are requests to hosts of the profile that no rule took: they are not rehearsed.
    `interrupted` is the signal that came, and the rows are those before it then."""

    profile: str
    usual: RunEvidence
    rows: list[RehearsedFault]
    unruled: int
    interrupted: str = ""


class RehearsalInterrupt(KeyboardInterrupt):
    """`found` is what was known when a signal came, and `code` the exit code."""

    def __init__(self, found: Rehearsal, code: int) -> None:
        super().__init__()
        self.found, self.code = found, code


class _Run(NamedTuple):
    evidence: RunEvidence
    asked: dict[AskedEndpoint, int]
    unruled: int

    def of(self, asked: AskedEndpoint, fault: Fault) -> RunEvidence:
        """The evidence, with the attempts at what this fault meets."""
        met = [
            n
            for one, n in self.asked.items()
            if (one.host == asked.host if fault.failure else one == asked)
        ]
        return msgspec.structs.replace(self.evidence, attempts=sum(met))


def rehearse(
    command: Sequence[str],
    profile: str,
    settings: Settings,
    *,
    faults: Sequence[str] = (),
    endpoints: Sequence[str] = (),
    seconds: float | None = None,
    limit: float = LIMIT_S,
) -> Rehearsal:
    """`seconds`: the command is a service, and is ended after this time. `faults` and `endpoints`
    (ids of rules) are those to try, by default all.

    Raises RunError where the command fails without a fault or asks nothing, ProfileError, and at a
    signal RehearsalInterrupt, or Stopped where nothing is known yet.
    """
    with stopping() as stop:
        return _rehearse(command, profile, settings, faults, endpoints, seconds, limit, stop)


def _rehearse(
    command: Sequence[str],
    profile: str,
    settings: Settings,
    faults: Sequence[str],
    endpoints: Sequence[str],
    seconds: float | None,
    limit: float,
    stop: Stop,
) -> Rehearsal:
    usual = _run(command, profile, settings, None, None, seconds or limit, stop)
    lasts = seconds is not None
    _check(usual, lasts)
    known = sorted({one.rule for one in usual.asked})
    if unknown := sorted(set(endpoints) - set(known)):
        raise RunError(
            f"--endpoint {unknown[0]}: the command did not ask it\n\nhint: it asked "
            f"{', '.join(known)}"
        )
    wanted = [one for one in usual.asked if not endpoints or one.rule in endpoints]
    tried = [fault for fault in FAULTS if not faults or fault.id in faults]
    ends = seconds or usual.evidence.seconds + limit
    rows: list[RehearsedFault] = []
    found = Rehearsal(profile=profile, usual=usual.evidence, rows=rows, unruled=usual.unruled)
    met: set[tuple[str, str]] = set()  # a connection's fault meets all endpoints of a host
    for asked in wanted:
        for fault in tried:
            if fault.failure and (asked.host, fault.id) in met:
                continue
            met.add((asked.host, fault.id))
            one = RehearsedFault(endpoint=_endpoint(asked, fault), host=asked.host, fault=fault.id)
            if why := _impossible(asked, fault):
                one.skipped = why
            else:
                say(f"telemock: {asked.host} {one.endpoint}: {fault.says}")
                try:
                    seen = _run(command, profile, settings, asked, fault, ends, stop).evidence
                except Stopped as e:
                    found.interrupted = str(e)
                    raise RehearsalInterrupt(found, e.code) from None
                one.evidence = seen
                if seen.attempts:
                    one.judgement = judge(usual.of(asked, fault), seen, lasts=lasts)
                else:  # it keeps somewhere that it has asked, or asks by chance
                    one.skipped = "the command did not ask it in this run"
            rows.append(one)
    return found


def _check(usual: _Run, lasts: bool) -> None:
    found = usual.evidence
    if found.stopped and not lasts:
        raise RunError(
            f"the command had not ended after {found.seconds:.0f} s, without any fault\n\n"
            "hint: --for SECONDS ends a service; --limit waits longer"
        )
    if lasts and not found.stopped:
        raise RunError(
            f"the command ended by itself after {found.seconds:.1f} s, without any fault\n\n"
            "hint: leave --for out"
        )
    if found.code and not lasts:
        said = f": {found.lines[-1]}" if found.lines else ""
        raise RunError(
            f"the command fails without any fault, with exit code {found.code}{said}\n\n"
            "hint: `telemock run` shows what it sends"
        )
    if not usual.asked:
        beside = f"; {count(usual.unruled, 'request', 'requests')} no rule took" * bool(
            usual.unruled
        )
        raise RunError(
            f"the command asked no endpoint of the profile{beside}: nothing to rehearse\n\n"
            "hint: `telemock run --discover` lists where it connects"
        )


def _endpoint(asked: AskedEndpoint, fault: Fault) -> str:
    return "(all)" if fault.failure else asked.route or asked.rule


def _impossible(asked: AskedEndpoint, fault: Fault) -> str:
    if not fault.failure:
        return ""
    if fault.id == "tls-error" and asked.scheme != "https":
        return "it is asked without TLS"
    if why := transparent.refused():
        return why
    if not transparent.may_name_hosts():
        return "the command cannot have an /etc/hosts of its own: run it as root"
    return ""


def _run(
    command: Sequence[str],
    profile: str,
    settings: Settings,
    asked: AskedEndpoint | None,
    fault: Fault | None,
    seconds: float,
    stop: Stop,
) -> _Run:
    counted: dict[AskedEndpoint, int] = {}
    lines: list[str] = []
    unruled = 0

    def look(found: Performed, text: str) -> None:
        nonlocal unruled
        lines.extend(plain(line, LINE) for line in text.splitlines())
        for record in found.records():
            if record.request is None:
                continue
            if record.rule:
                key = AskedEndpoint(record.rule, record.route, record.host, record.request.scheme)
                counted[key] = counted.get(key, 0) + 1
            elif record.profile:
                unruled += 1

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="telemock-rehearse-")))
        id, path = draft.write(profile, folder)
        environ = dict(os.environ)
        failing = None
        for_sidecar = {}
        if asked and fault and fault.failure:
            failing = stack.enter_context(FailingHosts(fault.failure, frozenset({asked.host})))
            for name in ("NO_PROXY", "no_proxy"):  # else it would ask the proxy
                environ[name] = f"{environ.get(name) or NO_PROXY},{asked.host}"
        elif asked and fault:
            for_sidecar["TELEMOCK_REHEARSE"] = f"{fault.id} {id}/{asked.rule} until 1d"
        watch = stack.enter_context(Watched(seconds))
        found = tried(
            command, settings, environ, profiles=[str(path)], wait=0, for_sidecar=for_sidecar,
            failing=failing, started=watch.begin, look=look, stop=stop,
        )  # fmt: skip
    if found.error:
        raise RunError(f"what the command sent cannot be told: {found.error}")
    attempts = len(failing.tried) if failing else counted.get(asked, 0) if asked else 0
    evidence = RunEvidence(
        code=found.exit_code,
        seconds=watch.seconds,
        stopped=watch.stopped,
        attempts=attempts,
        sockets=watch.sockets,
        lines=lines,
    )
    return _Run(evidence, counted, unruled)
