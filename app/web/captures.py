"""The list of captures, found by the filter language, page by page; and one capture.

The counts beside the list come from roll-ups, so they are of whole hours; the list itself is read
by key: its last page costs what its first one does.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.api.read import may_read
from app.report.har import har
from app.store import CaptureQuery, QueryError, Scope, Store, TrafficRow, filter
from app.store.cursors import read
from app.web.beside import compared
from app.web.capture import Detail, detail
from app.web.facets import Narrowing, narrowings, unheeded
from app.web.lines import CaptureLine
from app.web.long_list import ROWS, Piece, older_than
from app.web.page import HEADERS, Gets, Lists, PageError, Visitor, admit, ask, render
from app.web.show import href
from app.web.span import DIMENSIONS, end_of, holds, span, values

routes = APIRouter(include_in_schema=False)


class Found(NamedTuple):
    """`newer`, `older`: the gaps before and behind the rows, "" at an end of the list. `total` of
    what fits and `position` of the first row, None where sums do not tell; `about`, where they do
    so by whole hours. `arrival`: the rows may lack what was stored since."""

    rows: list[CaptureLine]
    newer: str
    older: str
    reached: int | None  # the page is not full: the search came back to this time, in ns
    facets: list[Narrowing] | None  # None: the counts are not the visitor's to see
    left_out: list[str]
    stored: int
    total: int | None
    position: int | None
    about: bool
    oldest_ns: int
    arrival: str


def gather(store: Store, q: str, query: CaptureQuery) -> Found:
    stats = store.stats()
    page = older_than(store, query, query.cursor or "", ROWS)
    scope = Scope(since_ns=query.since_ns, until_ns=query.until_ns)
    left_out = unheeded(query)
    facets = total = None
    about = False
    if query.namespaces is None:
        sums = store.traffic(scope, DIMENSIONS)
        facets = narrowings(sums, q, query)
        if not left_out:
            about = scope != Scope() or sum(row.count for row in sums) != stats.records
            total = _total(sums, query) if query.terms or about else stats.records
    position: int | None = 0
    if not page.newer and not page.older:  # all there are
        total, about = len(page.rows), False
    elif page.newer:
        of = span(store, query) if page.rows and total is not None else None
        share = of.share_of(page.rows[0].record.time_ns + 1) if of else 0.0
        position = None if total is None else round(share * total)
    return Found(
        rows=page.rows,
        newer=page.newer,
        older=page.older,
        reached=_reached(page),
        facets=facets,
        left_out=left_out,
        stored=stats.records,
        total=total,
        position=position,
        about=about or bool(page.newer),
        oldest_ns=end_of(store, query, "oldest") or 0 if page.older else 0,
        arrival=stats.arrival,
    )


def _total(sums: list[TrafficRow], query: CaptureQuery) -> int:
    return sum(
        row.count
        for row in sums
        if all(holds(term, of) for of in [values(DIMENSIONS, row.by)] for term in query.terms)
    )


def _reached(page: Piece) -> int | None:
    if not page.older or len(page.rows) == ROWS:
        return None
    if page.rows and page.older == f"newest.{page.rows[-1].place}":
        return None  # records so large that they fill a page
    return read(page.older, "newest")[0]


@routes.get("/captures")
async def captures(
    request: Request,
    visitor: Lists,
    runtime: Run,
    q: str = "",
    cursor: str = "",
    open: str = "",
    pin: str = "",
    tail: str = "",
) -> Response:
    given: dict[str, Any] = {
        "q": q, "cursor": cursor, "open": open, "pin": pin, "tail": tail, "names": filter.NAMES,
        "said": "", "hint": "",
    }  # fmt: skip
    try:
        query = filter.read(
            q, CaptureQuery(limit=ROWS, cursor=cursor or None, namespaces=visitor.namespaces)
        )
    except QueryError as e:
        given["said"], _, given["hint"] = str(e).partition("\n\nhint: ")
        return render(request, "captures.html", visitor, 422, found=None, detail=None, **given)
    one = await _opened(request, runtime, open, pin, q=q, cursor=cursor) if open else None
    # A script that asks for the opened capture alone needs no list.
    alone = request.headers.get("hx-target") == "div#detail"
    found = None if alone else await ask(lambda: gather(runtime.store, q, query))
    return render(request, "captures.html", visitor, found=found, detail=one, **given)


async def _opened(request: Request, runtime: Run, id: str, pin: str, **given: str) -> Detail | None:
    visitor = await admit(request, "get")
    line = await ask(lambda: runtime.store.capture(id))
    if line is None or not may_read(visitor.namespaces, line):
        return None
    here = partial(href, "/captures", **given, open=id)
    return await _beside(runtime, visitor, line, pin, lambda pin: here(pin=pin))


async def _beside(
    runtime: Run, visitor: Visitor, line: bytes, pin: str, here: Callable[[str], str]
) -> Detail:
    def read() -> Detail:
        found = detail(line, runtime.rules, runtime.settings.trace_url, runtime.store.words())
        pinned = runtime.store.capture(pin) if pin else None
        if pinned and not may_read(visitor.namespaces, pinned):
            pinned = None
        return found._replace(
            compared=compared(runtime.store, found.record, visitor.namespaces, pinned, pin, here)
        )

    return await ask(read)


async def _line(runtime: Run, visitor: Visitor, id: str) -> bytes:
    found = await ask(lambda: runtime.store.capture(id))
    if found is None or not may_read(visitor.namespaces, found):
        raise PageError(
            404,
            f"There is no capture {id[:60]!r}."
            "\n\nhint: captures go when their retention ends; the address may be cut",
        )
    return found


@routes.get("/captures/{id}.har")
async def one_har(runtime: Run, visitor: Gets, id: str) -> Response:
    line = await _line(runtime, visitor, id)
    words = await ask(runtime.store.words)
    content = b"".join(har([line], words))
    name = "".join(c for c in id if c.isalnum() or c == "-")[:60]
    return Response(
        content,
        media_type="application/json",
        headers={**HEADERS, "Content-Disposition": f'attachment; filename="{name}.har"'},
    )


@routes.get("/captures/{id}")
async def capture(
    request: Request, visitor: Gets, runtime: Run, id: str, pin: str = ""
) -> Response:
    line = await _line(runtime, visitor, id)
    found = await _beside(runtime, visitor, line, pin, lambda pin: href(f"/captures/{id}", pin=pin))
    return render(request, "capture.html", visitor, detail=found)
