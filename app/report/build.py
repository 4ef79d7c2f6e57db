"""Builds the Report of what was sent, by whom, since when; every surface prints this object.

`build` reads the store's roll-ups and inventory, never its captures. Called by the API, the CLI
and the final report.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Protocol

import msgspec

from app.contract.instant import iso
from app.contract.outcomes import OUTCOMES, WORDS, outcome, word_of
from app.report import kept, ledger
from app.report.changes import Change, changes
from app.report.classes import classed
from app.report.coverage import Coverage, Gap, Witness, judge
from app.report.documented import Declared, declared
from app.report.events import EventLine, event_lines
from app.report.kept import InventoryLine, KnownValue, MaskedField, WithheldPart
from app.report.ledger import ModeLine
from app.report.papers import Paper, PaperOf, named, no_paper
from app.store import (
    OTHER,
    BootRow,
    EndpointRow,
    EventRow,
    FieldRow,
    NoteRow,
    Scope,
    SenderRow,
    VersionRow,
)
from app.store.changes import InboxCounts
from app.store.versions import version_number


class EndpointLine(msgspec.Struct, kw_only=True):
    """`outcome` is an id of `app.contract.outcomes`. Times are ISO 8601, UTC; `mean_ms` until the
    answer's last byte. `bytes_out` is target and body as they are kept, `bytes_in` the answer's
    body; of a spliced connection all bytes."""

    outcome: str
    profile: str
    host: str
    method: str
    endpoint: str
    rule: str
    kind: str
    action: str
    answered_by: str
    reason: str
    statuses: dict[str, int]
    count: int
    bytes_out: int
    bytes_in: int
    mean_ms: float
    first_seen: str
    last_seen: str
    workloads: int


class Version(msgspec.Struct, kw_only=True):
    profile: str
    version: str
    count: int
    first_seen: str
    last_seen: str


class WorkloadLine(msgspec.Struct, kw_only=True):
    """`unseen`: of `count`, those that ended before anything was seen of what was to be sent."""

    namespace: str
    pod: str
    node: str
    image: str
    profile: str
    hosts: list[str]
    versions: list[str]
    count: int
    unseen: int = 0
    bytes_out: int
    first_seen: str
    last_seen: str


class ProfilePart(msgspec.Struct, kw_only=True):
    """One profile: its `paper` as its file is now, None for an unknown one; and what kinds of
    values its fields carry: "type shape" -> fields."""

    profile: str
    paper: Paper | None
    kinds: dict[str, int]


class Missing(msgspec.Struct, kw_only=True):
    """Records of one start of a sidecar that never came, or are still on their way. `lost` counts
    by reason those that are known to be lost: all of them once it has ended."""

    boot: str
    namespace: str
    pod: str
    node: str
    count: int
    missing: int
    lost: dict[str, int] = {}
    last_seen: str


class Report(msgspec.Struct, kw_only=True):
    """`answered`, `delivered`, `passed`, `refused` and `failed` are what became of all that was
    seen: the words of `app.contract.outcomes`. `ledger` is by pod or process. `unlisted` counts
    observations of fields over the inventory's limit. `namespaces` are those that its reader may
    read, None for all."""

    generated_at: str
    since: str | None
    until: str | None
    profile: str | None
    namespaces: list[str] | None = None
    count: int
    coverage: Coverage
    answered: list[EndpointLine]
    delivered: list[EndpointLine]
    passed: list[EndpointLine]
    refused: list[EndpointLine]
    failed: list[EndpointLine]
    profiles: list[ProfilePart]
    modes: list[ModeLine]
    versions: list[Version]
    events: list[EventLine]
    new_fields: list[Change]
    inventory: list[InventoryLine] = []
    documented: list[Declared] = []
    masked: list[MaskedField]
    withheld: list[WithheldPart]
    known_values: list[KnownValue] = []
    workloads: list[WorkloadLine]
    ledger: list[Witness]
    missing: list[Missing]
    dropped: dict[str, int]
    unlisted: int
    inbox: InboxCounts | None = None  # as it is now; None where nobody keeps one


class Rows(Protocol):
    """The source of a report: a store, or the lines of log files (`app.analysis.rows`)."""

    def endpoints(self, scope: Scope) -> list[EndpointRow]: ...

    def versions(self, scope: Scope) -> list[VersionRow]: ...

    def senders(self, scope: Scope) -> list[SenderRow]: ...

    def fields(self, scope: Scope) -> list[FieldRow]: ...

    def notes(self, scope: Scope) -> list[NoteRow]: ...

    def events(self, scope: Scope) -> list[EventRow]: ...

    def boots(self) -> Sequence[BootRow]: ...


class CoveragePart(msgspec.Struct, kw_only=True):
    """The coverage of a period alone, as it stands in its report."""

    coverage: Coverage
    modes: list[ModeLine]
    ledger: list[Witness]


def cover(
    store: Rows, scope: Scope, papers: Iterable[Paper] = (), gaps: Sequence[Gap] = ()
) -> CoveragePart:
    """Raises StoreError."""
    boots = [row for row in store.boots() if _within(row, scope)]
    return _cover(boots, store.senders(scope), papers, gaps, scope)


def _cover(
    boots: Sequence[BootRow],
    senders: Sequence[SenderRow],
    papers: Iterable[Paper],
    gaps: Sequence[Gap],
    scope: Scope,
) -> CoveragePart:
    papers = list(papers)
    watched = ledger.witnesses(boots, senders, _named(senders, papers), time.time_ns())
    if any(name.startswith(".") for paper in papers for name in paper.hosts):
        for one in watched:
            if "own_dns" in one.blind:  # redirected by names
                one.blind = [*one.blind, "suffix_hosts"]
    found = judge(watched, gaps, narrowed=scope != Scope())
    return CoveragePart(coverage=found, modes=ledger.modes(boots), ledger=watched)


def build(
    store: Rows,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    profile: str | None = None,
    dropped: Mapping[str, int] | None = None,
    papers: Sequence[Paper] = (),
    find: PaperOf = no_paper,
    gaps: Sequence[Gap] = (),
    inbox: InboxCounts | None = None,
    namespaces: Sequence[str] | None = None,
) -> Report:
    """Builds the report of a period (by the hour) and profile. `dropped` are the caller's own
    counts by reason, `papers` those of the profiles in use; `find` has those of others that
    captures name, `gaps` are what else it knows to be missing. `namespaces` are those that `store`
    is of, None for all. Raises StoreError."""
    scope = Scope(since_ns=since_ns, until_ns=until_ns, profile=profile)
    rows = store.endpoints(scope)
    versions = store.versions(scope)
    in_use = [paper for paper in papers if profile in (None, paper.profile)]
    fields = store.fields(Scope(profile=profile))
    papers = [
        *in_use,
        *named({r.profile for r in rows} | {f.profile for f in fields}, in_use, find),
    ]
    fields = classed(fields, papers)
    lines = list(map(_endpoint, rows))
    by_word = {w: [one for one in lines if word_of(one.outcome) == w] for w in WORDS}
    senders, notes = store.senders(scope), store.notes(Scope(profile=profile))
    boots = [row for row in store.boots() if _within(row, scope)]
    covered = _cover(boots, senders, in_use, gaps, scope)
    return Report(
        generated_at=iso(time.time_ns()),
        since=None if since_ns is None else iso(since_ns),
        until=None if until_ns is None else iso(until_ns),
        profile=profile,
        namespaces=None if namespaces is None else sorted(namespaces),
        count=sum(row.count for row in rows),
        coverage=covered.coverage,
        **by_word,
        profiles=_profiles(rows, fields, papers),
        modes=covered.modes,
        versions=[_line(Version, row) for row in _by_number(versions)],
        events=event_lines(store.events(scope)),
        new_fields=changes(fields, since_ns=since_ns, until_ns=until_ns),
        inventory=kept.inventory(fields),
        documented=declared(fields, papers),
        masked=kept.masked(fields, papers, notes),
        withheld=kept.withheld(notes),
        known_values=kept.known_values(notes),
        workloads=_workloads(senders),
        ledger=covered.ledger,
        missing=[_line(Missing, row) for row in boots if row.missing],
        dropped=dict(dropped or {}),
        unlisted=sum(row.count for row in fields if row.path == OTHER),
        inbox=inbox,
    )


def _named(rows: Iterable[SenderRow], papers: Iterable[Paper]) -> Callable[[str], bool]:
    """True for hosts of profiles: of those in use, and of those that records name."""
    hosts = {row.host for row in rows if row.profile}
    names = {name for paper in papers for name in paper.hosts}
    suffixes = tuple(name for name in names if name.startswith("."))
    return lambda host: host in hosts or host in names or host.endswith(suffixes)


def _profiles(
    rows: Iterable[EndpointRow], fields: Iterable[FieldRow], papers: Iterable[Paper]
) -> list[ProfilePart]:
    known = {paper.profile: paper for paper in papers}
    kinds: dict[str, Counter[str]] = {}
    seen = {(f.profile, f.host, f.route, f.method, f.path, f.type, f.shape) for f in fields}
    for profile, *_, path, type, shape in sorted(seen):
        if path != OTHER:
            kinds.setdefault(profile, Counter())[f"{type} {shape}".rstrip()] += 1
    names = {row.profile for row in rows} | kinds.keys() | known.keys()
    return [
        ProfilePart(profile=name, paper=known.get(name), kinds=dict(kinds.get(name, {})))
        for name in sorted(names - {""})
    ]


def _line[T: msgspec.Struct](
    type: type[T], row: EndpointRow | VersionRow | BootRow, **given: object
) -> T:
    """Makes a `type` of the row's fields with the same names, and its times."""
    given |= {"first_seen": iso(row.first_ns), "last_seen": iso(row.last_ns)}
    return type(**{n: given[n] if n in given else getattr(row, n) for n in type.__struct_fields__})


def _endpoint(row: EndpointRow) -> EndpointLine:
    return _line(
        EndpointLine,
        row,
        outcome=outcome(row.kind, row.action, row.answered_by, row.reason),
        endpoint=row.route,
        statuses={str(s): n for s, n in sorted(row.statuses.items()) if s},
        mean_ms=round(row.duration_ns / row.count / 1e6, 3),
    )


def _by_number(rows: Iterable[VersionRow]) -> list[VersionRow]:
    return sorted(rows, key=lambda r: (r.profile, version_number(r.version), r.first_ns))


def _workloads(rows: Iterable[SenderRow]) -> list[WorkloadLine]:
    found: dict[tuple[str, str, str], WorkloadLine] = {}
    for row in rows:
        key = (row.namespace, row.pod, row.profile)
        first, last = iso(row.first_ns), iso(row.last_ns)
        unseen = row.count if row.outcome in OUTCOMES and OUTCOMES[row.outcome].unseen else 0
        one = found.get(key)
        if one is None:
            found[key] = WorkloadLine(
                namespace=row.namespace,
                pod=row.pod,
                node=row.node,
                image=row.image,
                profile=row.profile,
                hosts=[row.host],
                versions=[row.version] if row.version else [],
                count=row.count,
                unseen=unseen,
                bytes_out=row.bytes_out,
                first_seen=first,
                last_seen=last,
            )
            continue
        one.node, one.image = max(one.node, row.node), max(one.image, row.image)
        one.hosts.append(row.host)
        one.versions.append(row.version)
        one.count += row.count
        one.unseen += unseen
        one.bytes_out += row.bytes_out
        # ISO times sort as text
        one.first_seen, one.last_seen = min(one.first_seen, first), max(one.last_seen, last)
    number = cache(version_number)
    for one in found.values():
        if len(one.hosts) > 1:  # more than one row
            one.hosts = sorted(set(one.hosts))
            one.versions = sorted(set(one.versions) - {""}, key=number)
    return [one for _, one in sorted(found.items())]


def _within(row: BootRow, scope: Scope) -> bool:
    last_ns = max(row.last_ns, row.heard_ns)
    return (scope.since_ns is None or last_ns >= scope.since_ns) and (
        scope.until_ns is None or row.first_ns < scope.until_ns
    )
