"""Finds the captures of a query, in order. Called by `app.store.sqlite.reader`.

Names are looked up in the facets. Their captures then come from an index by time, facet by facet,
as far as the page reaches: the cost grows with the number of matching facets, not of captures. If
many facets match, the captures that come next may fill the page: see `_near`. No index has the
order of arrival within a facet: see `_arrived`.
"""

import re
import sqlite3
from contextlib import closing
from typing import Any

from app.store import LIMIT, CaptureQuery, QueryError, Term
from app.store.cursors import Place as _Place
from app.store.cursors import read as _cursor
from app.store.filter import FROM_RECORDS, ORDERED, TEXT, statuses
from app.store.versions import version_key

_NEAR = 20_000  # captures scanned in the order of arrival, before the facets' index is used
_WORTH = 4  # captures scanned for one match: fewer than a fifth match, and the scan gives up


def search(connection: sqlite3.Connection, query: CaptureQuery) -> list[_Place]:
    """Returns the places of the page's captures and of one more, if there are so many.

    Raises QueryError.
    """
    if not 1 <= query.limit <= LIMIT:
        raise QueryError(f"limit is {query.limit}, expected 1 to {LIMIT}")
    behind = None if query.cursor is None else _cursor(query.cursor, query.order)
    facets, names = _facets(query)
    times, values = _times(query)
    if query.order == "arrival":
        if facets:
            times += f" AND facet_id IN (SELECT id FROM facet WHERE {facets})"  # noqa: S608
        index = "capture_facet" if facets else "" if times == "1" else "capture_time"
        return _arrived(
            connection, max(behind or (0, 0)), times, index, (*values, *names, query.limit + 1)
        )
    newest = query.order == "newest"
    down, beyond, at_most, at_least = ("DESC", "<", "<=", ">=") if newest else ("", ">", ">=", "<=")
    if behind is not None:
        times += f" AND time_ns{at_most}? AND (time_ns, id){beyond}(?, ?)"
        values += (behind[0], *behind)
    page = f"{times} ORDER BY time_ns {down}, id {down} LIMIT ?"
    if not facets:
        return connection.execute(
            f"SELECT time_ns, id FROM capture WHERE {page}",  # noqa: S608
            (*values, query.limit + 1),
        ).fetchall()
    places = query.limit + 1
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
                return near
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
    return found


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


def _facets(query: CaptureQuery) -> tuple[str, list[Any]]:
    """Builds the condition on facets, "" for any."""
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
    return " AND ".join(where), values


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
