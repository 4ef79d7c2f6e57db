"""Lists who sends: pods and processes, what they run, how often against how often they should, how
their sidecar is, and what is known to be lost.

Silence has two kinds: a sidecar that is not heard of, and a product that sends less often than its
profile says.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.api.read import built_for
from app.contract.instant import instant
from app.contract.outcomes import OUTCOMES
from app.contract.presence import APP
from app.report.build import Report, WorkloadLine
from app.report.coverage import Witness, why_lost
from app.report.ledger import DIRECT, SILENT_NS
from app.report.papers import Paper
from app.store import BootRow
from app.store.facts import HERE
from app.web.page import Lists, ask, render, turned
from app.web.period import PERIODS, period

_ROWS = 100
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SECOND, _MINUTE = 10**9, 60 * 10**9
_SLOW = 2.0  # times the declared cadence from which the mean is told
_SILENT = 5.0  # and the time since the last request
_REFUSED = ("certificate_refused", "certificate_old")
_FORMS = {
    "hosts": "redirect hosts", "loopback": "redirect loopback", "all": "redirect all",
    "proxy": "explicit proxy", "run": "telemock run",
}  # fmt: skip

routes = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Pace:
    """Times between two requests: `seen` "" where there are too few to tell, `expected` "" where
    the profile does not say. `silent`: time since the last, if that is far too long."""

    seen: str = ""
    expected: str = ""
    slow: bool = False
    silent: str = ""


@dataclass(frozen=True)
class SidecarState:
    """`says` is what was heard of it last; `ok` None where it took leave."""

    says: str
    ok: bool | None
    how: str = ""


@dataclass(frozen=True)
class WorkloadEntry:
    """`who` is the ledger's name of it."""

    who: str
    line: WorkloadLine
    cadence: Pace
    sidecar: SidecarState | None
    lost: str = ""
    missing: int = 0
    waiting: int = 0
    away: int = 0  # times without a sidecar
    refused: list[tuple[str, int]] = field(default_factory=list)  # hosts

    @property
    def amiss(self) -> bool:
        return bool(
            self.lost or self.missing or self.waiting or self.away or self.refused
            or self.cadence.slow or self.cadence.silent
            or (self.sidecar and self.sidecar.ok is False)
        )  # fmt: skip


def senders(
    report: Report, papers: Iterable[Paper], boots: Iterable[BootRow], until_ns: int
) -> list[WorkloadEntry]:
    """Of a period that ends at `until_ns`."""
    witnesses = {witness.who: witness for witness in report.ledger}
    expected = {paper.profile: seconds(paper.every) for paper in papers}
    missing: dict[str, int] = {}
    for one in report.missing:
        who = _name(one.namespace, one.pod)
        missing[who] = missing.get(who, 0) + one.missing
    sidecars = by_pod(boots)
    found = []
    for line in report.workloads:
        if not line.profile:
            continue
        who = _name(line.namespace, line.pod)
        of = witnesses.get(who)
        if of is None:  # processes of this machine without a sidecar of their own share one
            of = witnesses.get("" if line.namespace else DIRECT, Witness(who=who))
        lost = sum(of.lost.values())
        found.append(
            WorkloadEntry(
                who=who,
                line=line,
                cadence=cadence(line, expected.get(line.profile, 0), until_ns),
                sidecar=_sidecar(sidecars.get(who, ())),
                lost=why_lost(of.lost),
                missing=max(0, missing.get(who, 0) - lost - of.waiting),
                waiting=of.waiting,
                away=len(of.away),
                refused=_refused(of, line.hosts),
            )
        )
    return found


def unheard(report: Report, boots: Iterable[BootRow]) -> list[tuple[str, SidecarState]]:
    """The pods whose sidecars were there in the period, and of which no record is of a profile."""
    sent = {_name(line.namespace, line.pod) for line in report.workloads if line.profile}
    there = {witness.who for witness in report.ledger}
    found = []
    for who, rows in sorted(by_pod(boots).items()):
        state = _sidecar(rows)
        if who not in sent and who in there and state:
            found.append((who, state))
    return found


def by_pod(boots: Iterable[BootRow]) -> dict[str, list[BootRow]]:
    """The starts of sidecars."""
    found: dict[str, list[BootRow]] = {}
    for boot in boots:
        if boot.said.form not in ("", APP):
            found.setdefault(_name(boot.namespace, boot.pod), []).append(boot)
    return found


def _name(namespace: str, pod: str) -> str:
    return "/".join(filter(None, (namespace, pod))) or HERE


def _refused(witness: Witness, hosts: Iterable[str]) -> list[tuple[str, int]]:
    counted = ((h, witness.connections.get(h, {})) for h in hosts)
    found = ((host, sum(of.get(id, 0) for id in _REFUSED)) for host, of in counted)
    return [(host, number) for host, number in found if number]


def _sidecar(boots: Sequence[BootRow]) -> SidecarState | None:
    if not boots:
        return None
    last = max(boots, key=lambda boot: boot.heard_ns or boot.last_ns)
    heard = last.heard_ns or last.last_ns
    ago = span(max(0, time.time_ns() - heard))
    how = ", ".join(filter(None, (_FORMS.get(last.said.form, last.said.form),
                                  last.said.mode and f"mode {last.said.mode}")))  # fmt: skip
    if last.left or last.ended:
        return SidecarState(f"took leave {ago} ago", None, how)
    if time.time_ns() - heard > SILENT_NS:
        return SidecarState(f"silent for {ago}", ok=False, how=how)
    return SidecarState("heard of lately", ok=True, how=how)


def cadence(line: WorkloadLine, expected_s: int, until_ns: int) -> Pace:
    first, last = instant(line.first_seen), instant(line.last_seen)
    said = f"every {span(expected_s * _SECOND)}" if expected_s else ""
    far = expected_s * _SILENT * _SECOND
    silence = until_ns - last
    silent = span(silence) if expected_s and silence > far else ""
    if line.count < 3 or last <= first:
        return Pace("", said, silent=silent)
    mean = (last - first) / (line.count - 1)
    slow = bool(expected_s) and mean > expected_s * _SLOW * _SECOND
    return Pace(f"every {span(mean)}", said, slow, silent)


def seconds(every: str) -> int:
    """Of `60s` or `4h`, as a profile writes it; 0 for nothing."""
    return int(every[:-1]) * _SECONDS[every[-1]] if every else 0


def span(ns: float) -> str:
    """60 s, 5 min, 3 h, 4 days."""
    hour = 60 * _MINUTE
    for unit, name, most in ((_SECOND, "s", 120), (_MINUTE, "min", 120), (hour, "h", 48)):
        if ns < most * unit:
            return f"{_rounded(ns / unit)} {name}"
    return f"{_rounded(ns / (24 * hour))} days"


def _rounded(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0") if number < 10 else f"{number:.0f}"


@routes.get("/workloads")
async def workloads(
    request: Request, visitor: Lists, runtime: Run, since: str = "", until: str = "",
    text: str = "", state: str = "", profile: str = "", page: str = "",
) -> Response:  # fmt: skip
    asked = period(since, until, default="7d")
    bound = visitor.namespaces

    def read() -> tuple[Report, list[BootRow]]:
        boots = runtime.rows().boots()
        mine = [b for b in boots if bound is None or b.namespace in bound]
        return built_for(runtime, bound, asked.scope), mine

    report, boots = await ask(read)
    papers = [part.paper for part in report.profiles if part.paper]
    now = time.time_ns()
    everybody = senders(report, papers, boots, min(now, asked.scope.until_ns or now))
    sought = text.strip().lower()
    found = [
        one
        for one in everybody
        if any(sought in part.lower() for part in (one.who, one.line.image, *one.line.versions))
        and (state != "amiss" or one.amiss)
        and profile in ("", one.line.profile)
    ]
    number, pages = turned(page, len(found), _ROWS)
    quiet = unheard(report, boots)
    amiss = sum(one.amiss for one in everybody) + sum(state.ok is False for _, state in quiet)
    return render(
        request, "workloads.html", visitor, rows=found[(number - 1) * _ROWS : number * _ROWS],
        count=len(found), amiss=amiss, everybody=len(everybody),
        unheard=quiet, page=number, pages=pages, text=text, state=state,
        profile=profile, profiles=runtime.papers.titles(part.profile for part in report.profiles),
        period=asked, periods=PERIODS, outcomes=OUTCOMES,
    )  # fmt: skip
