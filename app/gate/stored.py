"""The behaviour that a store knows of a profile.

All of it comes from roll-ups and inventory, and costs the same at any number of captures. They know
no period: one that is asked for is read of its captures. Pace and examples are always those of the
newest captures.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from app.client.source import Source, captures
from app.contract.classes import SAYS_PERSON, SAYS_PROFILE
from app.contract.instant import instant
from app.contract.record import CaptureRecord, decode
from app.gate.behaviour import (
    SENT_PARTS,
    Behaviour,
    FieldKind,
    FieldSight,
    Sight,
    host_of,
    of_records,
)
from app.gate.contract_file import Endpoint
from app.report.build import EndpointLine, Report
from app.report.coverage import count
from app.store import OTHER, CaptureQuery, FieldRow, Scope
from app.store.classes import ClassWords, class_of
from app.store.inventory import route_of
from app.store.versions import version_number

SAMPLE = 2_000  # captures that pace and examples are taken from, the newest
MOST = 20_000  # captures of a period that are read, the newest


class VersionScope(NamedTuple):
    """A profile's captures: of a version, None for all, and from a time on. An endpoint whose
    requests never name a version belongs to every one; `versioned` are the others."""

    profile: str
    version: str | None = None
    since_ns: int | None = None
    versioned: frozenset[Endpoint] = frozenset()

    def covers(self, key: Endpoint, version: str) -> bool:
        return self.version in (None, version) or (not version and key not in self.versioned)


def behaviour(
    source: Source, report: Report, profile: str, version: str | None, since_ns: int | None = None
) -> Behaviour:
    """`report` is that of the profile and time. Raises what the source raises."""
    rows = source.fields(Scope(profile=profile))
    asked = scope_of(rows, profile, version, since_ns)
    decoders = source.decoders()
    if since_ns is not None:
        words, unread = ClassWords.of_inventory(rows), _Unread()
        found = of_records(_records(source, asked, MOST, unread), decoders, words)
        if unread.older:
            found.notes.append(f"of this time the newest {MOST} captures alone were read")
        note_unsaid(found, unread.unsaid)
        return found
    found = _of_rows(rows, report, asked)
    _add_sample(found, of_records(_records(source, asked, SAMPLE, _Unread()), decoders), asked)
    return found


def scope_of(
    rows: Iterable[FieldRow], profile: str, version: str | None, since_ns: int | None = None
) -> VersionScope:
    """`rows` are the profile's inventory."""
    named = (row for row in rows if row.version not in ("", OTHER))
    return VersionScope(profile, version, since_ns, frozenset(map(_key, named)))


def versions(source: Source) -> dict[str, list[str]]:
    """Profiles of which something was captured, each with its versions by their numbers."""
    found: dict[str, set[str]] = {}
    # What was passed on unread is in the report alone, what its sums have forgotten in the fields.
    named = [(row.profile, row.version) for row in source.fields(Scope())]
    named += [(one.profile, one.version) for one in source.report(Scope()).versions]
    for profile, version in named:
        if profile:
            found.setdefault(profile, set()).add(version)
    return {
        profile: sorted(of - {"", OTHER}, key=lambda v: (version_number(v), v))
        for profile, of in sorted(found.items())
    }


class _Unread(Struct):
    """`older`: captures beyond the limit; `unsaid`: those that may be of the version, and do not
    say so."""

    older: bool = False
    unsaid: int = 0


def _records(
    source: Source, asked: VersionScope, limit: int, unread: _Unread
) -> Iterator[CaptureRecord]:
    """The newest captures of the version, and of what names no version among as many of all."""
    query = CaptureQuery(profile=asked.profile, since_ns=asked.since_ns, version=asked.version)
    yield from _newest(source, query, limit, unread)
    if asked.version is not None:
        for record in _newest(source, replace(query, version=None), limit, unread):
            if record.product_version or record.kind == "log":
                continue
            if asked.covers(key_of(record), ""):
                yield record
            else:
                unread.unsaid += 1


def _newest(
    source: Source, query: CaptureQuery, limit: int, unread: _Unread
) -> Iterator[CaptureRecord]:
    for number, line in enumerate(captures(source, query, limit + 1)):
        if number == limit:
            unread.older = True
            return
        yield decode(line)


def note_unsaid(found: Behaviour, number: int) -> None:
    if number:
        found.notes.append(
            f"{count(number, 'request', 'requests')} named no version, to endpoints where others "
            f"do, and {'was' if number == 1 else 'were'} left out: without --version all are in"
        )


def key_of(record: CaptureRecord) -> Endpoint:
    method = record.request.method if record.request else ""
    return host_of(record.host), method, route_of(record)


def _of_rows(rows: Iterable[FieldRow], report: Report, asked: VersionScope) -> Behaviour:
    found = Behaviour()
    # By how its host is spelled, and by version.
    requests: dict[Endpoint, dict[tuple[str, str], int]] = {}
    carrying: dict[tuple[Endpoint, str], dict[tuple[str, str], int]] = {}
    unsaid: dict[tuple[Endpoint, tuple[str, str]], int] = {}
    for row in rows:
        key, row_of = _key(row), (row.host, row.version)
        if not asked.covers(key, row.version):
            if row.version in ("", OTHER):
                unsaid[key, row_of] = row.requests
            continue
        endpoint = found.endpoint(key)
        found.versions.add(row.version)
        requests.setdefault(key, {})[row_of] = row.requests
        if row.path == OTHER:
            endpoint.unlisted += row.count
            continue
        # What people or the profile say is of the whole field, and would hide a value of another
        # kind: the detectors' word on each kind stays.
        kind = FieldKind(row.type, row.shape, class_of(row.path, row.type, row.shape).id)
        endpoint.kind(row.path, kind).add(row.count, row.first_ns, row.last_ns)
        if row.class_by in (SAYS_PERSON, SAYS_PROFILE):
            endpoint.fields[row.path].said = row.class_
        of = carrying.setdefault((key, row.path), {})
        # One request may hold two kinds under one path, and so count twice.
        of[row_of] = min(row.requests, of.get(row_of, 0) + row.count)
    for key, read in requests.items():
        found.endpoints[key].read = sum(read.values())
    for (key, path), carry in carrying.items():
        found.endpoints[key].fields[path].requests = sum(carry.values())
    named = {one.version for one in report.versions}  # of what was passed on unread, too
    found.versions |= named if asked.version is None else named & {asked.version}
    note_unsaid(found, sum(unsaid.values()))
    _add_counts(found, report, asked)
    for part in report.withheld:
        key = (host_of(part.host), part.method, part.endpoint)
        if part.part in SENT_PARTS and key in found.endpoints:
            found.endpoints[key].partly += part.count
    for line in report.events:
        key = (host_of(line.host), line.method, line.endpoint)
        of_version = any(asked.covers(key, v) for v in line.versions or [""])
        if line.event and key in found.endpoints and of_version:
            sight = found.endpoints[key].events.setdefault(line.event, Sight())
            sight.add(line.count, instant(line.first_seen), instant(line.last_seen))
    return found


def _add_counts(found: Behaviour, report: Report, asked: VersionScope) -> None:
    """Counts by the report, which knows endpoints without fields, too; by fields what belongs to
    one version, which they alone know, and what the roll-ups have forgotten."""
    by_fields = asked.versioned if asked.version is not None else frozenset[Endpoint]()
    counted = set()
    for line in _lines(report):
        key = (host_of(line.host), line.method, line.endpoint)
        if key in by_fields:
            continue
        sight = Sight(line.count, instant(line.first_seen), instant(line.last_seen))
        _count(found, key[0], sight)
        counted.add(key)
        if line.method:
            found.endpoint(key).sight.merge(sight)
        elif line.kind == "message" and key not in found.endpoints:
            found.messages += line.count
    for key, endpoint in found.endpoints.items():
        if not endpoint.sight.count:
            whole = Sight()
            for field in endpoint.fields.values():
                for sight in field.kinds.values():
                    whole.merge(sight)
            endpoint.sight = replace(whole, count=endpoint.read)
            if key not in counted:  # else lines, among the other records of their connections
                _count(found, key[0], endpoint.sight)


def _count(found: Behaviour, host: str, sight: Sight) -> None:
    found.captures += sight.count
    found.hosts.setdefault(host, Sight()).merge(sight)


def _lines(report: Report) -> Iterable[EndpointLine]:
    return chain(
        report.answered, report.delivered, report.passed, report.refused, report.failed
    )  # fmt: skip


def _add_sample(found: Behaviour, sample: Behaviour, asked: VersionScope) -> None:
    """Adds what sums do not know: how long one sender waits, the ids of captures, and requests of
    one version that were not read, to endpoints where some are."""
    for key, endpoint in sample.endpoints.items():
        unread = endpoint.sight.count - endpoint.read
        if unread and asked.version is not None and key in asked.versioned:
            sight = replace(endpoint.sight, count=unread)
            found.endpoint(key).sight.merge(sight)
            _count(found, key[0], sight)
    for host, sight in sample.hosts.items():
        if host in found.hosts:
            found.hosts[host].example = sight.example
    for key, endpoint in sample.endpoints.items():
        if key not in found.endpoints:
            continue
        into = found.endpoints[key]
        into.senders = endpoint.senders
        for path, field in into.fields.items():
            # Of two kinds in one request the sums make two requests.
            lacking = sum(s.count for paths, s in endpoint.alike.items() if path not in paths)
            field.requests = min(field.requests, into.read - lacking)
        into.samples = {paths: sight.example for paths, sight in endpoint.alike.items()}
        into.sight.example = endpoint.sight.example
        for path, field in endpoint.fields.items():
            for kind, sight in field.kinds.items():
                if kind in into.fields.get(path, FieldSight()).kinds:
                    into.fields[path].kinds[kind].example = sight.example
        for name, sight in endpoint.events.items():
            if name in into.events:
                into.events[name].example = sight.example


def _key(row: FieldRow) -> Endpoint:
    return host_of(row.host), row.method, row.route
