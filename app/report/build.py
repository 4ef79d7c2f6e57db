"""Builds the Report of what was sent, by whom, since when; every surface prints this object.

`build` reads the store's roll-ups and inventory, never its captures. Called by the API, the page
and the CLI.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import msgspec

from app.contract.actions import OUTLINED
from app.contract.instant import iso
from app.contract.record import REASONS
from app.report.changes import Change, changes, version_number
from app.report.tables import markdown_table, text_table
from app.store import OTHER, BootRow, EndpointRow, Scope, SenderRow, Store, VersionRow


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


def build(
    store: Store,
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


def text(report: Report) -> str:
    """Renders the report for a terminal."""
    return _render(report, text_table, lambda title: f"{title}\n", "  ")


def markdown(report: Report) -> str:
    return _render(report, markdown_table, lambda title: f"## {title}\n\n", "- ")


class _Section(NamedTuple):
    title: str
    head: str  # comma separated
    rows: list[Sequence[object]]
    empty: str = ""  # text of an empty section; if "", the section is left out


def _sections(report: Report) -> Iterator[_Section]:
    yield _Section(
        "What left",
        "host,endpoint,action,by,status,count,bytes,first seen,last seen",
        [
            (e.host, _what(e), e.action, e.answered_by, " ".join(map(":".join, _statuses(e))),
             e.count, e.bytes_out, e.first_seen, e.last_seen)
            for e in report.endpoints
        ],
        "Nothing was recorded.",
    )  # fmt: skip
    yield _Section(
        "Versions",
        "profile,version,count,first seen,last seen",
        [
            (v.profile, v.version or "-", v.count, v.first_seen, v.last_seen)
            for v in report.versions
        ],
    )
    yield _Section(
        "Fields that a newer version added or left out",
        "profile,endpoint,version,before,change,field,type,shape,in",
        [
            (c.profile, f"{c.method} {c.endpoint}", c.version, c.previous, change, f.path,
             " ".join(f.types), " ".join(f.shapes), f"{f.present:.0%}")
            for c in report.new_fields
            for change, fields in (("new", c.new), ("gone", c.gone))
            for f in fields
        ],
        "No difference between versions was seen.",
    )  # fmt: skip
    yield _Section(
        "Who sent it",
        "namespace,pod,node,profile,versions,count,bytes,last seen",
        [
            (w.namespace, w.pod, w.node, w.profile, " ".join(w.versions), w.count, w.bytes_out,
             w.last_seen)
            for w in report.workloads
        ],
    )  # fmt: skip
    yield _Section(
        "Passed through untouched",
        "host,endpoint,count,bytes out,bytes in,last seen",
        [
            (e.host, _what(e) or "(not opened)", e.count, e.bytes_out, e.bytes_in, e.last_seen)
            for e in report.passed
        ],
        "Nothing was passed through.",
    )
    yield _Section(
        "Clients that refused our certificate",
        "host,count,workloads,why,first seen,last seen",
        [
            (e.host, e.count, e.workloads, REASONS.get(e.reason, e.reason), e.first_seen,
             e.last_seen)
            for e in report.rejected
        ],
    )  # fmt: skip
    yield _Section(
        "Failures",
        "host,endpoint,count,why,last seen",
        [
            (e.host, _what(e), e.count, REASONS.get(e.reason, e.reason), e.last_seen)
            for e in report.failures
        ],
    )
    yield _Section(
        "Records missing, or still on their way",
        "namespace,pod,boot,stored,missing,why,last seen",
        [
            (m.namespace, m.pod, m.boot, m.count, m.missing, why_lost(m.lost), m.last_seen)
            for m in report.missing
        ],
    )
    yield _Section(
        "Records dropped",
        "count,why",
        [(n, REASONS.get(reason, reason)) for reason, n in report.dropped.items()],
    )


def why_lost(lost: Mapping[str, int]) -> str:
    return "; ".join(f"{count}: {REASONS.get(id, id)}" for id, count in lost.items())


def _what(endpoint: EndpointLine) -> str:
    return f"{endpoint.method} {endpoint.endpoint}".strip()


def _statuses(endpoint: EndpointLine) -> list[tuple[str, str]]:
    return [(status, str(count)) for status, count in endpoint.statuses.items()]


def _render(
    report: Report,
    table: Callable[[Sequence[str], Iterable[Sequence[object]]], str],
    title: Callable[[str], str],
    bullet: str,
) -> str:
    parts = []
    for section in _sections(report):
        if section.rows:
            parts.append(title(section.title) + table(section.head.split(","), section.rows))
        elif section.empty:
            parts.append(title(section.title) + bullet + section.empty + "\n")
    if report.unlisted:
        parts.append(f"{bullet}{report.unlisted} times a field was over the inventory's limit\n")
    return "\n".join(parts)


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
