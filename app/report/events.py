"""Lists the events that requests reported: batches report many at a time.

Called by `app.report.build`, of the store's roll-up.
"""

from collections.abc import Iterable
from itertools import groupby

import msgspec
from msgspec.structs import replace

from app.contract.instant import iso
from app.store import OTHER, EventRow
from app.store.versions import version_number

MOST = 200  # names of one endpoint's events, as many as a store keeps; the others are one line
SHOWN = 20  # of them for people

_Endpoint = tuple[str, str, str, str]


class EventLine(msgspec.Struct, kw_only=True):
    """Events of one name, "" without one; OTHER are the rarer ones together. `names`: how many."""

    profile: str
    host: str
    method: str
    endpoint: str
    event: str
    names: int
    count: int
    versions: list[str]
    first_seen: str
    last_seen: str


def event_lines(rows: Iterable[EventRow]) -> list[EventLine]:
    """By endpoint, the most frequent first."""
    found: dict[_Endpoint, dict[str, list[EventRow]]] = {}
    for row in rows:
        endpoint = (row.profile, row.host, row.method, row.route)
        found.setdefault(endpoint, {}).setdefault(row.name, []).append(row)
    return [line for endpoint, names in found.items() for line in _lines(endpoint, names)]


def shown(lines: Iterable[EventLine]) -> Iterable[EventLine]:
    """The same for people: the most frequent of each endpoint, and the others together."""
    for _, of in groupby(lines, lambda e: (e.profile, e.host, e.method, e.endpoint)):
        most = [*of]
        yield from most[:SHOWN]
        if rest := most[SHOWN:]:
            yield replace(
                rest[0],
                event=OTHER,
                names=sum(line.names for line in rest),
                count=sum(line.count for line in rest),
                versions=sorted({v for line in rest for v in line.versions}, key=version_number),
                first_seen=min(line.first_seen for line in rest),
                last_seen=max(line.last_seen for line in rest),
            )


def _lines(endpoint: _Endpoint, names: dict[str, list[EventRow]]) -> Iterable[EventLine]:
    rest = names.pop(OTHER, [])
    most = sorted(names, key=lambda name: (-sum(row.count for row in names[name]), name))
    yield from (_line(endpoint, name, names[name], 1) for name in most[:MOST])
    rest += [row for name in most[MOST:] for row in names[name]]
    if rest:
        yield _line(endpoint, OTHER, rest, len({row.name for row in rest}))


def _line(endpoint: _Endpoint, name: str, rows: list[EventRow], names: int) -> EventLine:
    profile, host, method, route = endpoint
    return EventLine(
        profile=profile,
        host=host,
        method=method,
        endpoint=route,
        event=name,
        names=names,
        count=sum(row.count for row in rows),
        versions=sorted({row.version for row in rows} - {""}, key=version_number),
        first_seen=iso(min(row.first_ns for row in rows)),
        last_seen=iso(max(row.last_ns for row in rows)),
    )
