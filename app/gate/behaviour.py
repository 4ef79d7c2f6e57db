"""The behaviour of a product: what a contract is frozen from and checked against.

Made of records by `Behaviour.add`: of one run, or as they come. `app.gate.stored` makes it of a
store.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from app.contract.record import CaptureRecord, line_of
from app.gate.contract_file import Endpoint
from app.report.sides import Decoders
from app.store import MASKED, Facts, short_id
from app.store.classes import NO_WORDS, ClassWords, class_of
from app.store.facts import endpoint_of, facts, sender
from app.store.inventory import route_of

SENT_PARTS = ("request", "message", "record")
NAMELESS = "(no name)"  # stands for the host of a connection that named none


def host_of(name: str) -> str:
    """A host in the one spelling that contracts have, whichever the client used."""
    return name.lower().rstrip(".") or NAMELESS


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

    def merge(self, other: "Sight") -> None:
        self.add(other.count, other.first_ns, other.last_ns, other.example)


class FieldKind(NamedTuple):
    type: str
    shape: str
    class_: str  # of such values, as the detectors tell it; "" of an object or array


class FieldSight(msgspec.Struct):
    """`requests` that carry it; one that holds two kinds is counted in both of `kinds`. `said` is
    the class that a person or the profile says it has, "" where the detectors alone speak."""

    kinds: dict[FieldKind, Sight] = {}
    requests: int = 0
    said: str = ""


class EndpointSight(msgspec.Struct):
    """`read`: requests whose fields were looked for; `partly`: of them, those of which not all was
    kept, so that a field's absence says nothing. `alike`: the others, by the paths of their fields;
    nothing where only sums are known; `samples` are then ids of some. `events` by name, of those
    that have one; `senders` by what tells them apart."""

    sight: Sight = msgspec.field(default_factory=Sight)
    read: int = 0
    partly: int = 0
    alike: dict[frozenset[str], Sight] = {}
    samples: dict[frozenset[str], str] = {}
    fields: dict[str, FieldSight] = {}
    events: dict[str, Sight] = {}
    senders: dict[tuple[str, ...], Sight] = {}
    unlisted: int = 0  # observations of fields over the inventory's limit

    @property
    def pace(self) -> tuple[int, float]:
        """The number of gaps between two requests of one sender, and their mean in seconds."""
        gaps = sum(one.count - 1 for one in self.senders.values())
        lasted = sum(one.last_ns - one.first_ns for one in self.senders.values())
        return gaps, lasted / gaps / 1e9 if gaps else 0.0

    def kind(self, path: str, kind: FieldKind) -> Sight:
        return self.fields.setdefault(path, FieldSight()).kinds.setdefault(kind, Sight())


class Behaviour(msgspec.Struct):
    """`versions` are those that something named. `notes` are sentences for people: what of it is
    not known."""

    hosts: dict[str, Sight] = {}
    endpoints: dict[Endpoint, EndpointSight] = {}
    captures: int = 0
    versions: set[str] = set()
    messages: int = 0  # of WebSockets
    notes: list[str] = []

    def endpoint(self, key: Endpoint) -> EndpointSight:
        return self.endpoints.setdefault(key, EndpointSight())

    def add(self, record: CaptureRecord, decoders: Decoders, words: ClassWords = NO_WORDS) -> None:
        """Adds any record but a log line, whatever profile its host is of."""
        if record.kind == "log":
            return
        one = Sight(1, record.time_ns, record.time_ns, short_id(record.id))
        host = host_of(record.host)
        self.captures += 1
        self.versions.add(record.product_version)
        self.hosts.setdefault(host, Sight()).merge(one)
        if record.message is not None and not record.message.line:
            self.messages += 1
        if record.request is None and line_of(record) is None:
            return
        # Lines have no method: no contract can plan them.
        method = record.request.method if record.request else ""
        endpoint = self.endpoint((host, method, route_of(record)))
        endpoint.sight.merge(one)
        who = (record.boot, record.workload.namespace, sender(record))
        endpoint.senders.setdefault(who, Sight()).merge(one)
        of = endpoint_of(record)
        for path in _observe(endpoint, facts(record, decoders(record.profile, record.rule)), one):
            if word := words.word(*of, path):
                endpoint.fields[path].said = word.id


def of_records(
    records: Iterable[CaptureRecord], decoders: Decoders, words: ClassWords = NO_WORDS
) -> Behaviour:
    found = Behaviour()
    for record in records:
        found.add(record, decoders, words)
    return found


def _observe(endpoint: EndpointSight, known: Facts, one: Sight) -> frozenset[str]:
    """The paths of the record's fields that have a class."""
    if known.seen is None:
        return frozenset()
    endpoint.read += 1
    endpoint.unlisted += known.seen.others
    paths = frozenset(field.path for field in known.seen.fields)
    if known.seen.others or not _is_whole(known):
        endpoint.partly += 1
    else:
        endpoint.alike.setdefault(paths, Sight()).merge(one)
    for path, type, shape in known.seen.fields:
        endpoint.kind(path, FieldKind(type, shape, class_of(path, type, shape).id)).merge(one)
    for path in paths:
        endpoint.fields[path].requests += 1
    for event in known.events:
        if event.name:
            endpoint.events.setdefault(event.name, Sight()).merge(
                msgspec.structs.replace(one, count=event.number)
            )
    return frozenset(field.path for field in known.seen.fields if class_of(*field).id)


def _is_whole(known: Facts) -> bool:
    return not any(
        note.part in SENT_PARTS and not note.why.startswith(MASKED) for note in known.notes
    )
