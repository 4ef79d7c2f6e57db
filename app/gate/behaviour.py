"""The behaviour of a product: what a contract is frozen from and checked against.

Made of the rows of a store (any number of captures costs the same), or of records themselves: of a
period, or of one run.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from app.contract.record import CaptureRecord
from app.gate.contract_file import Endpoint
from app.report.sides import Decoders
from app.store import MASKED, Note, short_id
from app.store.facts import facts, sender
from app.store.inventory import CLASSES, route_of

NAMELESS = "(no name)"  # stands for the host of a connection that named none


class Sight(msgspec.Struct):
    """A number of captures. `example` is the id of one, "" where none is known."""

    count: int = 0
    first_ns: int = 0
    last_ns: int = 0
    example: str = ""

    def add(self, count: int, first_ns: int, last_ns: int, example: str = "") -> None:
        self.first_ns = min(self.first_ns, first_ns) if self.count else first_ns
        self.last_ns = max(self.last_ns, last_ns)
        self.count += count
        self.example = self.example or example


class FieldKind(NamedTuple):
    type: str
    shape: str
    class_: str  # "" where it is harmless


class FieldSight(msgspec.Struct):
    """`requests` that carry it; one that holds two kinds is counted in both of `kinds`."""

    kinds: dict[FieldKind, Sight] = {}
    requests: int = 0


class EndpointSight(msgspec.Struct):
    """`read`: requests whose fields were looked for; `partly`: of them, those of which not all was
    kept, so that a field's absence says nothing. `alike`: the others, by the paths of their fields;
    nothing where only sums are known. `gaps` between requests of one sender, which together last
    `gaps_ns`. `events` by name."""

    sight: Sight = msgspec.field(default_factory=Sight)
    read: int = 0
    partly: int = 0
    alike: dict[frozenset[str], Sight] = {}
    fields: dict[str, FieldSight] = {}
    events: dict[str, Sight] = {}
    unlisted: int = 0  # observations of fields over the inventory's limit
    gaps: int = 0
    gaps_ns: int = 0


class Behaviour(msgspec.Struct):
    """`notes` are sentences for people: what of it is not known."""

    hosts: dict[str, Sight] = {}
    endpoints: dict[Endpoint, EndpointSight] = {}
    captures: int = 0
    notes: list[str] = []


def of_records(records: Iterable[CaptureRecord], decoders: Decoders) -> Behaviour:
    """Of all these records but log lines, whatever profile their hosts are of."""
    found = Behaviour()
    paces: dict[Endpoint, dict[tuple[str, ...], Sight]] = {}
    for record in records:
        if record.kind == "log":
            continue
        at, host = record.time_ns, record.host or NAMELESS
        example = short_id(f"{record.boot}-{record.seq}")
        found.captures += 1
        found.hosts.setdefault(host, Sight()).add(1, at, at, example)
        if record.request is None:
            continue
        key = (host, record.request.method, route_of(record))
        endpoint = found.endpoints.setdefault(key, EndpointSight())
        endpoint.sight.add(1, at, at, example)
        who = (record.boot, record.workload.namespace, sender(record))
        paces.setdefault(key, {}).setdefault(who, Sight()).add(1, at, at)
        known = facts(record, decoders(record.profile, record.rule))
        if known.seen is None:
            continue
        endpoint.read += 1
        endpoint.unlisted += known.seen.others
        paths = frozenset(field.path for field in known.seen.fields)
        if known.seen.others or any(map(_is_partly, known.notes)):
            endpoint.partly += 1
        else:
            endpoint.alike.setdefault(paths, Sight()).add(1, at, at, example)
        for path in paths:
            endpoint.fields.setdefault(path, FieldSight()).requests += 1
        for path, type, shape in known.seen.fields:
            kind = FieldKind(type, shape, CLASSES.get(shape, ""))
            endpoint.fields[path].kinds.setdefault(kind, Sight()).add(1, at, at, example)
        for event in known.events:
            endpoint.events.setdefault(event.name, Sight()).add(event.number, at, at, example)
    for key, senders in paces.items():
        for pace in senders.values():
            found.endpoints[key].gaps += pace.count - 1
            found.endpoints[key].gaps_ns += pace.last_ns - pace.first_ns
    return found


def _is_partly(note: Note) -> bool:
    return note.part in ("request", "record") and not note.why.startswith(MASKED)
