"""The data dictionary: every field that a product ever sent, over all its versions; also as CSV.

It reads the inventory, which outlives the captures.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.api.read import fields_for
from app.contract.instant import iso
from app.report.compare import share
from app.report.kept import masked
from app.report.papers import Paper, papers_of
from app.report.rows import cell
from app.store import OTHER, FieldRow, Scope
from app.store.versions import version_number
from app.web.page import HEADERS, Lists, Visitor, ask, render, turned

_ROWS = 100
_STRIP = 12  # versions of a field's history
_HEAD = (
    "profile", "host", "method", "endpoint", "field", "types", "shapes", "kept as", "requests",
    "present", "first version", "last version", "first seen", "last seen",
)  # fmt: skip

routes = APIRouter(include_in_schema=False)


class VersionShare(NamedTuple):
    """One version of a field's history: `level` 0 (absent) to 4 (in every request)."""

    version: str
    says: str
    level: int


@dataclass(frozen=True)
class FieldEntry:
    profile: str
    host: str
    method: str
    route: str
    path: str
    types: list[str]
    shapes: list[str]
    how: str  # "" for values that are kept as they came, else mask, token, drop or keep
    count: int
    requests: int
    first_version: str
    last_version: str
    first_ns: int
    last_ns: int
    history: list[VersionShare]

    @property
    def present(self) -> str:
        return share(min(self.count, self.requests), self.requests)


def entries(rows: Sequence[FieldRow], papers: Sequence[Paper]) -> list[FieldEntry]:
    hows = {(m.profile, m.host, m.method, m.endpoint, m.field): m.how for m in masked(rows, papers)}
    found = []
    ordered = sorted(rows, key=lambda r: (r.profile, r.host, r.route, r.method))
    for endpoint, group in groupby(ordered, lambda r: (r.profile, r.host, r.method, r.route)):
        of_endpoint = list(group)
        requests = {row.version: row.requests for row in of_endpoint}
        versions = sorted(requests, key=lambda v: (version_number(v), v))
        by_path: dict[str, list[FieldRow]] = {}
        for row in of_endpoint:
            if row.path != OTHER:
                by_path.setdefault(row.path, []).append(row)
        for path, kinds in sorted(by_path.items()):
            counts: dict[str, int] = {}
            for row in kinds:
                # One request may hold two types under one path, and so count twice.
                counts[row.version] = min(row.requests, counts.get(row.version, 0) + row.count)
            named = [v for v in versions if v in counts]
            found.append(
                FieldEntry(
                    *endpoint,
                    path,
                    types=sorted({row.type for row in kinds}),
                    shapes=sorted({row.shape for row in kinds} - {""}),
                    how=hows.get((*endpoint, path), ""),
                    count=sum(counts.values()),
                    requests=sum(requests.values()),
                    first_version=named[0],
                    last_version=named[-1],
                    first_ns=min(row.first_ns for row in kinds),
                    last_ns=max(row.last_ns for row in kinds),
                    history=[_presence(v, counts.get(v, 0), requests[v]) for v in versions][
                        -_STRIP:
                    ],
                )
            )
    return found


def _presence(version: str, count: int, requests: int) -> VersionShare:
    level = 0 if not count else 4 if count >= requests else 1 + int(3 * count / requests)
    return VersionShare(version, share(count, requests), level)


def matching(found: Iterable[FieldEntry], profile: str, text: str) -> list[FieldEntry]:
    sought = text.lower()
    return [
        one
        for one in found
        if profile in ("", one.profile)
        and any(sought in part.lower() for part in (one.path, one.host, one.route, one.how))
    ]


def as_csv(found: Iterable[FieldEntry]) -> Iterator[str]:
    """Lines whose cells no spreadsheet runs."""
    for values in (_HEAD, *map(_cells, found)):
        line = io.StringIO()
        csv.writer(line).writerow(map(cell, values))
        yield line.getvalue()


def _cells(one: FieldEntry) -> Sequence[object]:
    return (
        one.profile, one.host, one.method, one.route, one.path, " ".join(one.types),
        " ".join(one.shapes), one.how, one.count, one.present, one.first_version,
        one.last_version, iso(one.first_ns), iso(one.last_ns),
    )  # fmt: skip


async def _found(runtime: Run, visitor: Visitor, profile: str, text: str) -> list[FieldEntry]:
    papers = papers_of(runtime.profiles.written)

    def read() -> list[FieldEntry]:
        rows = fields_for(runtime, visitor.namespaces, Scope())
        return matching(entries(rows, papers), profile, text)

    return await ask(read)


@routes.get("/fields")
async def fields(
    request: Request,
    visitor: Lists,
    runtime: Run,
    profile: str = "",
    text: str = "",
    page: str = "",
) -> Response:
    found = await _found(runtime, visitor, profile, text.strip())
    number, pages = turned(page, len(found), _ROWS)
    return render(
        request, "fields.html", visitor, rows=found[(number - 1) * _ROWS : number * _ROWS],
        count=len(found), profile=profile, text=text, page=number, pages=pages,
        profiles=[(p.id, p.title) for p in runtime.rules.profiles],
    )  # fmt: skip


@routes.get("/fields.csv")
async def fields_csv(visitor: Lists, runtime: Run, profile: str = "", text: str = "") -> Response:
    found = await _found(runtime, visitor, profile, text.strip())
    headers = {**HEADERS, "Content-Disposition": 'attachment; filename="fields.csv"'}
    content = "\ufeff" + "".join(as_csv(found))
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)
