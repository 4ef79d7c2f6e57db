"""Reads the sides of a comparison: what a version, an image or a time sent.

A version's side comes from the inventory and sums, and costs the same at any number of captures.
No sum knows an image, and the inventory no time: such a side reads its newest captures, and says
how many.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from app.contract.classes import TELLING, in_order
from app.contract.instant import instant, iso
from app.contract.record import CaptureRecord, decode
from app.report.compare import Comparison, Endpoint, FieldOf, Measured, Side, compare
from app.report.coverage import count
from app.store import (
    OTHER,
    CaptureQuery,
    Dimension,
    FieldRow,
    Page,
    QueryError,
    Scope,
    SenderRow,
    Term,
    TrafficRow,
    filter,
)
from app.store.classes import ClassWords
from app.store.facts import HOUR, Sum, Sums, facts
from app.store.versions import version_number

MOST = 2_000  # captures of a side that are read, the newest
_LOOKED = 20_000  # captures that are looked at for them
_PAGE = 500
_BY: tuple[Dimension, ...] = ("host", "method", "route", "version")
IMAGE, TIME, VERSION = "image:", "time:", "version:"
_FORMS = "a version, image:IMAGE, or time:SINCE..UNTIL"

Decoders = Callable[[str, str], Sequence[str]]


class Readable(Protocol):
    """The part of a store that sides are read of."""

    def captures(self, query: CaptureQuery) -> Page: ...

    def senders(self, scope: Scope = ...) -> list[SenderRow]: ...

    def traffic(
        self, scope: Scope, by: Sequence[Dimension], hours: int = 0
    ) -> list[TrafficRow]: ...


class Choices(NamedTuple):
    """Versions by their number, and images: they can be compared."""

    versions: list[str]
    images: list[str]


def choices(rows: Iterable[FieldRow], senders: Iterable[SenderRow], profile: str) -> Choices:
    versions = {row.version for row in rows if row.profile == profile} - {"", OTHER}
    images = {row.image for row in senders if row.profile == profile} - {"", OTHER}
    return Choices(sorted(versions, key=lambda v: (version_number(v), v)), sorted(images))


class Reading(NamedTuple):
    """A store, and whom it is read for. `rows` are the inventory; `namespaces` those whose
    captures may be read, None for all: sums know no namespace."""

    store: Readable
    rows: Sequence[FieldRow]
    decoders: Decoders
    namespaces: tuple[str, ...] | None = None

    def compared(self, profile: str, one: str, other: str) -> Comparison:
        """Compares two sides of a profile; "" is a version: the last, and the one before it; for
        the profile the first of which a version is known. Raises as `side`."""
        profile = profile or min(with_versions(self.rows), default="")
        one, other = sides_by_default(choices(self.rows, (), profile), one, other)
        if not one or not other:
            of = repr(profile[:60]) if profile else "any profile"
            raise QueryError(
                f"there are no two versions of {of} to compare"
                f"\n\nhint: name what to compare: {_FORMS}"
            )
        return compare(profile, self.side(profile, one), self.side(profile, other))

    def side(self, profile: str, name: str) -> Side:
        """Raises QueryError for a name that means nothing, StoreError."""
        if name.startswith(TIME):
            return self._time(profile, name)
        if name.startswith(IMAGE):
            return self._image(profile, name)
        return self._version(profile, name)

    def _version(self, profile: str, name: str) -> Side:
        version = name.removeprefix(VERSION)
        fields = _fields(self.rows, profile, version)
        if not fields:
            raise QueryError(
                f"no field of version {version[:60]!r} of {profile[:60]!r} is known"
                f"\n\nhint: `telemock fields` lists those that were seen; or write {_FORMS}"
            )
        return Side(
            name=name, title=version, fields=fields,
            filter=_words(Term("profile", ":", (profile,)), Term("version", ":", (version,))),
            volumes=self._sums(Scope(profile=profile), version),
            note=self._unlisted(profile, version),
        )  # fmt: skip

    def _unlisted(self, profile: str, version: str) -> str:
        number = sum(
            row.count for row in self.rows
            if (row.profile, row.version, row.path) == (profile, version, OTHER)
        )  # fmt: skip
        times = count(number, "time", "times")
        says = f"{times} a field was over the inventory's limit, and is not compared"
        return says if number else ""

    def _time(self, profile: str, name: str) -> Side:
        since, dots, until = name.removeprefix(TIME).partition("..")
        try:
            begin = instant(since) if since else None
            end = instant(until) if until else None
            if not dots or begin == end or (begin and end and end < begin):
                raise ValueError("it has no beginning before its end")
        except ValueError as e:
            raise QueryError(
                f"{name[:80]!r} is not a time: {e}\n\nhint: such as time:7d..1d, or "
                "time:2026-01-01..2026-02-01; either end may be left out"
            ) from None
        query = CaptureQuery(profile=profile, since_ns=begin, until_ns=end)
        taken = self._captures(query, lambda record: True)
        said = [f"since {iso(begin)[:16]}Z"] if begin else []
        said += [f"until {iso(end)[:16]}Z"] if end else []
        volumes = self._sums(Scope(profile=profile, since_ns=begin, until_ns=end))
        hours = "; volume by whole hours" if volumes is not None else ""
        return Side(
            name=name, title=" ".join(said), fields=taken.fields, volumes=volumes,
            filter=filter.write(CaptureQuery(
                terms=(Term("profile", ":", (profile,)),), since_ns=begin, until_ns=end
            )),
            note=taken.note + hours,
        )  # fmt: skip

    def _image(self, profile: str, name: str) -> Side:
        image = name.removeprefix(IMAGE)
        query = CaptureQuery(profile=profile)
        if self.namespaces is None:
            pods = {r.pod for r in self.store.senders(Scope(profile=profile)) if r.image == image}
            if not pods:
                raise QueryError(
                    f"no pod with the image {image[:120]!r} has sent"
                    "\n\nhint: Workloads and `telemock report` list the images"
                )
            if "" not in pods and len(pods) <= filter.VALUES:
                query = CaptureQuery(
                    profile=profile, terms=(Term("pod", ":", tuple(sorted(pods))),)
                )
        taken = self._captures(query, lambda record: record.workload.image == image)
        return Side(
            name=name, title=image, fields=taken.fields, volumes=taken.volumes, note=taken.note,
            filter=_words(Term("profile", ":", (profile,)), Term("image", ":", (image,))),
        )  # fmt: skip

    def _sums(self, scope: Scope, version: str | None = None) -> dict[Endpoint, Measured] | None:
        if self.namespaces is not None:
            return None
        found: dict[Endpoint, Sum] = {}
        for row in self.store.traffic(scope, _BY):
            host, method, route, of = map(str, row.by)
            if version in (None, of):
                sum = found.setdefault((host, method, route), Sum(row.first_ns, row.last_ns))
                sum.merge(Sum(row.first_ns, row.last_ns, count=row.count, out=row.bytes_out))
        return {endpoint: _measured(sum) for endpoint, sum in found.items()}

    def _captures(self, query: CaptureQuery, fits: Callable[[CaptureRecord], bool]) -> "_Taken":
        sums, words = Sums(), ClassWords.of_inventory(self.rows)
        read = looked = 0
        query = msgspec.structs.replace(query, limit=_PAGE, namespaces=self.namespaces)
        more = True
        while more and read < MOST and looked < _LOOKED:
            page = self.store.captures(query)
            for line in page.items:
                record = decode(line)
                if record.kind != "log" and fits(record) and read < MOST:
                    known = facts(record, self.decoders(record.profile, record.rule))
                    read += 1
                    sums.add(record, known, read)
            looked += len(page.items)
            more = page.next is not None
            query = msgspec.structs.replace(query, cursor=page.next)
        of = count(read, "capture", "captures")
        whole = of if not more else f"the newest {of} alone"
        return _Taken(_observed(sums, words), _traffic(sums), f"read of {whole}")


class _Taken(NamedTuple):
    fields: dict[Endpoint, dict[str, FieldOf]]
    volumes: dict[Endpoint, Measured]
    note: str


def _words(*terms: Term) -> str:
    return filter.write(CaptureQuery(terms=terms))


def _fields(
    rows: Iterable[FieldRow], profile: str, version: str
) -> dict[Endpoint, dict[str, FieldOf]]:
    found: dict[Endpoint, dict[str, FieldOf]] = {}
    for row in rows:
        if row.profile == profile and row.version == version and row.path != OTHER:
            _add(
                found.setdefault((row.host, row.method, row.route), {}),
                row.path, row.type, row.shape, row.class_, row.count, row.requests,
            )  # fmt: skip
    return found


def _observed(sums: Sums, words: ClassWords) -> dict[Endpoint, dict[str, FieldOf]]:
    requests: dict[Endpoint, int] = {}
    observed = sums.observed().items()
    for ((_, *endpoint), _), of in observed:
        host, method, route = endpoint
        requests[host, method, route] = requests.get((host, method, route), 0) + of.sum.count
    found: dict[Endpoint, dict[str, FieldOf]] = {}
    for (of_profile, _), of in observed:
        key = of_profile[1:]
        into = found.setdefault(key, {})
        for field, sum in of.fields().items():
            class_ = words.of(of_profile, *field).id
            _add(into, *field, class_, sum.count, requests[key])
    return found


def _add(
    into: dict[str, FieldOf], path: str, type: str, shape: str, class_: str, count: int,
    requests: int,
) -> None:  # fmt: skip
    known = into.get(path, FieldOf())
    into[path] = FieldOf(
        tuple(sorted({*known.types, type})),
        tuple(sorted({*known.shapes, shape} - {""})),
        known.count + count,
        requests,
        tuple(in_order({*known.classes, class_} & TELLING)),
    )


def _traffic(sums: Sums) -> dict[Endpoint, Measured]:
    found: dict[Endpoint, Sum] = {}
    for key, sum in sums.traffic().items():
        _, host, method, route = key.endpoint
        found.setdefault((host, method, route), Sum(sum.first, sum.last)).merge(sum)
    return {endpoint: _measured(sum) for endpoint, sum in found.items()}


def _measured(sum: Sum) -> Measured:
    hours = (sum.last - sum.first) / HOUR
    pace = (sum.count - 1) / hours if sum.count > 2 and hours >= 1 else 0.0
    # Once a week is a pace, too.
    return Measured(
        sum.count, sum.out // sum.count, round(pace, 1) if pace >= 1 else float(f"{pace:.2g}")
    )


def sides_by_default(known: Choices, one: str, other: str) -> tuple[str, str]:
    """The last two versions, where none is named; "" where there are none."""
    return (
        one or (known.versions[-2] if len(known.versions) > 1 else ""),
        other or (known.versions[-1] if known.versions else ""),
    )


def with_versions(rows: Iterable[FieldRow]) -> set[str]:
    """The profiles of which a version is known."""
    return {row.profile for row in rows if row.version not in ("", OTHER)} - {""}
