"""The profiles in use, and those that captures name: their rules, what each took, what none took;
and which rule takes a URL.
"""

from collections import Counter
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.api.read import built_for
from app.contract.matching import Match
from app.contract.rules import Rule
from app.profiles import explain, seen_from_url
from app.profiles.draft import LONGEST, CheckedDraft
from app.profiles.draft import checked as draft_checked
from app.profiles.explain import Explanation
from app.report.build import Report
from app.report.papers import Paper
from app.runtime import Runtime
from app.store import Scope
from app.web.entrance import Form
from app.web.page import Lists, PageError, Visitor, ask, render

_LONGEST = 8_000  # characters of a URL

routes = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class RuleEntry:
    rule: Rule
    match: str
    count: int


@dataclass(frozen=True)
class ProfileEntry:
    """`untaken`: requests and connections to its hosts that no rule took, by host, method and
    route. One not `in_use` is here because captures name it."""

    id: str
    title: str
    paper: Paper | None
    rules: list[RuleEntry]
    untaken: list[tuple[str, str, str, int]]
    in_use: bool


def entries(runtime: Runtime, report: Report) -> list[ProfileEntry]:
    in_use = runtime.rules.profiles
    ids = [profile.id for profile in in_use]
    known = runtime.papers.known
    others = filter(None, (known.find(p.profile) for p in report.profiles if p.profile not in ids))
    profiles = [*in_use, *(other.profile for other in others)]
    taken: Counter[tuple[str, str]] = Counter()
    untaken: dict[str, Counter[tuple[str, str, str]]] = {}
    parts = (report.answered, report.delivered, report.passed, report.refused, report.failed)
    for line in (line for part in parts for line in part):
        taken[line.profile, line.rule] += line.count
        if not line.rule:
            of = untaken.setdefault(line.profile, Counter())
            of[line.host, line.method, line.endpoint] += line.count
    return [
        ProfileEntry(
            profile.id,
            profile.title,
            runtime.papers.find(profile.id),
            [RuleEntry(rule, words(rule.match), taken[profile.id, rule.id])
             for rule in profile.rules],
            [(*names, n) for names, n in untaken.get(profile.id, Counter()).most_common(50)],
            profile.id in ids,
        )
        for profile in profiles
    ]  # fmt: skip


def anchor(profile: str, rule: str = "") -> str:
    """The id of a profile's or rule's line in the view."""
    return f"rule-{profile}-{rule}" if rule else f"profile-{profile}"


def words(match: Match) -> str:
    """A rule's match as one line."""
    parts = [" or ".join(match.methods)] if match.methods else []
    parts += [" or ".join(host.name for host in match.hosts)] if match.hosts else []
    parts += [" or ".join(f"{p.value}…" if p.kind == "prefix" else p.value for p in match.paths)]
    for place, values in (("query", match.query), ("header", match.headers), ("body", match.body)):
        parts += [f"{place} {value.name} {value.op} {value.value}".strip() for value in values]
    return ", ".join(filter(None, parts)) or "everything on its hosts"


@routes.get("/profiles")
async def profiles(
    request: Request, visitor: Lists, runtime: Run, url: str = "", method: str = "GET"
) -> Response:
    return await _shown(request, visitor, runtime, url, method)


@routes.post("/profiles/check")
async def check(request: Request, visitor: Lists, runtime: Run, form: Form) -> Response:
    """Checks a draft. It stands in the answer alone: no address, log or file has it."""
    if form.get("form_token") != visitor.form_token:
        raise PageError(403, "This form is of another session.\n\nhint: load the page again")
    draft = form.get("draft", "").replace("\r\n", "\n")
    found = await draft_checked(draft)
    return await _shown(request, visitor, runtime, draft=draft, checked=found)


async def _shown(
    request: Request,
    visitor: Visitor,
    runtime: Runtime,
    url: str = "",
    method: str = "GET",
    draft: str = "",
    checked: CheckedDraft | None = None,
) -> Response:
    report = await ask(lambda: built_for(runtime, visitor.namespaces, Scope()))
    found: Explanation | None = None
    said = ""
    if url.strip():
        try:
            seen = seen_from_url(url.strip()[:_LONGEST], method.strip()[:64] or "GET", [])
            found = explain(runtime.rules, seen, runtime.settings.mode)
        except ValueError as e:
            said = str(e)
    return render(
        request, "profiles.html", visitor, 422 if said or (checked and checked.problems) else 200,
        draft=draft, longest=LONGEST, checked=checked, words=words,
        profiles=entries(runtime, report), found=found, said=said, url=url, method=method,
        anchor=anchor, mode=runtime.settings.mode, refused=runtime.profiles.error,
    )  # fmt: skip
