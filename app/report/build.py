"""Builds the Report of what was sent, by whom, since when; every surface prints this object.

`build` reads the store's roll-ups and inventory, never its captures. Called by the API, the page
and the CLI.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Protocol

import msgspec

from app.contract.actions import OUTLINED
from app.contract.instant import iso
from app.report.changes import Change, changes
from app.store import OTHER, BootRow, EndpointRow, FieldRow, Scope, SenderRow, VersionRow
from app.store.versions import version_number


class EndpointLine(msgspec.Struct, kw_only=True):
    """Times are ISO 8601, UTC; `mean_ms` until the answer's last byte. `bytes_out` is target and
    body as they are kept, `bytes_in` the answer's body; of a spliced connection all bytes."""

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
    namespace: str
    pod: str
    node: str
    image: str
    profile: str
    hosts: list[str]
    versions: list[str]
    count: int
    bytes_out: int
    first_seen: str
    last_seen: str


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
    """`endpoints` is what rules took; `passed` went on untouched (spliced connections too),
    `rejected` are clients that refused our certificate, `failures` what broke. `unlisted` counts
    observations of fields over the inventory's limit."""

    generated_at: str
    since: str | None
    until: str | None
    profile: str | None
    count: int
    endpoints: list[EndpointLine]
    versions: list[Version]
    new_fields: list[Change]
    workloads: list[WorkloadLine]
    passed: list[EndpointLine]
    rejected: list[EndpointLine]
    failures: list[EndpointLine]
    missing: list[Missing]
    dropped: dict[str, int]
    unlisted: int


class Rows(Protocol):
    """The source of a report: a store, or the lines of log files (`app.analysis.rows`)."""

    def endpoints(self, scope: Scope) -> list[EndpointRow]: ...

    def versions(self, scope: Scope) -> list[VersionRow]: ...

    def senders(self, scope: Scope) -> list[SenderRow]: ...

    def fields(self, scope: Scope) -> list[FieldRow]: ...

    def boots(self) -> Sequence[BootRow]: ...


def build(
    store: Rows,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    profile: str | None = None,
    dropped: Mapping[str, int] | None = None,
) -> Report:
    """Builds the report of a period (by the hour) and profile. `dropped` are the caller's own
    counts by reason. Raises StoreError."""
    scope = Scope(since_ns=since_ns, until_ns=until_ns, profile=profile)
    rows = store.endpoints(scope)
    versions = store.versions(scope)
    fields = store.fields(Scope(profile=profile))
    lines = {
        part: [_endpoint(row) for row in rows if _part(row) == part]
        for part in ("endpoints", "passed", "rejected", "failures")
    }
    return Report(
        generated_at=iso(time.time_ns()),
        since=None if since_ns is None else iso(since_ns),
        until=None if until_ns is None else iso(until_ns),
        profile=profile,
        count=sum(row.count for row in rows),
        **lines,
        versions=[_line(Version, row) for row in _by_number(versions)],
        new_fields=changes(fields, since_ns=since_ns, until_ns=until_ns),
        workloads=_workloads(store.senders(scope)),
        missing=[
            _line(Missing, row) for row in store.boots() if row.missing and _within(row, scope)
        ],
        dropped=dict(dropped or {}),
        unlisted=sum(row.count for row in fields if row.path == OTHER),
    )


def _part(row: EndpointRow) -> str:
    if row.kind == "tls_rejected":
        return "rejected"
    if row.kind == "failed":
        return "failures"
    return "passed" if row.action in OUTLINED or row.kind == "spliced" else "endpoints"


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
                bytes_out=row.bytes_out,
                first_seen=first,
                last_seen=last,
            )
            continue
        one.node, one.image = max(one.node, row.node), max(one.image, row.image)
        one.hosts.append(row.host)
        one.versions.append(row.version)
        one.count += row.count
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
    return (scope.since_ns is None or row.last_ns >= scope.since_ns) and (
        scope.until_ns is None or row.first_ns < scope.until_ns
    )
