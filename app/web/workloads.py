"""Lists who sends: pods and processes, what they run, how often, and what is known to be lost."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.api.read import built_for
from app.contract.instant import instant
from app.report.build import Report, WorkloadLine
from app.report.coverage import why_lost
from app.web.page import Lists, ask, render, turned
from app.web.period import PERIODS, period

_ROWS = 100
_MINUTE = 60 * 10**9

routes = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class WorkloadEntry:
    """`who` is the ledger's name of it. `cadence` is the mean time between two requests, "" where
    there are too few to tell."""

    who: str
    line: WorkloadLine
    cadence: str
    lost: str
    waiting: int
    away: bool


def senders(report: Report) -> list[WorkloadEntry]:
    """The ledger tells more about those that have a sidecar."""
    known = {witness.who: witness for witness in report.ledger}
    found = []
    for line in report.workloads:
        if not line.profile:
            continue
        who = "/".join(filter(None, (line.namespace, line.pod))) or "this machine"
        witness = known.get(who)
        found.append(
            WorkloadEntry(
                who=who,
                line=line,
                cadence=_cadence(line),
                lost=why_lost(witness.lost) if witness else "",
                waiting=witness.waiting if witness else 0,
                away=witness is not None and any(not away.until for away in witness.away),
            )
        )
    return found


def _cadence(line: WorkloadLine) -> str:
    span = instant(line.last_seen) - instant(line.first_seen)
    if line.count < 3 or span <= 0:
        return ""
    mean = span / (line.count - 1)
    if mean < 2 * _MINUTE:
        return f"every {mean / 1e9:.3g} s"
    return (
        f"every {mean / _MINUTE:.3g} min"
        if mean < 120 * _MINUTE
        else (f"every {mean / (60 * _MINUTE):.3g} h")
    )


@routes.get("/workloads")
async def workloads(
    request: Request, visitor: Lists, runtime: Run, since: str = "", until: str = "",
    text: str = "", page: str = "",
) -> Response:  # fmt: skip
    asked = period(since, until, default="7d")
    report = await ask(lambda: built_for(runtime, visitor.namespaces, asked.scope))
    sought = text.strip().lower()
    found = [
        one
        for one in senders(report)
        if any(sought in part.lower() for part in (one.who, one.line.image, *one.line.versions))
    ]
    number, pages = turned(page, len(found), _ROWS)
    return render(
        request, "workloads.html", visitor, rows=found[(number - 1) * _ROWS : number * _ROWS],
        count=len(found), page=number, pages=pages, text=text, period=asked, periods=PERIODS,
        report=report,
    )  # fmt: skip
