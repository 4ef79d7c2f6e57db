"""More of the list of captures, for the script that keeps a few rows of millions: older ones, newer
ones, or those at a share of the whole. Read by key, so that all places cost the same.
"""

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Response
from msgspec.json import encode
from msgspec.structs import replace

from app.api.common import Run
from app.store import CaptureQuery, Store, filter
from app.store.cursors import at, turned
from app.web.lines import CaptureLine, drawn, row
from app.web.page import HEADERS, Lists, PageError, ask
from app.web.span import span

ROWS = 60  # of a page, and in the document
MORE = 20

routes = APIRouter(include_in_schema=False)


class Piece(NamedTuple):
    """Rows, newest first, with the gaps before and behind them as cursors, "" at an end of the
    list. `share`: of the list before the first row, about; None where it was not asked for."""

    rows: list[CaptureLine]
    newer: str
    older: str
    share: float | None = None


def older_than(store: Store, query: CaptureQuery, cursor: str, rows: int = MORE) -> Piece:
    page = store.captures(replace(query, cursor=cursor or None, limit=rows))
    return Piece(list(map(row, page.items, page.places)), cursor, page.next or "")


def newer_than(store: Store, query: CaptureQuery, cursor: str, rows: int = MORE) -> Piece:
    back = turned(cursor) if cursor else None  # "": the oldest of all
    page = store.captures(replace(query, order="oldest", cursor=back, limit=rows))
    found = list(map(row, page.items, page.places))[::-1]
    return Piece(found, turned(page.last) if page.next and page.last else "", cursor)


def at_share(store: Store, query: CaptureQuery, share: float) -> Piece:
    if share <= 0:
        return older_than(store, query, "", ROWS)._replace(share=0.0)
    if share >= 1:
        return newer_than(store, query, "", ROWS)
    of = span(store, query)
    if of is None:
        return Piece([], "", "", 0.0)
    time_ns = of.time_at(share)
    return older_than(store, query, at(time_ns), ROWS)._replace(share=of.share_of(time_ns))


@routes.get("/captures/rows")
async def rows(
    visitor: Lists,
    runtime: Run,
    q: str = "",
    older: str = "",
    newer: str = "",
    share: Annotated[float | None, Query(ge=0, le=1)] = None,
) -> Response:
    def find() -> Piece:
        query = filter.read(q, CaptureQuery(namespaces=visitor.namespaces))
        if share is not None:
            return at_share(runtime.store, query, share)
        if newer:
            return newer_than(runtime.store, query, newer)
        return older_than(runtime.store, query, older)

    if older and newer:
        raise PageError(422, "The list goes one way.\n\nhint: give older, newer or share alone")
    found = await ask(find)
    said = {
        "rows": drawn(found.rows, q), "newer": found.newer, "older": found.older,
        "share": found.share,
    }  # fmt: skip
    return Response(encode(said), media_type="application/json", headers=HEADERS)
