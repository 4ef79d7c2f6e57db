"""Lists the events that requests reported: batches report many at a time.

Called by `app.report.build`, of the store's roll-up.
"""

from collections.abc import Iterable

import msgspec

from app.contract.instant import iso
from app.store import OTHER, EventRow
from app.store.versions import version_number

MOST = 20  # names of one endpoint's events; the others are one line

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
