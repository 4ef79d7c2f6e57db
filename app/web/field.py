"""One field: its history over versions, how many values it had, and a few of them from the newest
captures, masked as they were written.

The examples are read when they are asked for and kept nowhere: they go with the captures.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.api.read import fields_for
from app.contract.record import decode
from app.report.compare import share
from app.store import CaptureQuery, FieldRow, Scope, Store, Term
from app.store.values import values_of
from app.store.versions import version_number
from app.web.content import hidden
from app.web.fields import FieldEntry, entries
from app.web.page import Gets, PageError, ask, render

_READ = 200  # captures that are read for examples, the newest of the endpoint
_EXAMPLES = 10

routes = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class OfVersion:
    """A field in one version; `count` is 0 where it is absent."""

    version: str
    count: int
    requests: int
    kinds: list[str]
    first_ns: int
    last_ns: int

    @property
    def present(self) -> str:
        return share(self.count, self.requests)


@dataclass(frozen=True)
class ValueExample:
    """`id` is a capture that has it, `hidden` says why it does not stand there whole."""

    value: str
    count: int
    id: str
    hidden: str


class Examples(NamedTuple):
    read: int
    found: list[ValueExample]
    more: int


class FieldView(NamedTuple):
    entry: FieldEntry
    versions: list[OfVersion]
    examples: Examples


def by_version(rows: Iterable[FieldRow], path: str) -> list[OfVersion]:
    """The rows are of one endpoint."""
    of: dict[str, list[FieldRow]] = {}
    requests: dict[str, int] = {}
    for row in rows:
        requests[row.version] = row.requests
        of.setdefault(row.version, [])
        if row.path == path:
            of[row.version].append(row)
    return [
        OfVersion(
            version,
            min(requests[version], sum(row.count for row in kinds)),
            requests[version],
            sorted({f"{row.type} {row.shape}".rstrip() for row in kinds}),
            min((row.first_ns for row in kinds), default=0),
            max((row.last_ns for row in kinds), default=0),
        )
        for version, kinds in sorted(of.items(), key=lambda one: (version_number(one[0]), one[0]))
    ]


def examples(
    store: Store,
    entry: FieldEntry,
    namespaces: tuple[str, ...] | None,
    hide: Callable[[str], str] = hidden,
) -> Examples:
    """Raises StoreError."""
    query = CaptureQuery(
        profile=entry.profile,
        terms=tuple(
            Term(name, ":", (value,))
            for name, value in (
                ("host", entry.host), ("method", entry.method), ("route", entry.route)
            )
            if value
        ),
        namespaces=namespaces,
        limit=_READ,
    )  # fmt: skip
    counts: Counter[str] = Counter()
    ids: dict[str, str] = {}
    items = store.captures(query).items
    for line in items:
        record = decode(line)
        for value in {value for path, value in values_of(record) if path == entry.path}:
            counts[value] += 1
            ids.setdefault(value, record.id)
    found = [
        ValueExample(value, count, ids[value], hide(value))
        for value, count in counts.most_common(_EXAMPLES)
    ]
    return Examples(len(items), found, len(counts) - len(found))


@routes.get("/fields/one")
async def field(
    request: Request,
    visitor: Gets,
    runtime: Run,
    profile: str = "",
    host: str = "",
    method: str = "",
    route: str = "",
    field: str = "",
) -> Response:
    wanted = (profile, host, method, route, field)

    def read() -> FieldView:
        rows: Sequence[FieldRow] = [
            row
            for row in fields_for(runtime, visitor.namespaces, Scope(profile=profile))
            if (row.profile, row.host, row.method, row.route) == wanted[:4]
        ]
        sketches = runtime.store.sketches(profile) if visitor.namespaces is None else []
        papers = runtime.papers.of(row.profile for row in rows)
        entry = next((e for e in entries(rows, papers, sketches) if e.key == wanted), None)
        if entry is None:
            raise PageError(
                404,
                f"No field {field[:120]!r} of this endpoint is known."
                "\n\nhint: /fields lists those that were ever sent",
            )
        found = examples(runtime.store, entry, visitor.namespaces)
        return FieldView(entry, by_version(rows, field), found)

    return render(request, "field.html", visitor, found=await ask(read))
