"""Lists who sends: pods and processes, what they run, how often, and what is known to be lost."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.api.read import built_for
from app.contract.instant import instant
from app.report.build import Report, WorkloadLine
from app.report.coverage import Witness, why_lost
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


def senders(report: Report, text: str) -> list[tuple[str, WorkloadLine]]:
    """Those whose name, image or version has the text, each with the ledger's name of it."""
    sought = text.strip().lower()
    named = [
        ("/".join(filter(None, (line.namespace, line.pod))) or "this machine", line)
        for line in report.workloads
        if line.profile
    ]
    return [
        (who, line)
        for who, line in named
        if any(sought in part.lower() for part in (who, line.image, *line.versions))
    ]


def entry(who: str, line: WorkloadLine, known: Mapping[str, Witness]) -> WorkloadEntry:
    """The ledger tells more about those that have a sidecar."""
    witness = known.get(who)
    return WorkloadEntry(
        who=who,
        line=line,
        cadence=_cadence(line),
        lost=why_lost(witness.lost) if witness else "",
        waiting=witness.waiting if witness else 0,
        away=witness is not None and any(not away.until for away in witness.away),
    )


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
    found = senders(report, text)
    known = {witness.who: witness for witness in report.ledger}
    number, pages = turned(page, len(found), _ROWS)
    return render(
        request, "workloads.html", visitor,
        rows=[entry(*one, known) for one in found[(number - 1) * _ROWS : number * _ROWS]],
        count=len(found), page=number, pages=pages, text=text, period=asked, periods=PERIODS,
        report=report,
    )  # fmt: skip
