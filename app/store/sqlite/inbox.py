"""Keeps the inbox (`app.store.changes`) as tables.

`InboxTables` belongs to `app.store.sqlite.writer`: it adds a batch's new things in the batch's
transaction, and takes decisions. The functions below it read, for `app.store.sqlite.store`.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from msgspec import structs

from app.store import LIMIT, OTHER, QueryError
from app.store.changes import (
    CHANGES,
    HISTORY,
    OF_PROFILE,
    ChangePage,
    ChangeQuery,
    InboxCounts,
    InboxItem,
    NewReview,
    Objected,
    Review,
    Stale,
    Thing,
)
from app.store.facts import Sum
from app.store.sightings import Batch, refusal, sightings

_CACHE = 20_000

# Step 8 of the schema. What the inventory holds already was never looked at: it becomes the first
# items, as far as they fit.
#
# change    an item; UNIQUE is a `Thing`. Its id is never used again: visitors and links keep it.
# decision  what was decided; the last one's number is the item's revision.
TABLES = """
    CREATE TABLE change (
        id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, profile TEXT NOT NULL,
        host TEXT NOT NULL, method TEXT NOT NULL, route TEXT NOT NULL, name TEXT NOT NULL,
        what TEXT NOT NULL, version TEXT NOT NULL, first_ns INTEGER NOT NULL,
        state TEXT NOT NULL DEFAULT 'open', revision INTEGER NOT NULL DEFAULT 0,
        again INTEGER NOT NULL DEFAULT 0, last_ns INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX change_thing ON change (profile, kind, host, route, name);
    CREATE INDEX change_state ON change (state, again);
    CREATE TABLE decision (
        change_id INTEGER NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL,
        who TEXT NOT NULL, note TEXT NOT NULL, at_ns INTEGER NOT NULL,
        again INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (change_id, number)
    ) WITHOUT ROWID;
    INSERT INTO change(kind, profile, host, method, route, name, what, version, first_ns)
    SELECT kind, profile, host, method, route, name, what, version, first_ns FROM (
        SELECT *, row_number() OVER (PARTITION BY profile ORDER BY rank, first_ns) AS place FROM (
            SELECT 1 AS rank, 'version' AS kind, profile, '' AS host, '' AS method, '' AS route,
                version AS name, '' AS what, version, min(coalesce(first_ns, 0)) AS first_ns
                FROM version LEFT JOIN traffic_total ON version_id=version.id
                WHERE profile<>'' AND version NOT IN ('', '(other)') GROUP BY version.id
            UNION ALL
            SELECT 2, 'host', profile, host, '', '', '', '', '', min(coalesce(first_ns, 0))
                FROM endpoint LEFT JOIN traffic_total ON endpoint_id=endpoint.id
                WHERE host NOT IN ('', '(other)') GROUP BY profile, host
            UNION ALL
            SELECT 3, 'endpoint', profile, host, method, route, '', '', '',
                min(coalesce(first_ns, 0))
                FROM endpoint LEFT JOIN traffic_total ON endpoint_id=endpoint.id
                WHERE method<>'' OR route<>'' GROUP BY endpoint.id
            UNION ALL
            SELECT 4, 'field', endpoint.profile, host, method, route, path,
                rtrim(type || ' ' || shape), version, min(first_ns)
                FROM field JOIN endpoint ON endpoint.id=endpoint_id JOIN seen ON field_id=field.id
                JOIN version ON version.id=version_id GROUP BY field.id
        )
    ) WHERE place<=2000 ORDER BY first_ns, rank LIMIT 10000;
"""

_THING = " AND ".join(f"{name}=?" for name in Thing._fields if name != "what")
_COLUMNS = (
    "SELECT id, kind, profile, host, method, route, name, what, version, first_ns, change.state,"
    " revision, change.again, last_ns, coalesce(who, ''), coalesce(note, ''), coalesce(at_ns, 0)"
    " FROM change LEFT JOIN decision ON change_id=id AND number=revision"
)


class _First(NamedTuple):
    version: str
    first_ns: int
    what: str


class _Followed(NamedTuple):
    id: int
    since_ns: int
    objected: bool


class InboxTables:
    """Not thread-safe. Call `forget` after a roll-back."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._refused: set[Thing] = set()
        self._followed: dict[Thing, _Followed] | None = None
        self._others = -1  # changes by other connections, when `_followed` was read

    def forget(self) -> None:
        self._refused.clear()
        self._followed = None

    def note(self, batch: Batch, new: Collection[Thing]) -> Sequence[Objected]:
        """Adds items for what is `new`, and for refused certificates; counts what is followed."""
        fresh = {*new, *self._new_refusals(batch)}
        followed = self._follow()
        if not fresh and not followed:
            return ()
        first: dict[Thing, _First] = {}
        again: dict[Thing, list[int]] = {}
        for thing, version, sum, what in sightings(batch):
            if thing in fresh:
                seen = first.get(thing)
                if seen is None or sum.first < seen.first_ns:
                    first[thing] = _First(version, sum.first, what)
            if (known := followed.get(thing)) and (count := _since(sum, known.since_ns)):
                total = again.setdefault(thing, [0, 0])
                total[0] += count
                total[1] = max(total[1], sum.last)
        self._add(first)
        self._connection.executemany(
            "UPDATE change SET again=again+?, last_ns=max(last_ns, ?) WHERE id=?",
            ((count, last, followed[thing].id) for thing, (count, last) in again.items()),
        )
        return tuple(
            Objected(thing.kind, thing.profile, count)
            for thing, (count, _) in again.items()
            if followed[thing].objected
        )

    def decide(self, id: int, verdict: NewReview, revision: int | None) -> InboxItem | None:
        before = change(self._connection, id)
        if before is None:
            return None
        if revision is not None and revision != before.revision:
            raise Stale(before)
        self._decide([id], verdict)
        return change(self._connection, id)

    def decide_all(self, query: ChangeQuery, verdict: NewReview) -> int:
        where, values = _where(structs.replace(query, cursor=None))
        sql = f"SELECT id FROM change WHERE change.state='open' AND {where}"  # noqa: S608 - names only
        ids = [id for (id,) in self._connection.execute(sql, values)]
        self._decide(ids, verdict)
        return len(ids)

    def _decide(self, ids: list[int], verdict: NewReview) -> None:
        of = [(id,) for id in ids]
        run = self._connection.executemany
        run(
            "UPDATE decision SET again=change.again FROM change"
            " WHERE change.id=?1 AND change_id=?1 AND number=revision",
            of,
        )
        run(
            "UPDATE change SET state=?, revision=revision+1, again=0, last_ns=0 WHERE id=?",
            ((verdict.state, id) for id in ids),
        )
        run(
            "INSERT INTO decision SELECT id, revision, ?, ?, ?, ?, 0 FROM change WHERE id=?",
            ((verdict.state, verdict.who, verdict.note, verdict.at_ns, id) for id in ids),
        )
        run(
            "DELETE FROM decision WHERE change_id=?1 AND number<="
            "(SELECT revision FROM change WHERE id=?1)-?2",
            ((id, HISTORY) for id in ids),
        )
        self._followed = None

    def _follow(self) -> dict[Thing, _Followed]:
        # Where no app runs, the command line decides: another connection.
        (others,) = self._connection.execute("PRAGMA data_version").fetchone()
        if self._followed is None or others != self._others:
            self._others = others
            rows = self._connection.execute(
                "SELECT kind, profile, host, method, route, name, iif(kind='class', what, ''), id,"
                " at_ns, change.state FROM change JOIN decision ON change_id=id AND number=revision"
                " WHERE change.state IN ('watched', 'objected')"
            )
            self._followed = {
                Thing(*thing): _Followed(id, at_ns, state == "objected")
                for *thing, id, at_ns, state in rows
            }
        return self._followed

    def _new_refusals(self, batch: Batch) -> Iterator[Thing]:
        for sender in batch.senders:
            thing = refusal(sender)
            if thing is None or thing in self._refused:
                continue
            if len(self._refused) >= _CACHE:
                self._refused.clear()
            self._refused.add(thing)
            sql = f"SELECT 1 FROM change WHERE {_THING}"  # noqa: S608 - names above
            if not self._connection.execute(sql, thing[:-1]).fetchone():
                yield thing

    def _add(self, first: dict[Thing, _First]) -> None:
        for profile, things in groupby(sorted(first), lambda thing: thing.profile):
            rows = sorted(
                ((thing, first[thing]) for thing in things), key=lambda row: row[1].first_ns
            )
            room = self._room(profile, len(rows))
            self._connection.executemany(
                "INSERT INTO change(kind, profile, host, method, route, name, what, version,"
                " first_ns) VALUES (?,?,?,?,?,?,?,?,?)",
                (
                    (*thing[:-1], thing.what or seen.what, seen.version, seen.first_ns)
                    for thing, seen in rows[:room]
                ),
            )
            if rest := rows[room:]:
                last = max(seen.first_ns for _, seen in rest)
                self._count_unlisted(profile, len(rest), last)

    def _room(self, profile: str, asked: int) -> int:
        """Makes room for so many items of the profile, as far as that goes; returns how many fit.
        The inventory remembers what an item that goes was about: it does not come back as new."""
        room = 0
        for limit, where, values in (
            (OF_PROFILE, "profile=?", (profile,)), (CHANGES, "1", ()),
        ):  # fmt: skip
            (held,) = self._connection.execute(
                f"SELECT count(*) FROM change WHERE {where}",  # noqa: S608 - from above
                values,
            ).fetchone()
            if (over := held + asked - limit) > 0:
                gone = self._connection.execute(
                    f"DELETE FROM change WHERE id IN (SELECT id FROM change WHERE {where}"  # noqa: S608
                    " AND state='accepted' AND kind<>'unlisted' ORDER BY id LIMIT ?) RETURNING id",
                    (*values, over),
                ).fetchall()
                self._connection.executemany("DELETE FROM decision WHERE change_id=?", gone)
                held -= len(gone)
            asked = room = max(0, min(asked, limit - held))
        return room

    def _count_unlisted(self, profile: str, number: int, last_ns: int) -> None:
        sql = "SELECT id FROM change WHERE kind='unlisted' AND profile=?"
        row = self._connection.execute(sql, (profile,)).fetchone()
        (held,) = self._connection.execute("SELECT count(*) FROM change").fetchone()
        if row is None and held >= CHANGES:  # profiles are without a bound: they share one item
            profile = OTHER
            row = self._connection.execute(sql, (profile,)).fetchone()
        if row is None:
            self._connection.execute(
                "INSERT INTO change(kind, profile, host, method, route, name, what, version,"
                " first_ns) VALUES ('unlisted', ?, '', '', '', '', '', '', ?)",
                (profile, last_ns),
            )
            row = self._connection.execute(sql, (profile,)).fetchone()
        self._connection.execute(
            "UPDATE change SET again=again+?, last_ns=max(last_ns, ?), state='open' WHERE id=?",
            (number, last_ns, *row),
        )


def _since(sum: Sum, at_ns: int) -> int:
    """Records of the sum that are not older; where some are, one that certainly is not."""
    if sum.first >= at_ns:
        return sum.count
    return 1 if sum.last >= at_ns else 0


def changes(connection: sqlite3.Connection, query: ChangeQuery) -> ChangePage:
    if not 1 <= query.limit <= LIMIT:
        raise QueryError(f"limit is {query.limit}\n\nhint: 1 to {LIMIT}")
    where, values = _where(query)
    rows = connection.execute(
        f"{_COLUMNS} WHERE {where} ORDER BY id DESC LIMIT ?", (*values, query.limit + 1)
    )
    found = [_change(row) for row in rows]
    items = found[: query.limit]
    return ChangePage(items, f"changes.{items[-1].id}" if len(found) > len(items) else None)


def change(connection: sqlite3.Connection, id: int) -> InboxItem | None:
    row = connection.execute(f"{_COLUMNS} WHERE id=?", (id,)).fetchone()
    if row is None:
        return None
    found = _change(row)
    rows = connection.execute(
        "SELECT state, who, note, at_ns, again FROM decision WHERE change_id=? ORDER BY number",
        (id,),
    )
    names = Review.__struct_fields__
    found.history = [Review(**dict(zip(names, row, strict=True))) for row in rows]
    if found.history:
        found.history[-1].again = found.again
    return found


def counts(connection: sqlite3.Connection, profile: str | None, after: int) -> InboxCounts:
    rows = connection.execute(
        "SELECT state, count(*), sum(again>0) FROM change WHERE coalesce(?1, profile)=profile"
        " AND id>?2 GROUP BY state",
        (profile, after),
    ).fetchall()
    states = {state: count for state, count, _ in rows}
    again = sum(again for state, _, again in rows if state == "objected")
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name='change'").fetchone()
    return InboxCounts(**states, again=again, last=row[0] if row else 0)


def _where(query: ChangeQuery) -> tuple[str, list[Any]]:
    where, values = ["1"], []
    conditions: tuple[tuple[str, object], ...] = (
        ("change.state=?", query.state), ("kind=?", query.kind), ("profile=?", query.profile),
        ("version=?", query.version), ("id>?", query.after), ("id<=?", query.until),
        ("id<?", None if query.cursor is None else _place(query.cursor)),
        ("instr(lower(profile||' '||host||' '||method||' '||route||' '||name||' '||what||' '"
         "||version), lower(?))", query.text),
    )  # fmt: skip
    for condition, value in conditions:
        if value is not None:
            where.append(condition)
            values.append(value)
    return " AND ".join(where), values


def _place(cursor: str) -> int:
    name, _, place = cursor.partition(".")
    if name != "changes" or not (place.isascii() and place.isdecimal()) or len(place) > 18:
        raise QueryError(
            "the cursor is none of the changes'\n\nhint: `next` of the page before, whole"
        )
    return int(place)


def _change(row: tuple[Any, ...]) -> InboxItem:
    names = InboxItem.__struct_fields__[: len(row)]
    return InboxItem(**dict(zip(names, row, strict=True)))
