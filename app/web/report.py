"""The report for an auditor: the same that `telemock report` and final-report.md print."""

import shlex

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.api.read import built_for
from app.report import show
from app.report.build import Report
from app.runtime import Runtime
from app.settings import CLUSTER
from app.store import Scope
from app.version import VERSION
from app.web.page import HEADERS, Lists, ask, render
from app.web.period import PERIODS, period
from app.web.show import href

_ROWS, _MOST = 100, 10_000  # of a table: at first, and where all are asked for

routes = APIRouter(include_in_schema=False)


@routes.get("/report")
async def report(
    request: Request, visitor: Lists, runtime: Run, since: str = "", until: str = "",
    profile: str = "", rows: str = "",
) -> Response:  # fmt: skip
    asked = period(since, until, default="30d")
    scope = Scope(
        since_ns=asked.scope.since_ns, until_ns=asked.scope.until_ns, profile=profile or None
    )
    found = await ask(lambda: built_for(runtime, visitor.namespaces, scope))
    given = {"since": asked.since, "until": asked.until, "profile": profile}
    return render(
        request, "report.html", visitor, report=found, sections=show.sections(found),
        period=asked, periods=PERIODS, profile=profile, scope=list(show.scope(found)),
        command=_command(found, runtime),
        most=_MOST if rows == "all" else _ROWS,
        more="" if rows == "all" else href("/report", **given, rows="all"),
    )  # fmt: skip


def _command(found: Report, runtime: Runtime) -> str:
    """The command that prints the same."""
    server = CLUSTER if runtime.settings.cluster else None
    given = {"since": found.since, "until": found.until, "profile": found.profile, "server": server}
    options = [part for name, value in given.items() if value for part in (f"--{name}", value)]
    return shlex.join(["telemock", "report", *options])


@routes.get("/report.md")
async def report_markdown(
    visitor: Lists, runtime: Run, since: str = "", until: str = "", profile: str = ""
) -> Response:
    asked = period(since, until, default="30d")
    scope = Scope(
        since_ns=asked.scope.since_ns, until_ns=asked.scope.until_ns, profile=profile or None
    )
    found = await ask(lambda: built_for(runtime, visitor.namespaces, scope))
    head = f"# Telemetry report\n\nMade {found.generated_at} by telemock {VERSION}.\n\n"
    head += show.titled("Scope", show.scope(found)) + "\n"
    return Response(
        head + show.markdown(found),
        media_type="text/markdown; charset=utf-8",
        headers={**HEADERS, "Content-Disposition": 'attachment; filename="report.md"'},
    )
