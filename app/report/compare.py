"""Compares two sides of a product: what the other one added, left out and changed.

A side is a version, an image or a time (`app.report.sides` reads it). The page, the API and
`telemock diff` print the same `Comparison`.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from app.contract.classes import title
from app.escape import inert, plain
from app.report.tables import markdown_table, text_table

Endpoint = tuple[str, str, str]  # host, method, route

_MOVED = 5  # change of the share of requests that carry a field, from which it is told, in %
_NONE = "-"
_HEAD = ("change", "host", "endpoint", "field", "before", "after")
_HEAD_VOLUME = ("host", "endpoint", "requests before", "after", "bytes a request before", "after",
                "requests an hour before", "after")  # fmt: skip
WHOLE_HOST, WHOLE_ENDPOINT = "(the whole host)", "(the whole endpoint)"


class FieldOf(msgspec.Struct, frozen=True):
    """A field of one endpoint on one side: present in `count` of `requests`."""

    types: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    count: int = 0
    requests: int = 0
    classes: tuple[str, ...] = ()  # that tell of somebody

    @property
    def share(self) -> float:
        return min(1.0, self.count / max(1, self.requests))


class Measured(msgspec.Struct, frozen=True):
    """`pace`: requests an hour between the first and the last, 0.0 where there are too few, or less
    than an hour, to tell by."""

    count: int = 0
    size: int = 0  # bytes a request
    pace: float = 0.0


class Side(msgspec.Struct, kw_only=True):
    """`name` is as an address has it, `filter` finds its captures. `volumes` None: they are not the
    reader's to see. `note` says what its numbers are of, "" of all there is."""

    name: str
    title: str
    filter: str
    fields: Mapping[Endpoint, Mapping[str, FieldOf]]
    volumes: Mapping[Endpoint, Measured] | None = None
    note: str = ""

    @property
    def endpoints(self) -> set[Endpoint]:
        return {*self.fields, *(self.volumes or ())}


class Difference(msgspec.Struct, frozen=True, order=True):
    """`kind` is added, gone or changed; `what` a field of an endpoint, or that one whole."""

    kind: str
    host: str
    method: str
    route: str
    what: str
    before: str
    after: str

    @property
    def endpoint(self) -> str:
        return f"{self.method} {self.route}".strip()


class Volume(msgspec.Struct, frozen=True):
    host: str
    method: str
    route: str
    before: Measured
    after: Measured

    @property
    def endpoint(self) -> str:
        return f"{self.method} {self.route}".strip()


class Comparison(msgspec.Struct, kw_only=True):
    """`one` and `other` are as they were asked for; `same` counts fields without a difference."""

    profile: str
    one: str
    other: str
    titles: tuple[str, str]
    filters: tuple[str, str]
    notes: list[str]
    differences: list[Difference]
    volumes: list[Volume]
    same: int

    def count(self, kind: str) -> int:
        return sum(one.kind == kind for one in self.differences)


def compare(profile: str, one: Side, other: Side) -> Comparison:
    found = [*_hosts(one, other)]
    same = unknown = 0
    for endpoint in sorted(one.endpoints | other.endpoints):
        old, new = one.fields.get(endpoint, {}), other.fields.get(endpoint, {})
        if endpoint not in one.endpoints or endpoint not in other.endpoints:
            kind = "added" if endpoint in other.endpoints else "gone"
            found.append(_whole(kind, endpoint, WHOLE_ENDPOINT, len(old or new), "field"))
            continue
        if not (old and new):  # nothing was learned of the fields of one side
            unknown += bool(old or new)
            continue
        for path in sorted(old.keys() | new.keys()):
            told = list(_of_field(old.get(path), new.get(path)))
            found += [Difference(kind, *endpoint, path, *sides) for kind, *sides in told]
            same += not told
    return Comparison(
        profile=profile, one=one.name, other=other.name, titles=(one.title, other.title),
        filters=(one.filter, other.filter),
        notes=[
            *(f"{side.title}: {side.note}" for side in (one, other) if side.note),
            *([_unknown(unknown)] if unknown else ()),
        ],
        differences=found, volumes=list(_volumes(one, other)), same=same,
    )  # fmt: skip


def _unknown(endpoints: int) -> str:
    of = "1 endpoint" if endpoints == 1 else f"{endpoints} endpoints"
    return f"the fields of {of} are not compared: one side's are not known"


def _hosts(one: Side, other: Side) -> Iterator[Difference]:
    before, after = ({host for host, *_ in side.endpoints} for side in (one, other))
    for host in sorted(before ^ after):
        kind, side = ("added", other) if host in after else ("gone", one)
        number = sum(endpoint[0] == host for endpoint in side.endpoints)
        yield _whole(kind, (host, "", ""), WHOLE_HOST, number, "endpoint")


def _whole(kind: str, endpoint: Endpoint, what: str, number: int, of: str) -> Difference:
    shown = f"{number} {of}{'s' * (number != 1)}"
    sides = (_NONE, shown) if kind == "added" else (shown, _NONE)
    return Difference(kind, *endpoint, what, *sides)


def _of_field(old: FieldOf | None, new: FieldOf | None) -> Iterator[tuple[str, str, str]]:
    if old is None or new is None:
        yield ("added", _NONE, _said(new)) if new else ("gone", _said(old), _NONE)
        return
    if old.types != new.types or old.shapes != new.shapes:
        yield "changed", _said(old), _said(new)
    elif 100 * abs(old.share - new.share) >= _MOVED:
        yield "changed", f"in {_share(old)} of requests", f"in {_share(new)} of requests"


def _said(field: FieldOf | None) -> str:
    if field is None:
        return _NONE
    kinds = " or ".join(field.types) + (f" ({', '.join(field.shapes)})" if field.shapes else "")
    classes = "".join(f", {title(id)}" for id in field.classes)
    return f"{kinds}{classes}, in {_share(field)} of requests"


def _share(field: FieldOf) -> str:
    return share(min(field.count, field.requests), field.requests)


def share(part: float, whole: float) -> str:
    """A percentage that says 0 % only of nothing and 100 % only of all."""
    if not whole or not part:
        return "0 %"
    found = 100 * part / whole
    if part < whole:
        return "under 1 %" if found < 1 else f"{min(99, found):.0f} %"
    return "100 %"


def _volumes(one: Side, other: Side) -> Iterator[Volume]:
    before, after = one.volumes or {}, other.volumes or {}
    for endpoint in sorted(before.keys() | after.keys()):
        none = Measured()
        yield Volume(*endpoint, before.get(endpoint, none), after.get(endpoint, none))


def summary(found: Comparison) -> str:
    counts = ", ".join(f"{found.count(kind)} {kind}" for kind in ("added", "gone", "changed"))
    same = "1 field is" if found.same == 1 else f"{found.same} fields are"
    return f"{counts}; {same} the same, within {_MOVED:.0f} % of requests"


def text(found: Comparison) -> str:
    """Renders the comparison for a terminal."""
    one, other = (plain(title) for title in found.titles)
    parts = [f"{plain(found.profile)}: from {one} to {other}\n  {summary(found)}\n"]
    parts += [f"  {plain(note, 600)}\n" for note in found.notes]
    if found.differences:
        parts.append("\n" + text_table(_HEAD, _rows(found)))
    if found.volumes:
        parts.append("\n" + text_table(_HEAD_VOLUME, _volume_rows(found)))
    return "".join(parts)


def markdown(found: Comparison) -> str:
    """Renders the comparison for a ticket."""
    one, other = map(inert, found.titles)
    parts = [f"## {inert(found.profile)}: from {one} to {other}\n"]
    parts.append(
        markdown_table(_HEAD, _rows(found))
        if found.differences
        else "- no difference of hosts, endpoints or fields\n"
    )
    if found.volumes:
        parts.append(markdown_table(_HEAD_VOLUME, _volume_rows(found)))
    notes = [summary(found), *found.notes]
    parts.append("".join(f"- {inert(note, 600)}\n" for note in notes))
    return "\n".join(parts)


def _rows(found: Comparison) -> Sequence[Sequence[object]]:
    return [(d.kind, d.host, d.endpoint, d.what, d.before, d.after) for d in found.differences]


def _volume_rows(found: Comparison) -> Sequence[Sequence[object]]:
    return [
        (v.host, v.endpoint, v.before.count, v.after.count, v.before.size, v.after.size,
         v.before.pace or _NONE, v.after.pace or _NONE)
        for v in found.volumes
    ]  # fmt: skip
