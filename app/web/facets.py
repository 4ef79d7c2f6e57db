"""The counts beside the list of captures: how many would be left by each value, from roll-ups.

A live list asks for them anew now and then (`facets.js`).
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from fastapi import APIRouter, Response

from app.api.common import Run
from app.contract.outcomes import WORDS
from app.store import CaptureQuery, Scope, Term, TrafficRow, filter
from app.web.page import HEADERS, Lists, ask, part
from app.web.show import href
from app.web.span import COUNTED, DIMENSIONS, holds, values

_VALUES = 8  # of a facet that are listed
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


def unheeded(query: CaptureQuery) -> list[str]:
    """Names in the filter that the counts do not heed."""
    return list(dict.fromkeys(t.name or "text" for t in query.terms if t.name not in COUNTED))


def narrowings(rows: list[TrafficRow], q: str, query: CaptureQuery) -> list[Narrowing]:
    """`query` is what `q` says."""
    terms = [term for term in query.terms if term.name in COUNTED]
    every = [values(DIMENSIONS, row.by) for row in rows]
    found = []
    for name, title in _FACETS.items():
        others = [term for term in terms if term.name != name]
        counts: Counter[str] = Counter()
        for row, of in zip(rows, every, strict=True):
            if of[name] and all(holds(term, of) for term in others):
                counts[str(of[name])] += row.count
        chosen = {v for t in terms if t.name == name and not t.negated for v in t.values}
        if len(counts) < 2 and not chosen:
            continue
        most = counts.most_common()
        shown = most[:_VALUES] + [(v, counts[v]) for v, _ in most[_VALUES:] if v in chosen]
        labels = {str(word): label for word, label in WORDS.items()} if name == "outcome" else {}
        choices = [
            Choice(labels.get(v, v), n, _toggled(q, query, name, v), v in chosen) for v, n in shown
        ]
        found.append(Narrowing(title, choices, len(counts) - len(choices)))
    return found


def _toggled(q: str, query: CaptureQuery, name: str, value: str) -> str:
    """The address with this value alone for the name; without it where it stands already."""
    chosen = [t for t in query.terms if t.name == name and not t.negated and t.values == (value,)]
    rest = [t for t in query.terms if t.name != name or t.negated]
    terms = rest if chosen else [*rest, Term(name, ":", (value,))]
    written = filter.write(CaptureQuery(terms=tuple(terms)))
    return href("/captures", q=f"{written} {filter.times(q)}".strip())


@routes.get("/captures/counts")
async def counts(visitor: Lists, runtime: Run, q: str = "") -> Response:
    def read() -> list[Narrowing] | None:
        query = filter.read(q, CaptureQuery(namespaces=visitor.namespaces))
        left_out.extend(unheeded(query))
        if query.namespaces is not None:
            return None
        scope = Scope(since_ns=query.since_ns, until_ns=query.until_ns)
        return narrowings(runtime.store.traffic(scope, DIMENSIONS), q, query)

    left_out: list[str] = []
    found = await ask(read)
    shown = part("facets.html", facets=found, left_out=left_out)
    return Response(shown, media_type="text/html", headers=HEADERS)
