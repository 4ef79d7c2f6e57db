"""The difference of two versions of a product: fields, endpoints, hosts, volume; also as Markdown.

It reads the inventory and sums by version, never captures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.api.read import fields_for
from app.escape import inert
from app.report.tables import markdown_table
from app.runtime import Runtime
from app.store import OTHER, Dimension, FieldRow, Scope, TrafficRow
from app.store.facts import HOUR
from app.store.versions import version_number
from app.web.page import HEADERS, Lists, PageError, ask, render
from app.web.show import share

_MOVED = 0.05  # change of the share of requests that carry a field, from which it is told
_HEAD = ("change", "host", "endpoint", "field", "before", "after")
_HEAD_VOLUME = ("host", "endpoint", "requests before", "after", "bytes a request before", "after",
                "requests an hour before", "after")  # fmt: skip

_NONE = "-"
_BY: tuple[Dimension, ...] = ("host", "method", "route", "version")

routes = APIRouter(include_in_schema=False)
_Endpoint = tuple[str, str, str]  # host, method, route


class Difference(NamedTuple):
    """`kind` is added, gone or changed; `what` an endpoint or a field of it."""

    kind: str
    host: str
    endpoint: str
    what: str
    before: str
    after: str


@dataclass(frozen=True)
class Volume:
    """Of one endpoint, before and after. `pace`: requests an hour between the first and the last,
    0.0 where there are too few, or less than an hour, to tell by."""

    host: str
    endpoint: str
    counts: tuple[int, int]
    sizes: tuple[int, int]
    paces: tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    differences: list[Difference]
    volumes: list[Volume]
    same: int  # fields without a difference


def versions_of(rows: Sequence[FieldRow], profile: str) -> list[str]:
    found = {row.version for row in rows if row.profile == profile} - {"", OTHER}
    return sorted(found, key=lambda v: (version_number(v), v))


def compare(
    rows: Sequence[FieldRow], traffic: Sequence[TrafficRow], profile: str, one: str, other: str
) -> Comparison:
    before, after = _fields(rows, profile, one), _fields(rows, profile, other)
    found: list[Difference] = []
    same = 0
    for endpoint in sorted(before.keys() | after.keys()):
        host, method, route = endpoint
        name = f"{method} {route}"
        if endpoint not in before or endpoint not in after:
            kind = "added" if endpoint in after else "gone"
            number = len((after if endpoint in after else before)[endpoint])
            shown = f"{number} field{'s' * (number != 1)}"
            sides = (_NONE, shown) if kind == "added" else (shown, _NONE)
            found.append(Difference(kind, host, name, "(the whole endpoint)", *sides))
            continue
        old, new = before[endpoint], after[endpoint]
        for path in sorted(old.keys() | new.keys()):
            told = list(_of_field(old.get(path), new.get(path)))
            found += [Difference(kind, host, name, path, *sides) for kind, *sides in told]
            same += not told
    return Comparison(found, _volumes(traffic, one, other), same)


@dataclass(frozen=True)
class _Field:
    types: tuple[str, ...]
    shapes: tuple[str, ...]
    count: int
    requests: int

    @property
    def share(self) -> float:
        return min(1.0, self.count / max(1, self.requests))


def _fields(
    rows: Sequence[FieldRow], profile: str, version: str
) -> dict[_Endpoint, dict[str, _Field]]:
    found: dict[_Endpoint, dict[str, _Field]] = {}
    for row in rows:
        if row.profile != profile or row.version != version or row.path == OTHER:
            continue
        of = found.setdefault((row.host, row.method, row.route), {})
        known = of.get(row.path, _Field((), (), 0, 0))
        of[row.path] = _Field(
            tuple(sorted({*known.types, row.type})),
            tuple(sorted({*known.shapes, row.shape} - {""})),
            known.count + row.count,
            row.requests,
        )
    return found


def _of_field(old: _Field | None, new: _Field | None) -> Iterator[tuple[str, str, str]]:
    if old is None or new is None:
        yield ("added", _NONE, _said(new)) if new else ("gone", _said(old), _NONE)
        return
    if old.types != new.types or old.shapes != new.shapes:
        yield "changed", _said(old), _said(new)
    elif abs(old.share - new.share) >= _MOVED:
        yield "changed", _share(old), _share(new)


def _said(field: _Field | None) -> str:
    if field is None:
        return _NONE
    kinds = " or ".join(field.types) + (f" ({', '.join(field.shapes)})" if field.shapes else "")
    return f"{kinds}, {_share(field)}"


def _share(field: _Field) -> str:
    return f"in {share(min(field.count, field.requests), field.requests)} of requests"


def _volumes(rows: Sequence[TrafficRow], one: str, other: str) -> list[Volume]:
    by: dict[_Endpoint, dict[str, TrafficRow]] = {}
    for row in rows:
        host, method, route, version = map(str, row.by)
        by.setdefault((host, method, route), {})[version] = row
    found = []
    for (host, method, route), of in sorted(by.items()):
        sides: Sequence[TrafficRow | None] = (of.get(one), of.get(other))
        if any(sides):
            counts, sizes, paces = zip(*map(_measured, sides), strict=True)
            found.append(Volume(host, f"{method} {route}", counts, sizes, paces))
    return found


def _measured(row: TrafficRow | None) -> tuple[int, int, float]:
    if row is None:
        return 0, 0, 0.0
    hours = (row.last_ns - row.first_ns) / HOUR
    pace = (row.count - 1) / hours if row.count > 2 and hours >= 1 else 0.0
    return row.count, row.bytes_out // row.count, round(pace, 1)


def markdown(profile: str, one: str, other: str, found: Comparison) -> str:
    title = f"## {inert(profile)}: from {inert(one)} to {inert(other)}\n\n"
    told = [(d.kind, d.host, d.endpoint, d.what, d.before, d.after) for d in found.differences]
    parts = [title + (markdown_table(_HEAD, told) if told else "- no field differs\n")]
    if found.volumes:
        volumes = [
            (v.host, v.endpoint, *v.counts, *v.sizes, *(p or _NONE for p in v.paces))
            for v in found.volumes
        ]
        parts.append(markdown_table(_HEAD_VOLUME, volumes))
    return "\n".join([*parts, f"- {found.same} fields are the same\n"])


class _Asked(NamedTuple):
    profile: str
    versions: list[str]
    one: str
    other: str
    found: Comparison | None


def _gather(
    runtime: Runtime, namespaces: tuple[str, ...] | None, given: Mapping[str, str]
) -> _Asked:
    rows = fields_for(runtime, namespaces, Scope())
    known = {row.profile for row in rows if row.version not in ("", OTHER)} - {""}
    profile = given["profile"] or min(known, default="")
    versions = versions_of(rows, profile)
    one = given["one"] or (versions[-2] if len(versions) > 1 else "")
    other = given["other"] or (versions[-1] if versions else "")
    for version in filter(None, (given["one"], given["other"])):
        if version not in versions:
            raise PageError(
                404,
                f"No field of version {version[:60]!r} of {profile[:60]!r} is known."
                "\n\nhint: /versions lists those that were seen",
            )
    if not one or not other:
        return _Asked(profile, versions, one, other, None)
    # Sums know no namespaces.
    traffic = [] if namespaces is not None else runtime.store.traffic(Scope(profile=profile), _BY)
    return _Asked(profile, versions, one, other, compare(rows, traffic, profile, one, other))


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
    return render(
        request, "versions.html", visitor, asked=asked,
        profiles=[(p.id, p.title) for p in runtime.rules.profiles],
    )  # fmt: skip


@routes.get("/versions.md")
async def versions_markdown(
    visitor: Lists, runtime: Run, profile: str = "", one: str = "", other: str = ""
) -> Response:
    given = {"profile": profile, "one": one, "other": other}
    asked = await ask(lambda: _gather(runtime, visitor.namespaces, given))
    if asked.found is None:
        raise PageError(404, "There are no two versions to compare yet.")
    content = markdown(asked.profile, asked.one, asked.other, asked.found)
    return Response(content, media_type="text/plain; charset=utf-8", headers=HEADERS)
