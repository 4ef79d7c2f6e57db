"""The difference of two versions, images or times of a product; also as Markdown for a ticket.

The comparison is that of `telemock diff`: `app.report.compare`.
"""

from collections.abc import Mapping
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.api.read import fields_for
from app.report.compare import Comparison, compare, markdown
from app.report.sides import (
    IMAGE,
    TIME,
    Choices,
    Reading,
    choices,
    sides_by_default,
    with_versions,
)
from app.runtime import Runtime
from app.store import Scope
from app.web.page import HEADERS, Lists, PageError, ask, go, render
from app.web.show import href

routes = APIRouter(include_in_schema=False)


class _Asked(NamedTuple):
    profile: str
    known: Choices
    one: str
    other: str
    found: Comparison | None
    products: list[tuple[str, str]]


def _gather(
    runtime: Runtime, namespaces: tuple[str, ...] | None, given: Mapping[str, str]
) -> _Asked:
    rows = fields_for(runtime, namespaces, Scope())
    products = runtime.papers.titles(row.profile for row in rows)
    profile = given["profile"] or min(with_versions(rows), default="")
    # Senders are sums, which know no namespaces.
    senders = [] if namespaces is not None else runtime.store.senders(Scope(profile=profile))
    known = choices(rows, senders, profile)
    one, other = sides_by_default(known, given["one"], given["other"])
    if not one or not other:
        return _Asked(profile, known, one, other, None, products)
    reading = Reading(runtime.store, rows, runtime.decoders, namespaces)
    found = compare(profile, reading.side(profile, one), reading.side(profile, other))
    return _Asked(profile, known, one, other, found, products)


def _options(known: Choices) -> list[tuple[str, str]]:
    """Versions first; the value is a side's name."""
    images = [(IMAGE + image, f"image {image}") for image in known.images]
    return [*((version, version) for version in known.versions), *images]


@routes.get("/versions")
async def versions(
    request: Request,
    visitor: Lists,
    runtime: Run,
    profile: str = "",
    one: str = "",
    other: str = "",
) -> Response:
    given = {"profile": profile, "one": one, "other": other}
    asked = await ask(lambda: _gather(runtime, visitor.namespaces, given))
    options = _options(asked.known)
    for name in (asked.one, asked.other):
        if name.startswith(TIME) and asked.found:
            options.append((name, asked.found.titles[name == asked.other]))
    return render(
        request, "versions.html", visitor, asked=asked, options=options, times=_times(asked),
        profiles=asked.products,
    )  # fmt: skip


def _times(asked: _Asked) -> list[tuple[str, str]]:
    """The ends of both sides, as far as they are times."""
    found = []
    for name in (asked.one, asked.other):
        since, _, until = name.removeprefix(TIME).partition("..")
        found.append((since, until) if name.startswith(TIME) else ("", ""))
    return found


@routes.get("/versions/times")
async def times(
    visitor: Lists, profile: str = "", one_since: str = "", one_until: str = "",
    other_since: str = "", other_until: str = "",
) -> Response:  # fmt: skip
    """Makes one address of the four times that the form sends."""
    one, other = (
        f"{TIME}{since.strip()}..{until.strip()}"
        for since, until in ((one_since, one_until), (other_since, other_until))
    )
    return go(href("/versions", profile=profile, one=one, other=other))


@routes.get("/versions.md")
async def versions_markdown(
    visitor: Lists, runtime: Run, profile: str = "", one: str = "", other: str = ""
) -> Response:
    given = {"profile": profile, "one": one, "other": other}
    asked = await ask(lambda: _gather(runtime, visitor.namespaces, given))
    if asked.found is None:
        raise PageError(404, "There are no two versions to compare yet.")
    content = markdown(asked.found)
    return Response(content, media_type="text/plain; charset=utf-8", headers=HEADERS)
