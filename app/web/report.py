"""The report for an auditor: the same that `telemock report` and final-report.md print."""

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.api.read import built_for
from app.report import show
from app.store import Scope
from app.version import VERSION
from app.web.page import HEADERS, Lists, ask, render
from app.web.period import PERIODS, period

routes = APIRouter(include_in_schema=False)


@routes.get("/report")
async def report(
    request: Request, visitor: Lists, runtime: Run, since: str = "", until: str = "",
    profile: str = "",
) -> Response:  # fmt: skip
    asked = period(since, until, default="30d")
    scope = Scope(
        since_ns=asked.scope.since_ns, until_ns=asked.scope.until_ns, profile=profile or None
    )
    found = await ask(lambda: built_for(runtime, visitor.namespaces, scope))
    return render(
        request, "report.html", visitor, report=found, sections=show.sections(found),
        period=asked, periods=PERIODS, profile=profile, namespaces=visitor.namespaces,
        profiles=[(p.id, p.title) for p in runtime.rules.profiles],
    )  # fmt: skip


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
    return Response(
        head + show.markdown(found),
        media_type="text/markdown; charset=utf-8",
        headers={**HEADERS, "Content-Disposition": 'attachment; filename="report.md"'},
    )
