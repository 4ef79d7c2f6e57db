"""Rebuilds a report's rows from lines of the request log, as a store makes them from records.

Called by `app.analysis.summarize`. Bounded however long the log is: the rest shares OTHER, as in
the store. Log files hold requests only: nothing is known of connections, messages and losses.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.contract.decoding.events import MOST, NAME
from app.contract.instant import instant
from app.contract.record import (
    Body,
    CaptureRecord,
    Endpoint,
    Pair,
    Program,
    Request,
    Response,
    Workload,
)
from app.report.kept import WHY
from app.store import (
    OTHER,
    PARTS,
    BootRow,
    EndpointRow,
    EventCount,
    EventRow,
    Facts,
    FieldRow,
    Note,
    NoteRow,
    Scope,
    SenderRow,
    VersionRow,
)
from app.store.classes import class_of
from app.store.facts import Happened, Route, Sender, Sum, Sums, Traffic, add_to, sizes
from app.store.inventory import Field, observe

ENDPOINTS = 1_000  # in one profile
VERSIONS = 500  # in one profile
FIELDS = 2_000  # fields of one endpoint and version
SENDERS = 20_000
EVENTS = 200  # names of one endpoint's events
_BATCH = 1_000  # lines that are summed up at a time
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


@dataclass(slots=True)
class _Seen:
    """The requests of one endpoint and version. `others` counts fields over the limits."""

    sum: Sum
    others: int = 0
    fields: dict[Field, Sum] = field(default_factory=dict)


class LogRows:
    """Answers the questions of `app.report.build`, as a store does."""

    def __init__(self) -> None:
        self._batch, self._waiting = Sums(), 0
        self._traffic: dict[Traffic, Sum] = {}
        self._senders: dict[Sender, Sum] = {}
        self._notes: dict[tuple[Route, Note], Sum] = {}
        self._events: dict[Happened, Sum] = {}
        self._seen: dict[tuple[Route, str], _Seen] = {}
        self._names: set[tuple[str, ...]] = set()
        self._counts: Counter[str] = Counter()

    def add(self, entry: dict[str, Any]) -> bool:
        """Counts one line. False, and nothing is counted, if it is no request line of ours."""
        record = _record(entry)
        if record is None:
            return False
        seen = observe(record)
        if seen:
            seen = seen._replace(fields=seen.fields | set(_body_fields(entry)))
        self.count(record, Facts(*sizes(record), seen, tuple(_notes(entry)), tuple(_events(entry))))
        return True

    def count(self, record: CaptureRecord, facts: Facts) -> None:
        self._batch.add(record, facts, self._waiting)
        self._waiting += 1
        if self._waiting >= _BATCH:
            self._sum_up()

    def endpoints(self, scope: Scope) -> list[EndpointRow]:
        self._sum_up()
        groups: dict[tuple[str, ...], list[tuple[Traffic, Sum]]] = {}
        for key, sum in self._traffic.items():
            profile, host, method, route = key.endpoint
            group = profile, host, route, method, key.rule, key.kind, key.action, key.answered_by
            groups.setdefault((*group, key.reason), []).append((key, sum))
        workloads: dict[Route, set[tuple[str, str]]] = {}
        for one in self._senders:
            workloads.setdefault(one.endpoint, set()).add((one.namespace, one.pod))
        return [_endpoint(rows, workloads) for _, rows in sorted(groups.items())]

    def versions(self, scope: Scope) -> list[VersionRow]:
        self._sum_up()
        found: dict[tuple[str, str], Sum] = {}
        for key, sum in self._traffic.items():
            if key.endpoint[0]:
                add_to(found, (key.endpoint[0], key.version), sum)
        rows = [
            VersionRow(
                profile=profile, version=version, count=sum.count, first_ns=sum.first,
                last_ns=sum.last,
            )
            for (profile, version), sum in found.items()
        ]  # fmt: skip
        return sorted(rows, key=lambda row: (row.profile, row.first_ns))

    def senders(self, scope: Scope) -> list[SenderRow]:
        self._sum_up()
        found: dict[tuple[str, ...], Sum] = {}
        for one, sum in self._senders.items():
            profile, host, *_ = one.endpoint
            key = (one.namespace, one.pod, profile, host, one.version, one.outcome)
            add_to(found, key, sum)
        return [
            SenderRow(
                namespace=namespace, pod=pod, node=sum.node, image=sum.image, profile=profile,
                host=host, version=version, outcome=outcome, count=sum.count, bytes_out=sum.out,
                first_ns=sum.first, last_ns=sum.last,
            )
            for (namespace, pod, profile, host, version, outcome), sum in sorted(
                found.items(), key=_first
            )
        ]  # fmt: skip

    def fields(self, scope: Scope) -> list[FieldRow]:
        self._sum_up()
        rows = []
        for (endpoint, version), seen in self._seen.items():
            names = dict(zip(("profile", "host", "method", "route"), endpoint, strict=True))
            found = [(f, s.count, s.first, s.last) for f, s in seen.fields.items()]
            if seen.others:
                found.append((Field(OTHER, "", ""), seen.others, seen.sum.first, seen.sum.last))
            rows += [
                FieldRow(
                    **names, version=version, **f._asdict(), count=count, requests=seen.sum.count,
                    first_ns=first, last_ns=last, class_=(c := class_of(*f)).id, class_by=c.by,
                    confidence=c.confidence, class_at_ns=0,
                )
                for f, count, first, last in found
            ]  # fmt: skip
        return sorted(rows, key=lambda r: (r.profile, r.host, r.route, r.method, r.version, r.path,
                                           r.type, r.shape))  # fmt: skip

    def notes(self, scope: Scope) -> list[NoteRow]:
        self._sum_up()
        rows = [
            NoteRow(
                **dict(zip(("profile", "host", "method", "route"), endpoint, strict=True)),
                **note._asdict(), count=sum.count, first_ns=sum.first, last_ns=sum.last,
            )
            for (endpoint, note), sum in self._notes.items()
        ]  # fmt: skip
        return sorted(rows, key=lambda r: (r.profile, r.host, r.route, r.method, r.part, r.why))

    def events(self, scope: Scope) -> list[EventRow]:
        self._sum_up()
        rows = [
            EventRow(
                **dict(zip(("profile", "host", "method", "route"), one.endpoint, strict=True)),
                version=one.version, name=one.name, count=sum.count, first_ns=sum.first,
                last_ns=sum.last,
            )
            for one, sum in self._events.items()
        ]  # fmt: skip
        return sorted(rows, key=lambda r: (r.profile, r.host, r.route, r.method, r.version, r.name))

    def boots(self) -> Sequence[BootRow]:
        return ()

    def _sum_up(self) -> None:
        batch, self._batch, self._waiting = self._batch, Sums(), 0
        for traffic, sum in batch.traffic().items():
            route, version = self._bounded(traffic.endpoint, traffic.version)
            add_to(self._traffic, traffic._replace(hour=0, endpoint=route, version=version), sum)
        for sender, sum in batch.senders().items():
            route, version = self._bounded(sender.endpoint, sender.version)
            who = sender._replace(day=0, endpoint=route, version=version)
            if who not in self._senders and len(self._senders) >= SENDERS:
                who = who._replace(namespace=OTHER, pod=OTHER)
            add_to(self._senders, who, sum)
        for (endpoint, note), sum in batch.notes().items():
            add_to(self._notes, (self._bounded(endpoint, "")[0], note), sum)
        for event, sum in batch.events().items():
            route, version = self._bounded(event.endpoint, event.version)
            known = self._is_known((f"event {route}", "", event.name), EVENTS)
            said = Happened(0, route, version, event.name if known else OTHER)
            add_to(self._events, said, sum)
        for (endpoint, of), observed in batch.observed().items():
            key = self._bounded(endpoint, of)
            seen = self._seen.setdefault(key, _Seen(Sum(observed.sum.first, observed.sum.last)))
            seen.sum.merge(observed.sum)
            seen.others += observed.others
            for name, sum in observed.fields().items():
                if name in seen.fields or len(seen.fields) < FIELDS:
                    add_to(seen.fields, name, sum)
                else:
                    seen.others += sum.count

    def _bounded(self, endpoint: Route, version: str) -> tuple[Route, str]:
        profile = endpoint[0]
        if not self._is_known(("endpoint", *endpoint), ENDPOINTS):
            endpoint = (profile, OTHER, "", "")
        known = not version or self._is_known(("version", profile, version), VERSIONS)
        return endpoint, version if known else OTHER

    def _is_known(self, name: tuple[str, ...], most: int) -> bool:
        of = f"{name[0]} {name[1]}"
        if name not in self._names and self._counts[of] < most:
            self._names.add(name)
            self._counts[of] += 1
        return name in self._names


def text(entry: dict[str, Any], name: str, longest: int = 512) -> str:
    value = entry.get(name)
    return value[:longest] if isinstance(value, str) else ""


def _record(entry: dict[str, Any]) -> CaptureRecord | None:
    """Rebuilds what is counted of the record. None if the line is not ours."""
    when, duration = entry.get("timestamp"), entry.get("response_time_ms")
    if not isinstance(when, str) or not _TIME.fullmatch(when):
        return None
    if not isinstance(entry.get("url"), str) or not isinstance(duration, int | float):
        return None
    if not 0 <= duration < 1e12:
        return None
    try:
        time_ns = instant(when)
    except ValueError:  # the 31st of June
        return None
    by = entry.get("workload")
    by = by if isinstance(by, dict) else {}
    status, client = _number(entry, "status"), text(entry, "client")
    size = _number(entry, "request_bytes")
    return CaptureRecord(
        boot="",
        seq=1,
        kind=text(entry, "kind") or "exchange",  # type: ignore[arg-type]
        time_ns=time_ns,
        duration_ns=round(duration * 1e6),
        workload=Workload(
            namespace=text(by, "namespace"),
            pod=text(by, "pod"),
            node=text(by, "node"),
            image=text(by, "image"),
            container=text(by, "container"),
        ),
        profile=text(entry, "profile"),
        rule=text(entry, "rule"),
        route=text(entry, "endpoint"),
        action=text(entry, "action"),  # type: ignore[arg-type]
        answered_by=text(entry, "answered_by"),  # type: ignore[arg-type]
        reason=text(entry, "reason"),
        client=Endpoint(client) if client else None,
        program=_program(entry.get("program")),
        request=Request(
            method=text(entry, "method"),
            host=text(entry, "host"),
            path=text(entry, "path", 1 << 20),
            query=list(_pairs(entry.get("query_params"))),
            headers=list(_pairs(entry.get("headers"))),
            body=Body(size=size) if size else None,
        ),
        response=Response(status=status, body=Body(size=_number(entry, "response_bytes")))
        if status
        else None,
        product_version=text(entry, "product_version"),
    )  # fmt: skip


def _program(said: object) -> Program | None:
    return Program(text(said, "name")) if isinstance(said, dict) else None


def _number(entry: dict[str, Any], name: str) -> int:
    value = entry.get(name)
    return value if type(value) is int and 0 <= value < 1 << 63 else 0


def _pairs(gathered: object) -> Iterable[Pair]:
    if isinstance(gathered, dict):
        for name, value in gathered.items():
            for one in value if isinstance(value, list) else [value]:
                yield name, one if isinstance(one, str) else str(one)


def _body_fields(entry: dict[str, Any]) -> Iterable[Field]:
    for path, kinds in _pairs_of_lists(entry.get("request_fields")):
        for kind in kinds:
            type, _, shape = str(kind).partition(" ")
            yield Field(path, type, shape)


def _events(entry: dict[str, Any]) -> Iterable[EventCount]:
    said = entry.get("request_events")
    for name, count in said.items() if isinstance(said, dict) else ():
        if type(count) is int and 0 < count <= MOST:
            yield EventCount(name[:NAME], count)


def _notes(entry: dict[str, Any]) -> Iterable[Note]:
    said = entry.get("not_kept")
    for one in said if isinstance(said, list) else ():
        known = isinstance(one, list) and [*map(type, one)] == [str, str]
        if known and one[0] in PARTS and one[1] in WHY:
            yield Note(*one)


def _pairs_of_lists(gathered: object) -> Iterable[tuple[str, list[Any]]]:
    if isinstance(gathered, dict):
        yield from ((name, kinds) for name, kinds in gathered.items() if isinstance(kinds, list))


def _first[K](item: tuple[K, Sum]) -> K:
    return item[0]


def _endpoint(
    rows: list[tuple[Traffic, Sum]], workloads: dict[Route, set[tuple[str, str]]]
) -> EndpointRow:
    key, _ = rows[0]
    whole = Sum(rows[0][1].first, rows[0][1].last)
    statuses: Counter[int] = Counter()
    for one, sum in rows:
        whole.merge(sum)
        statuses[one.status] += sum.count
    profile, host, method, route = key.endpoint
    return EndpointRow(
        profile=profile,
        host=host,
        method=method,
        route=route,
        rule=key.rule,
        kind=key.kind,
        action=key.action,
        answered_by=key.answered_by,
        reason=key.reason,
        statuses=dict(statuses),
        count=whole.count,
        bytes_out=whole.out,
        bytes_in=whole.in_,
        duration_ns=whole.duration,
        first_ns=whole.first,
        last_ns=whole.last,
        workloads=len(workloads.get(key.endpoint, ())),
    )
