"""Derives from records what every store needs, in any format: sizes, senders, facets to search by,
hours and days, and a batch's sums.

`app.ingest.digest` takes the `facts` of each record; a store adds its batch's `Sums` to its own.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from dataclasses import replace as with_
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from msgspec.structs import replace

from app.contract.account import Account
from app.contract.canary.literals import kind
from app.contract.decoding.events import of_record
from app.contract.decoding.read import Content
from app.contract.outcomes import outcome
from app.contract.record import REASONS, Body, CaptureRecord
from app.store import CANARY, MASKED, OTHER, PARTS, EventCount, Facts, Note
from app.store.inventory import Field, content_of, observe, route_of

HOUR = 3_600 * 10**9
DAY = 24 * HOUR
LOGGED = 500  # fields of a body in its line of the request log
EVENTS = 50  # distinct names of one request's events
HERE = "this machine"
_LOOPBACK = ("", "127.0.0.1", "::1", "::ffff:127.0.0.1")
MOST_CALLS = 16  # of a record's, that its endpoint's notes tell
_FEW = 100  # fields of a request whose lines are remembered, to bound memory
_LARGEST = 1 << 46  # bytes or ns of one record are capped here: sums must fit 64 bits


def facts(record: CaptureRecord, decoders: Sequence[str] = ()) -> Facts:
    """Derives a record's facts. `decoders` are its rule's."""
    content = content_of(record, decoders)
    seen = observe(record, decoders, content)
    events = events_of(record, content) if seen else ()
    return Facts(*sizes(record), seen, notes(record), events)


def events_of(record: CaptureRecord, content: Content) -> tuple[EventCount, ...]:
    """Counts the events by name; those beyond EVENTS names as OTHER."""
    found = Counter(event.name for event in of_record(record, content))
    most = found.most_common(EVENTS)
    if more := found.total() - sum(count for _, count in most):
        most.append((OTHER, more))
    return tuple(EventCount(*one) for one in sorted(most))


def notes(record: CaptureRecord) -> tuple[Note, ...]:
    """Lists the parts that were not kept whole, or in which something was masked, and why."""
    found: list[Note] = []
    for part, of in (("request", record.request), ("response", record.response)):
        if of is not None:
            if of.body is not None and (of.body.withheld or of.body.truncated):
                found.append(_note(part, of.body))
            if of.left_out:
                found.append(Note(part, "left_out"))
    if record.message is not None:
        body = record.message.body
        if body.withheld or body.truncated:
            found.append(_note("message", body))
    calls = {(_part(field), MASKED + by) for field, by in record.masked[:MOST_CALLS]}
    found += [Note(part, why) for part, why in sorted(calls)]
    if record.canary is not None:
        ways = {f"{source}, {kind(how) or 'itself'}" for source, _, how in record.canary.found}
        found += [Note(CANARY, why) for why in sorted(ways)[:MOST_CALLS]]
    if record.reason in ("unmaskable", "too_large"):  # nothing but the event was kept
        found.append(Note("record", record.reason))
    return tuple(found)


def _part(field: str) -> str:
    ahead = field.partition(".")[0]
    return ahead if ahead in PARTS else "request"


def _note(part: str, body: Body) -> Note:
    if not body.withheld:
        return Note(part, "cut")
    # A sender may say anything.
    return Note(part, body.withheld if body.withheld in REASONS else OTHER)


def body_fields(facts: Facts) -> dict[str, list[str]]:
    """Returns the paths of the body's fields, with the type and shape of each ("string version"),
    for the request log; the first LOGGED of them. Not to be changed: it is shared."""
    fields = facts.seen.fields if facts.seen else frozenset()
    return (_known_body_fields if len(fields) <= _FEW else _body_fields)(fields)


def _body_fields(fields: frozenset[Field]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path, type, shape in sorted(one for one in fields if one.path.startswith("body")):
        if path in found or len(found) < LOGGED:
            found.setdefault(path, []).append(f"{type} {shape}".rstrip())
    return found


# Most bodies of a product have the same fields: without it a line with a body takes twice the time.
_known_body_fields = lru_cache(maxsize=256)(_body_fields)


def sizes(record: CaptureRecord) -> tuple[int, int]:
    """Bytes sent and received: target and body, without headers; all bytes of a spliced connection.
    A masked target counts in its masked form."""
    if record.kind == "spliced":
        return min(record.sent, _LARGEST), min(record.received, _LARGEST)
    out = in_ = 0
    if record.message:
        if record.message.sender == "client":
            out = record.message.body.size
        else:
            in_ = record.message.body.size
    elif request := record.request:
        query = "".join(chain.from_iterable(request.query))
        out = len(request.path) + len(query) + 2 * len(request.query)
        if request.body:
            out += request.body.size
    if record.response and record.response.body:
        in_ = record.response.body.size
    return min(out, _LARGEST), min(in_, _LARGEST)


def narrowed(record: CaptureRecord) -> CaptureRecord:
    """Removes what the facts and lines already hold (headers, query, bodies, message), and a
    request's per-request values, except number, time and duration. In place."""
    if record.request:
        record.request.query = []
        record.request.headers = []
        record.request.body = None
        record.answer_ns = 0
        record.trace_id = record.span_id = ""
        if record.client:
            record.client = replace(record.client, port=0)
    if record.response:
        record.response.headers = []
        record.response.body = None
    record.message = None
    return record


class Facet(NamedTuple):
    """The fields that captures are searched by, besides their time."""

    kind: str
    profile: str
    host: str
    method: str
    path: str
    route: str
    rule: str
    action: str
    reason: str
    status: int
    version: str
    namespace: str
    pod: str


def facet(record: CaptureRecord) -> Facet:
    request = record.request
    return Facet(
        record.kind, record.profile, record.host, request.method if request else "",
        request.path[:1_024] if request else "", route_of(record), record.rule, record.action,
        record.reason, record.response.status if record.response else 0, record.product_version,
        record.workload.namespace, sender(record),
    )  # fmt: skip


def sender(record: CaptureRecord) -> str:
    """The pod. On a machine without pods the program, else the command that the sidecar runs
    beside, else the address of the client, if that is another machine's."""
    workload = record.workload
    if workload.pod or workload.namespace:
        return workload.pod
    if record.program is not None:
        return record.program.name
    address = record.client.address if record.client else ""
    return workload.container or (HERE if address in _LOOPBACK else address)


@dataclass(slots=True)
class Sum:
    """The sum of some records. `node` and `image` are the last one's."""

    first: int
    last: int
    node: str = ""
    image: str = ""
    count: int = 0
    out: int = 0
    in_: int = 0
    duration: int = 0

    def add(self, time_ns: int, out: int, in_: int, duration: int) -> None:
        self.count += 1
        self.out += out
        self.in_ += in_
        self.duration += duration
        if time_ns < self.first:
            self.first = time_ns
        elif time_ns > self.last:
            self.last = time_ns

    def merge(self, other: "Sum") -> None:
        self.count += other.count
        self.out += other.out
        self.in_ += other.in_
        self.duration += other.duration
        self.first = min(self.first, other.first)
        if other.last >= self.last:
            self.last, self.node, self.image = other.last, other.node, other.image


Route = tuple[str, str, str, str]  # profile, host, method and route of an endpoint


class Traffic(NamedTuple):
    hour: int
    endpoint: Route
    version: str
    rule: str
    kind: str
    action: str
    answered_by: str
    status: int
    reason: str


class Sender(NamedTuple):
    day: int
    endpoint: Route
    version: str
    namespace: str
    pod: str
    outcome: str


class Happened(NamedTuple):
    day: int
    endpoint: Route
    version: str
    name: str


@dataclass(slots=True)
class Observed:
    """The requests of one endpoint and version; those with equal fields are counted together."""

    sum: Sum
    others: int = 0  # number of fields beyond the limits
    alike: dict[frozenset[Field], Sum] = field(default_factory=dict)

    def fields(self) -> dict[Field, Sum]:
        found: dict[Field, Sum] = {}
        for fields, sum in self.alike.items():
            for one in fields:
                add_to(found, one, sum)
        return found


def add_to[K](sums: dict[K, Sum], key: K, sum: Sum) -> None:
    if key not in sums:
        sums[key] = Sum(sum.first, sum.last)
    sums[key].merge(sum)


class Sums:
    """The sums of a batch, for roll-ups and inventory: `add` each record that is new."""

    def __init__(self) -> None:
        # A group's first record, its facts, and the group's sum.
        self._groups: dict[tuple[object, int], tuple[CaptureRecord, Facts, Sum]] = {}

    def add(self, record: CaptureRecord, facts: Facts, group: object) -> None:
        """Records of one `group` may differ only in number, time and size."""
        if record.kind == "log":
            return
        time_ns = record.time_ns
        key = (group, time_ns // HOUR)
        found = self._groups.get(key)
        if found is None:
            of = record.workload
            found = self._groups[key] = (
                record, facts, Sum(time_ns, time_ns, of.node, of.image),
            )  # fmt: skip
        found[2].add(time_ns, facts.out, facts.in_, min(record.duration_ns, _LARGEST))

    def traffic(self) -> dict[Traffic, Sum]:
        found: dict[Traffic, Sum] = {}
        for record, _, sum in self._groups.values():
            reason = record.reason if not record.reason or record.reason in REASONS else OTHER
            key = Traffic(
                sum.first // HOUR, endpoint_of(record), record.product_version, record.rule,
                record.kind, record.action, record.answered_by,
                record.response.status if record.response else 0, reason,
            )  # fmt: skip
            add_to(found, key, sum)
        return found

    def senders(self) -> dict[Sender, Sum]:
        found: dict[Sender, Sum] = {}
        for record, _, sum in self._groups.values():
            who = (record.product_version, record.workload.namespace, sender(record))
            what = outcome(record.kind, record.action, record.answered_by, record.reason)
            add_to(found, Sender(sum.first // DAY, endpoint_of(record), *who, what), sum)
        return found

    def notes(self) -> dict[tuple[Route, Note], Sum]:
        found: dict[tuple[Route, Note], Sum] = {}
        for record, facts, sum in self._groups.values():
            for note in facts.notes:
                add_to(found, (endpoint_of(record), note), sum)
        return found

    def events(self) -> dict[Happened, Sum]:
        found: dict[Happened, Sum] = {}
        for record, facts, sum in self._groups.values():
            for name, number in facts.events:
                key = Happened(sum.first // DAY, endpoint_of(record), record.product_version, name)
                add_to(found, key, with_(sum, count=sum.count * number))
        return found

    def observed(self) -> dict[tuple[Route, str], Observed]:
        """Sums by endpoint and version."""
        found: dict[tuple[Route, str], Observed] = {}
        for record, facts, sum in self._groups.values():
            seen = facts.seen
            if seen is None:
                continue
            key = (endpoint_of(record), record.product_version)
            if key not in found:
                found[key] = Observed(Sum(sum.first, sum.last))
            found[key].sum.merge(sum)
            found[key].others += seen.others * sum.count
            add_to(found[key].alike, seen.fields, sum)
        return found


def endpoint_of(record: CaptureRecord) -> Route:
    method = record.request.method if record.request else ""
    return record.profile, record.host, method, route_of(record)


def grown(before: Account, account: Account) -> Account:
    """Merges two accounts. Numbers only grow: a repeated or late account changes nothing."""
    reasons = before.lost.keys() | account.lost.keys()
    return Account(
        boot=account.boot,
        numbered=max(before.numbered, account.numbered),
        lost={r: max(before.lost.get(r, 0), account.lost.get(r, 0)) for r in reasons},
        ended=before.ended or account.ended,
    )


def missing(account: Account, max_seq: int, count: int) -> tuple[int, dict[str, int]]:
    """Returns how many records of a boot are missing, and why, as in `app.store.BootRow`. `count`
    records up to `max_seq` are stored."""
    reasons = account.lost
    known = sum(reasons.values())
    gone = max(max_seq, account.numbered) - count
    if not account.ended:
        return max(max_seq - count, min(known, gone)), reasons
    return gone, reasons | ({"killed": gone - known} if gone > known else {})
