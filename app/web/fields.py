"""The data dictionary: every field that a product ever sent, over all its versions; also as CSV.

It reads the inventory, which outlives the captures.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.api.read import fields_for
from app.contract.classes import dpv_of, fides_of, in_order, title, words_of
from app.contract.decoding.tree import THEN
from app.contract.instant import iso
from app.report.classes import FieldClass, class_of_field
from app.report.compare import share
from app.report.kept import masked
from app.report.papers import Paper
from app.report.rows import cell
from app.store import OTHER, FieldRow, Scope, SketchRow
from app.store.versions import version_number
from app.web.page import HEADERS, Lists, Visitor, ask, render, turned
from app.web.show import href

_ROWS = 100
_STRIP = 12  # versions of a field's history
_HEAD = (
    "profile", "host", "method", "endpoint", "field", "place", "decodings", "types", "shapes",
    "class", "class by", "confidence", "DPV", "fideslang", "kept as", "requests", "present",
    "different values", "of values looked at",
    "first version", "last version", "first seen", "last seen",
)  # fmt: skip

_DECODED = re.compile(f"(?:{THEN}[^.\\[{THEN}]+)+")

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
    of_class: FieldClass
    classes: list[str]  # all that its values have had, the gravest first
    how: str  # "" for values that are kept as they came, else mask, token, drop or keep
    count: int
    requests: int
    first_version: str
    last_version: str
    first_ns: int
    last_ns: int
    history: list[VersionShare]
    values: SketchRow | None = None

    @property
    def place(self) -> str:
        """Query, header, path or body."""
        return self.path.partition(".")[0].partition(THEN)[0].removesuffix("[]")

    @property
    def decodings(self) -> list[str]:
        """Those that lead to the value, in their order."""
        return [step for part in _DECODED.findall(self.path) for step in part.split(THEN)[1:]]

    @property
    def class_title(self) -> str:
        return title(self.of_class.id)

    @property
    def other_classes(self) -> list[str]:
        """Classes that some of its values have, in words."""
        return [title(id) for id in self.classes if id != self.of_class.id]

    @property
    def different(self) -> str:
        """The number of different values, "" if nobody looked."""
        if self.values is None:
            return ""
        number = f"{self.values.distinct:,}"
        return number if self.values.is_exact else f"about {number}"

    @property
    def key(self) -> tuple[str, ...]:
        return self.profile, self.host, self.method, self.route, self.path

    @property
    def url(self) -> str:
        names = ("profile", "host", "method", "route", "field")
        return href("/fields/one", **dict(zip(names, self.key, strict=True)))

    @property
    def present(self) -> str:
        return share(min(self.count, self.requests), self.requests)


def entries(
    rows: Sequence[FieldRow], papers: Sequence[Paper], sketches: Iterable[SketchRow] = ()
) -> list[FieldEntry]:
    looked = {(s.profile, s.host, s.method, s.route, s.path): s for s in sketches}
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
                    of_class=class_of_field(kinds),
                    classes=in_order(row.class_ for row in kinds),
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
                    values=looked.get((*endpoint, path)),
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
        and any(
            sought in part.lower()
            for part in (
                one.path,
                one.host,
                one.route,
                one.how,
                *one.types,
                *one.shapes,
                *words_of(one.classes),
            )
        )
    ]


def as_csv(found: Iterable[FieldEntry]) -> Iterator[str]:
    """Lines whose cells no spreadsheet runs."""
    for values in (_HEAD, *map(_cells, found)):
        line = io.StringIO()
        csv.writer(line).writerow(map(cell, values))
        yield line.getvalue()


def _cells(one: FieldEntry) -> Sequence[object]:
    return (
        one.profile, one.host, one.method, one.route, one.path, one.place,
        " ".join(one.decodings), " ".join(one.types), " ".join(one.shapes),
        one.of_class.id, one.of_class.said, one.of_class.confidence or "",
        dpv_of(one.of_class.id), fides_of(one.of_class.id),
        one.how, one.count, one.present, one.values.distinct if one.values else "",
        one.values.looked if one.values else "", one.first_version,
        one.last_version, iso(one.first_ns), iso(one.last_ns),
    )  # fmt: skip


async def _found(runtime: Run, visitor: Visitor, profile: str, text: str) -> list[FieldEntry]:
    def read() -> list[FieldEntry]:
        rows = fields_for(runtime, visitor.namespaces, Scope())
        # Sketches know no namespaces.
        sketches = runtime.store.sketches() if visitor.namespaces is None else []
        papers = runtime.papers.of(row.profile for row in rows)
        return matching(entries(rows, papers, sketches), profile, text)

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
        profiles=runtime.papers.titles(one.profile for one in found),
    )  # fmt: skip


@routes.get("/fields.csv")
async def fields_csv(visitor: Lists, runtime: Run, profile: str = "", text: str = "") -> Response:
    found = await _found(runtime, visitor, profile, text.strip())
    headers = {**HEADERS, "Content-Disposition": 'attachment; filename="fields.csv"'}
    content = "\ufeff" + "".join(as_csv(found))
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)
