"""The list of captures, found by the filter language, page by page; and one capture.

The counts beside the list come from roll-ups, so they are of whole hours; the list itself is read
by key: its last page costs what its first one does.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.api.read import may_read
from app.contract.outcomes import WORDS, outcome, word_of
from app.contract.record import CaptureRecord, decode
from app.report.har import har
from app.store import (
    CaptureQuery,
    Dimension,
    Page,
    QueryError,
    Scope,
    Store,
    Term,
    TrafficRow,
    filter,
)
from app.store.cursors import read
from app.web.beside import compared
from app.web.capture import Detail, detail
from app.web.page import HEADERS, Gets, Lists, PageError, Visitor, admit, ask, render
from app.web.show import href

_ROWS = 60
_VALUES = 8  # of a facet that are listed
_BY: tuple[Dimension, ...] = (
    "profile", "host", "version", "method", "kind", "action", "status", "reason", "rule", "route",
    "answered_by",
)  # fmt: skip
# What is listed beside the captures: the filter's name -> the heading.
_FACETS = {
    "outcome": "How it ended",
    "action": "Action",
    "host": "Host",
    "version": "Version",
    "status": "Status",
    "method": "Method",
    "kind": "Kind",
}

routes = APIRouter(include_in_schema=False)


class CaptureLine(NamedTuple):
    record: CaptureRecord
    word: str
    what: str

    @property
    def sender(self) -> str:
        by = self.record.workload
        return f"{by.namespace}/{by.pod}".strip("/") or (
            self.record.client.address if self.record.client else ""
        )


@dataclass(frozen=True)
class Choice:
    """One value of a facet: `url` turns it on or off."""

    label: str
    count: int
    url: str
    on: bool


class Narrowing(NamedTuple):
    title: str
    choices: list[Choice]
    more: int


class Found(NamedTuple):
    rows: list[CaptureLine]
    next: str
    reached: int | None  # the page is not full: the search came back to this time, in ns
    facets: list[Narrowing] | None  # None: the counts are not the visitor's to see
    left_out: list[str]  # names in the filter that the counts do not heed
    stored: int


def row(line: bytes) -> CaptureLine:
    found = decode(line)
    of = outcome(found.kind, found.action, found.answered_by, found.reason)
    return CaptureLine(found, word_of(of) if of else "", what(found))


def what(found: CaptureRecord) -> str:
    if found.log:
        return f"{found.log.level} {found.log.message}"
    if found.message:
        return f"message of the {found.message.sender}, {found.message.body.size} bytes"
    if asked := found.request:
        query = "&".join(f"{name}={value}" for name, value in asked.query)
        return f"{found.host}{asked.path}{f'?{query}' if query else ''}"
    return found.host


def gather(store: Store, query: CaptureQuery) -> Found:
    page = store.captures(query)
    rows = [row(line) for line in page.items]
    scope = Scope(since_ns=query.since_ns, until_ns=query.until_ns)
    left_out = [t.name or "text" for t in query.terms if t.name not in (*_BY, "outcome")]
    return Found(
        rows=rows,
        next=page.next or "",
        reached=_reached(page, query),
        facets=_facets(store.traffic(scope, _BY), query) if query.namespaces is None else None,
        left_out=list(dict.fromkeys(left_out)),
        stored=store.stats().records,
    )


def _reached(page: Page, query: CaptureQuery) -> int | None:
    if page.next is None or len(page.items) == query.limit:
        return None
    if page.places and page.next == f"{query.order}.{page.places[-1]}":
        return None  # records so large that they fill a page
    return read(page.next, query.order)[0]


def _facets(rows: list[TrafficRow], query: CaptureQuery) -> list[Narrowing]:
    terms = [term for term in query.terms if term.name in (*_BY, "outcome")]
    values = [_values(row) for row in rows]
    found = []
    for name, title in _FACETS.items():
        others = [term for term in terms if term.name != name]
        counts: Counter[str] = Counter()
        for row, of in zip(rows, values, strict=True):
            if of[name] and all(_holds(term, of) for term in others):
                counts[str(of[name])] += row.count
        chosen = {v for t in terms if t.name == name and not t.negated for v in t.values}
        if len(counts) < 2 and not chosen:
            continue
        most = counts.most_common()
        shown = most[:_VALUES] + [(v, counts[v]) for v, _ in most[_VALUES:] if v in chosen]
        labels = {str(word): label for word, label in WORDS.items()} if name == "outcome" else {}
        choices = [
            Choice(labels.get(v, v), n, _toggled(query, name, v), v in chosen) for v, n in shown
        ]
        found.append(Narrowing(title, choices, len(counts) - len(choices)))
    return found


def _values(row: TrafficRow) -> dict[str, Any]:
    of: dict[str, Any] = dict(zip(_BY, row.by, strict=True))
    id = outcome(of["kind"], of["action"], of["answered_by"], of["reason"])
    return of | {"outcome": word_of(id) if id else "", "outcome_id": id}


def _holds(term: Term, of: dict[str, Any]) -> bool:
    if term.name == "outcome":
        found = bool({of["outcome"], of["outcome_id"]} & set(term.values))
    else:
        found = filter.fits(term, of)
    return found != term.negated


def _toggled(query: CaptureQuery, name: str, value: str) -> str:
    """The address with this value alone for the name; without it where it stands already."""
    chosen = [t for t in query.terms if t.name == name and not t.negated and t.values == (value,)]
    rest = [t for t in query.terms if t.name != name or t.negated]
    terms = rest if chosen else [*rest, Term(name, ":", (value,))]
    return href(
        "/captures",
        q=filter.write(
            CaptureQuery(terms=tuple(terms), since_ns=query.since_ns, until_ns=query.until_ns)
        ),
    )


@routes.get("/captures")
async def captures(
    request: Request,
    visitor: Lists,
    runtime: Run,
    q: str = "",
    cursor: str = "",
    open: str = "",
    pin: str = "",
) -> Response:
    given: dict[str, Any] = {"q": q, "cursor": cursor, "pin": pin, "names": filter.NAMES}
    try:
        query = filter.read(
            q, CaptureQuery(limit=_ROWS, cursor=cursor or None, namespaces=visitor.namespaces)
        )
    except QueryError as e:
        said, _, hint = str(e).partition("\n\nhint: ")
        return render(
            request, "captures.html", visitor, 422, found=None, detail=None, open="", said=said,
            hint=hint, **given,
        )  # fmt: skip
    found = await ask(lambda: gather(runtime.store, query))
    one = await _opened(request, runtime, open, pin, q=q, cursor=cursor) if open else None
    return render(
        request, "captures.html", visitor, found=found, detail=one, open=open, said="", hint="",
        **given,
    )  # fmt: skip


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
        found = detail(line, runtime.rules, runtime.settings.trace_url)
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
    content = b"".join(har([await _line(runtime, visitor, id)]))
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
