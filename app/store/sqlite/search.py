"""Finds the captures of a query, in order. Called by `app.store.sqlite.reader`.

Names are looked up in the facets. Their captures then come from an index by time, facet by facet,
as far as the page reaches: the cost grows with the number of matching facets, not of captures. If
many facets match, the captures that come next may fill the page: see `_near`. No index has the
order of arrival within a facet: see `_arrived`. Where senders put a number of their own into each
path, facets are as many as captures, and no index helps: see `_scan`.
"""

import re
import sqlite3
import time
from contextlib import closing
from typing import Any, NamedTuple

from app.store import LIMIT, OTHER, CaptureQuery, QueryError, Term
from app.store.classes import NO_WORDS, ClassWords
from app.store.cursors import Place as _Place
from app.store.cursors import read as _cursor
from app.store.filter import FROM_RECORDS, ORDERED, TEXT, ended, statuses
from app.store.sqlite.classes import with_class
from app.store.versions import version_key

_NEAR = 20_000  # captures scanned in the order of arrival, before the facets' index is used
_WORTH = 4  # captures scanned for one match: fewer than a fifth match, and the scan gives up
_FEW = 20_000  # facets that are looked at for one page
_NONE = "0"
_STRETCH = 500  # captures scanned between two looks at the clock


class FoundPlaces(NamedTuple):
    """The places of the page's captures and of one more, if there are so many. `reached`: the
    search came only so far, and captures beyond it may fit."""

    found: list[_Place]
    reached: _Place | None = None


def search(
    connection: sqlite3.Connection, query: CaptureQuery, until: float, words: ClassWords = NO_WORDS
) -> FoundPlaces:
    """Ends about `until` (monotonic) where no index helps. Of `class` it finds the captures of the
    endpoints that have it. Raises QueryError."""
    if not 1 <= query.limit <= LIMIT:
        raise QueryError(f"limit is {query.limit}, expected 1 to {LIMIT}")
    behind = None if query.cursor is None else _cursor(query.cursor, query.order)
    facets, names = _facets(connection, query, words)
    if facets == _NONE:
        return FoundPlaces([])
    times, values = _times(query)
    many = bool(facets) and not _are_few(connection, query)
    if query.order == "arrival":
        if many:
            times += " AND id>? ORDER BY id"
            values += (max(behind or (0, 0)),)
            return _scan(connection, "0", times, facets, (*names, *values), query.limit, until)
        if facets:
            times += f" AND facet_id IN (SELECT id FROM facet WHERE {facets})"  # noqa: S608
        index = "capture_facet" if facets else "" if times == "1" else "capture_time"
        given = (*values, *names, query.limit + 1)
        return FoundPlaces(_arrived(connection, max(behind or (0, 0)), times, index, given))
    newest = query.order == "newest"
    down, beyond, at_most, at_least = ("DESC", "<", "<=", ">=") if newest else ("", ">", ">=", "<=")
    if behind is not None:
        times += f" AND time_ns{at_most}? AND (time_ns, id){beyond}(?, ?)"
        values += (behind[0], *behind)
    times += f" ORDER BY time_ns {down}, id {down}"
    if many:
        return _scan(connection, "time_ns", times, facets, (*names, *values), query.limit, until)
    page = f"{times} LIMIT ?"
    places = query.limit + 1
    if not facets:
        rows = connection.execute(
            f"SELECT time_ns, id FROM capture WHERE {page}",  # noqa: S608
            (*values, places),
        )
        return FoundPlaces(rows.fetchall())
    with closing(
        connection.execute(
            "SELECT (SELECT time_ns FROM capture WHERE facet_id=facet.id"  # noqa: S608
            f" AND {page}), id FROM facet WHERE {facets}",
            (*values, 1, *names),
        )
    ) as rows:
        heads = rows.fetchmany(places)
        if len(heads) == places:
            near = _near(connection, page, facets, (*names, *values), places)
            if len(near) == places:
                return FoundPlaces(near)
        heads += rows
    found: list[_Place] = []
    last = i64(-(1 << 64) if newest else 1 << 64)  # last time of the page, once it is full
    for head, facet in sorted((h for h in heads if h[0] is not None), reverse=newest):
        if head != last and (head < last) == newest:
            break  # and so are the remaining heads
        found += connection.execute(
            "SELECT time_ns, id FROM capture WHERE facet_id=?"  # noqa: S608
            f" AND time_ns{at_least}? AND {page}",
            (facet, last, *values, query.limit + 1),
        )
        found.sort(reverse=newest)
        del found[query.limit + 1 :]
        if len(found) > query.limit:
            last = found[-1][0]
    return FoundPlaces(found)


def _are_few(connection: sqlite3.Connection, query: CaptureQuery) -> bool:
    """True if the facets that the filter could be of are few enough to look at each. Those of a pod
    have an index, if the pod's name has a beginning."""
    named = query.workload if query.workload and not query.workload.endswith("/") else None
    pods = tuple(t for t in query.terms if t.name == "pod" and not t.negated and _begins(t))
    where, values = _facets(connection, CaptureQuery(workload=named, terms=pods))
    (count,) = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM facet WHERE {where or 1} LIMIT ?)",  # noqa: S608
        (*values, _FEW + 1),
    ).fetchone()
    return bool(count <= _FEW)


def _begins(term: Term) -> bool:
    return not any(value.startswith("*") for value in term.values)


def _scan(
    connection: sqlite3.Connection, at: str, captures: str, facets: str, values: tuple[Any, ...],
    limit: int, until: float,
) -> FoundPlaces:  # fmt: skip
    """Looks at captures in order, each with its facet, until the page is full or the time over."""
    found: list[_Place] = []
    rows = connection.execute(
        f"SELECT {at}, id, EXISTS (SELECT 1 FROM facet WHERE id=facet_id"  # noqa: S608
        f" AND {facets}) FROM capture WHERE {captures}",
        values,
    )
    with closing(rows):
        for number, (key, id, fits) in enumerate(rows, 1):
            if fits:
                found.append((key, id))
                if len(found) > limit:
                    break
            if number % _STRETCH == 0 and time.monotonic() > until:
                return FoundPlaces(found, (key, id))
    return FoundPlaces(found)


def _near(
    connection: sqlite3.Connection, page: str, facets: str, values: tuple[Any, ...], places: int
) -> list[_Place]:
    """Scans the next captures in order, whatever their facet: if enough match, they are the page.
    Gives up soon if few do."""
    found: list[_Place] = []
    left = places // 2  # captures that may still be scanned
    for time_ns, id, fits in connection.execute(
        "SELECT time_ns, id, EXISTS (SELECT 1 FROM facet WHERE id=facet_id"  # noqa: S608
        f" AND {facets}) FROM capture WHERE {page}",
        (*values, places * (1 + _WORTH)),
    ):
        left -= 1
        if fits:
            found.append((time_ns, id))
            left += _WORTH
        if not left or len(found) == places:
            break
    return found


def _arrived(
    connection: sqlite3.Connection, after: int, fits: str, index: str, values: tuple[Any, ...]
) -> list[_Place]:
    """Scans by id up to _NEAR: enough for frequent matches, and for readers who follow. Beyond it,
    matches are rare or late: sorting all that `index` has of them costs less than a full scan.
    Without an index everything matches."""
    first, last = connection.execute(
        "SELECT (SELECT min(id) FROM capture WHERE id>?), last FROM total", (after,)
    ).fetchone()
    if first is None:
        return []
    by_id = "SELECT 0, id FROM capture {} WHERE id BETWEEN ? AND ? AND {} ORDER BY id LIMIT ?"
    near = first + _NEAR if index else last
    found = connection.execute(by_id.format("NOT INDEXED", fits), (first, near, *values)).fetchall()
    if len(found) == values[-1] or last <= near:
        return found
    return connection.execute(
        by_id.format(f"INDEXED BY {index}", fits), (first, last, *values)
    ).fetchall()


def _times(query: CaptureQuery) -> tuple[str, list[Any]]:
    where, values = "1", []
    for bound, given in ((">=", query.since_ns), ("<", query.until_ns)):
        if given is not None:
            where += f" AND time_ns{bound}?"
            values.append(i64(given))
    return where, values


def _facets(
    connection: sqlite3.Connection, query: CaptureQuery, words: ClassWords = NO_WORDS
) -> tuple[str, list[Any]]:
    """Builds the condition on facets, "" for any, _NONE if none can fit."""
    where: list[str] = []
    values: list[Any] = []

    def also(condition: str, *given: Any) -> None:
        where.append(condition)
        values.extend(given)

    for name in ("kind", "host", "profile", "action", "version", "method"):
        if (value := getattr(query, name)) is not None:
            also(f"{name}=?", value)
    if query.workload is not None:
        namespace, slash, pod = query.workload.rpartition("/")
        if slash:
            also("namespace=?", namespace)
        if pod:
            also("pod=?", pod)
    if query.namespaces is not None:
        also(f"namespace IN ({','.join('?' * len(query.namespaces))})", *query.namespaces)
    if query.status is not None:
        also("status BETWEEN ? AND ?", *statuses(str(query.status)))
    if query.text:
        condition, *given = _like(query.text)
        also(f"({condition})", *given)
    for term in query.terms:
        if term.name not in FROM_RECORDS:
            condition, *given = _condition(term)
            also(f"{'NOT ' * term.negated}({condition})", *given)
        elif term.name == "outcome":
            also(*_ended(connection, term))
        elif term.name == "class" and not term.negated:
            also(*with_class(connection, words, term.values))
    return _NONE if _NONE in where else " AND ".join(where), values


def _ended(connection: sqlite3.Connection, term: Term) -> tuple[Any, ...]:
    """The condition on facets for an outcome. Facets do not know who answered: the roll-up tells
    which of them had such an outcome at all, and among their captures the records decide."""
    known = connection.execute(
        "SELECT DISTINCT kind, action, answered_by, reason FROM traffic_total"
    )
    fits = [row for row in known if ended(term, *row) != term.negated]
    # Log lines have no outcome. Reasons that are not ours are OTHER in the roll-up.
    parts = ["kind='log'"] if term.negated else []
    values: list[str] = []
    for kind, action, reason in sorted(
        {(kind, action, reason) for kind, action, _, reason in fits}
    ):
        parts.append("kind=? AND action=?" + " AND reason=?" * (reason != OTHER))
        values += [kind, action, *([reason] if reason != OTHER else [])]
    return f"({' OR '.join(parts)})" if parts else _NONE, *values


def _condition(term: Term) -> tuple[Any, ...]:
    """A term without its sign: the condition, and its values."""
    if not term.name:
        return _like(term.values[0])
    if term.name == "status":
        low, high = statuses(term.values[0])
        if term.op in ORDERED:
            return f"status{term.op}?", low if term.op in (">=", "<") else high
        pairs = [statuses(value) for value in term.values]
        return " OR ".join(["status BETWEEN ? AND ?"] * len(pairs)), *(n for p in pairs for n in p)
    if term.op in ORDERED:
        known = f"version_key(version)<>'' AND version_key(version){term.op}?"
        return known, version_key(term.values[0])
    # GLOB knows `*` as the grammar does, and gives meaning to two more.
    same = " OR ".join(f"{term.name} GLOB ?" if "*" in v else f"{term.name}=?" for v in term.values)
    return same, *(re.sub(r"[\[?]", r"[\g<0>]", v) if "*" in v else v for v in term.values)


def _like(text: str) -> tuple[str, ...]:
    sought = "%" + re.sub(r"([%_\\])", r"\\\1", text) + "%"
    return " OR ".join(rf"{name} LIKE ? ESCAPE '\'" for name in TEXT), *[sought] * len(TEXT)


def i64(value: int) -> int:
    return max(-(1 << 63), min(value, (1 << 63) - 1))
