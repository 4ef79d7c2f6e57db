"""The store's queries in SQL. Called by `app.store.sqlite.store` with a connection of its pool.

Only `captures` and `capture` read captures; the rest reads roll-ups and the inventory. CROSS JOIN
and `+` make SQLite scan a roll-up by its time, not by the index for dropping.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import msgspec

from app.contract.presence import Presence
from app.store import (
    OTHER,
    SHORT_BOOT,
    BootRow,
    CaptureQuery,
    Dimension,
    EndpointRow,
    EventRow,
    FieldRow,
    NoteRow,
    Page,
    QueryError,
    Scope,
    SenderRow,
    TrafficRow,
    VersionRow,
)
from app.store.classes import NO_WORDS, ClassWords
from app.store.cursors import cursor
from app.store.facts import HOUR, missing
from app.store.filter import FROM_RECORDS, matcher
from app.store.sqlite import classes
from app.store.sqlite.accounts import account_of
from app.store.sqlite.kept_lines import KeptLines
from app.store.sqlite.rollup import EVENT, SENDER, TRAFFIC, Rollup
from app.store.sqlite.search import i64, search

_PAGE = 16 << 20  # bytes of records after which a page ends, whatever its limit
# Time for a page that no index can fill: of the first, and of those behind a cursor.
_FIRST_S, _ON_S = 0.08, 2.0
_STRETCH = 500  # captures read whatever the time
_DIMENSIONS = {"profile": "endpoint.profile"}  # columns that two tables have


class Reader:
    """One connection, with its cache of dictionaries and forms."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.lines = KeptLines(connection)
        self.profiles = NO_WORDS.profiles  # the profiles' words on classes
        self.said: ClassWords | None = None  # all words, where the file has none

    def words(self) -> ClassWords:
        return self.said or classes.words(self.connection, self.profiles)

    def captures(self, query: CaptureQuery) -> Page:
        within = tuple(term for term in query.terms if term.name in FROM_RECORDS)
        until = time.monotonic() + (_FIRST_S if query.cursor is None else _ON_S)
        self.connection.execute("BEGIN")  # one snapshot for all steps
        try:
            if not within:
                return self._page(query, until)
            return self._read(query, matcher(within, self.words()), until)
        finally:
            self.connection.execute("ROLLBACK")

    def _read(self, query: CaptureQuery, fits: Callable[[bytes], bool], until: float) -> Page:
        """Reads page after page until one is full, or the time is over, but _STRETCH at least."""
        items: list[bytes] = []
        places: list[str] = []
        size, after, read = query.limit, query.cursor, 0
        while True:
            page = self._page(msgspec.structs.replace(query, cursor=after, limit=size), until)
            for n, (line, place) in enumerate(zip(page.items, page.places, strict=True), 1):
                if not fits(line):
                    continue
                items.append(line)
                places.append(place)
                if len(items) == query.limit and n < len(page.items):
                    last = f"{query.order}.{place}"
                    return Page(items, last, last, places)
            after = page.last
            read += len(page.items)
            # Fewer than were asked for: the search itself ran out of time.
            enough = read >= _STRETCH or len(page.items) < size
            over = enough and time.monotonic() > until
            if page.next is None or len(items) == query.limit or over:
                return Page(items, page.next, page.last, places)
            size = min(2 * size, max(query.limit, _STRETCH))

    def _page(self, query: CaptureQuery, until: float) -> Page:
        by_class = any(term.name == "class" for term in query.terms)
        words = self.words() if by_class else NO_WORDS
        found, reached = search(self.connection, query, until, words)
        more = len(found) > query.limit or reached is not None
        found = found[: query.limit]
        behind = reached or (found[-1] if found else None)
        last = query.cursor if behind is None else cursor(query.order, *behind)
        records, size = [], 0
        for n, (_, id) in enumerate(found):
            records.append(self.lines.of(id))
            size += len(records[-1])
            if size > _PAGE and n + 1 < len(found):
                last, more = cursor(query.order, *found[n]), True
                break
        places = [f"{time_ns}.{id}" for time_ns, id in found[: len(records)]]
        return Page(records, last if more else None, last, places)

    def capture(self, id: str) -> bytes | None:
        boot, _, seq = id.rpartition("-")
        if not (seq.isascii() and seq.isdecimal()) or len(seq) > 18:
            return None
        found = "SELECT dictionary_id, record, seq, time_ns FROM capture WHERE seq=? AND boot_id"
        row = self.connection.execute(
            f"{found}=(SELECT id FROM boot WHERE boot=?)",  # noqa: S608
            (int(seq), boot),
        ).fetchone()
        if row is None and len(boot) >= SHORT_BOOT and boot.isalnum():
            rows = self.connection.execute(
                f"{found} IN (SELECT id FROM boot WHERE boot BETWEEN ? AND ?) LIMIT 2",  # noqa: S608
                (int(seq), boot, f"{boot}\x7f"),
            ).fetchall()
            if len(rows) > 1:
                raise QueryError(
                    f"{id} is the short form of several ids\n\n"
                    "hint: `captures list --json` has them whole; give more before the -"
                )
            row = rows[0] if rows else None
        return self.lines.unpacked(*row) if row else None

    def traffic(self, scope: Scope, by: Sequence[Dimension], hours: int) -> list[TrafficRow]:
        traffic, where, values = _rows_of(TRAFFIC, scope, "endpoint.profile")
        step = "0"
        if hours:
            traffic, step = TRAFFIC.name, f"hour/{int(hours)}*{int(hours)}"
        columns = [step, *(_DIMENSIONS.get(name, name) for name in by)]
        group = ", ".join(map(str, range(1, len(columns) + 1)))
        rows = self.connection.execute(
            f"SELECT {', '.join(columns)}, sum(count), cast(total(bytes_out) AS INTEGER),"  # noqa: S608
            f" min(first_ns), max(last_ns) FROM {traffic}"
            " CROSS JOIN endpoint ON endpoint.id=endpoint_id"
            f" CROSS JOIN version ON version.id=version_id WHERE {where}"
            f" GROUP BY {group} ORDER BY {group}",
            values,
        )
        return [
            TrafficRow(
                at_ns=at * HOUR, by=tuple(names), count=count, bytes_out=out, first_ns=first,
                last_ns=last,
            )
            for at, *names, count, out, first, last in rows
        ]  # fmt: skip

    def endpoints(self, scope: Scope) -> list[EndpointRow]:
        sender, where, values = _rows_of(SENDER, scope, "endpoint.profile")
        senders: dict[int, int] = dict(
            self.connection.execute(
                "SELECT number, count(*) FROM (SELECT DISTINCT +endpoint_id AS number,"  # noqa: S608
                f" namespace, pod FROM {sender} CROSS JOIN endpoint ON endpoint.id=endpoint_id"
                f" WHERE {where}) GROUP BY 1",
                values,
            ).fetchall()
        )
        traffic, where, values = _rows_of(TRAFFIC, scope, "endpoint.profile")
        # total(), because hostile sizes could make sum() overflow.
        rows = self.connection.execute(
            "SELECT endpoint.id, endpoint.profile, host, method, route, rule, kind, action,"  # noqa: S608
            " answered_by, reason, status, sum(count), cast(total(bytes_out) AS INTEGER),"
            " cast(total(bytes_in) AS INTEGER), cast(total(duration_ns) AS INTEGER),"
            " min(first_ns), max(last_ns)"
            f" FROM {traffic} CROSS JOIN endpoint ON endpoint.id=endpoint_id WHERE {where}"
            " GROUP BY 1, rule, kind, action, answered_by, reason, status"
            " ORDER BY endpoint.profile, host, route, method, 1, rule, kind, action, answered_by,"
            " reason",
            values,
        )
        return [_endpoint(key, list(g), senders) for key, g in groupby(rows, lambda r: r[:10])]

    def versions(self, scope: Scope) -> list[VersionRow]:
        traffic, where, values = _rows_of(TRAFFIC, scope, "version.profile")
        rows = self.connection.execute(
            "SELECT version.profile, version, sum(count), min(first_ns), max(last_ns)"  # noqa: S608
            f" FROM {traffic} CROSS JOIN version ON version.id=version_id"
            f" WHERE {where} AND version.profile<>'' GROUP BY 1, 2 ORDER BY 1, 4",
            values,
        )
        return [
            VersionRow(profile=profile, version=version, count=count, first_ns=first, last_ns=last)
            for profile, version, count, first, last in rows
        ]

    def senders(self, scope: Scope) -> list[SenderRow]:
        sender, where, values = _rows_of(SENDER, scope, "endpoint.profile")
        columns, group = "node, image, count, cast(bytes_out AS INTEGER), first_ns, last_ns", ""
        if sender == SENDER.name:  # there may be many days: SQLite sums them fastest
            columns = (
                "max(node), max(image), sum(count), cast(total(bytes_out) AS INTEGER),"
                " min(first_ns), max(last_ns)"
            )
            group = " GROUP BY namespace, pod, endpoint.profile, host, version, outcome"
        rows = self.connection.execute(
            f"SELECT namespace, pod, endpoint.profile, host, version, outcome, {columns}"  # noqa: S608
            f" FROM {sender} CROSS JOIN endpoint ON endpoint.id=endpoint_id"
            f" JOIN version ON version.id=version_id WHERE {where}{group}"
            " ORDER BY 1, 2, 3, 4, 5, 6",
            values,
        )
        found: list[SenderRow] = []
        before = None
        for row in rows:
            *key, node, image, count, out, first, last = row
            if key != before:
                before = key
                namespace, pod, profile, host, version, outcome = key
                one = SenderRow(
                    namespace=namespace, pod=pod, node=node, image=image, profile=profile,
                    host=host, version=version, outcome=outcome, count=count, bytes_out=out,
                    first_ns=first, last_ns=last,
                )  # fmt: skip
                found.append(one)
                continue
            one.node, one.image = max(one.node, node), max(one.image, image)
            one.count += count
            one.bytes_out = i64(one.bytes_out + out)
            one.first_ns, one.last_ns = min(one.first_ns, first), max(one.last_ns, last)
        return found

    def fields(self, scope: Scope) -> list[FieldRow]:
        where, values = _scope(scope, "endpoint.profile", "seen.")
        others, other_values = _scope(scope, "endpoint.profile", "observed.")
        rows = self.connection.execute(
            "SELECT endpoint.profile, host, method, route, version, path, type, shape, count,"  # noqa: S608
            " requests, seen.first_ns, seen.last_ns,"
            " seen.class, class_by, confidence, coalesce(who, ''), coalesce(at_ns, 0)"
            " FROM seen JOIN field ON field.id=seen.field_id"
            " LEFT JOIN said_class AS said ON said.field_id=field.id AND said.class<>''"
            " AND type NOT IN ('object', 'array')"
            " JOIN endpoint ON endpoint.id=field.endpoint_id"
            " JOIN version ON version.id=seen.version_id"
            " JOIN observed ON observed.endpoint_id=endpoint.id"
            f" AND observed.version_id=seen.version_id WHERE {where}"
            " UNION ALL"
            " SELECT endpoint.profile, host, method, route, version, ?, '', '', others,"
            " requests, first_ns, last_ns, '', '', 0.0, '', 0 FROM observed"
            " JOIN endpoint ON endpoint.id=endpoint_id"
            f" JOIN version ON version.id=version_id WHERE others>0 AND {others}"
            " ORDER BY 1, 2, 4, 3, 5, 6, 7, 8",
            (*values, OTHER, *other_values),
        )
        names = FieldRow.__struct_fields__
        found = [FieldRow(**dict(zip(names, row, strict=True))) for row in rows]
        return self.words().over_rows(found)

    def notes(self, scope: Scope) -> list[NoteRow]:
        where, values = _scope(scope, "profile")
        rows = self.connection.execute(
            "SELECT profile, host, method, route, part, why, count, first_ns, last_ns"  # noqa: S608
            f" FROM note JOIN endpoint ON endpoint.id=endpoint_id WHERE {where}"
            " ORDER BY 1, 2, 4, 3, 5, 6",
            values,
        )
        names = NoteRow.__struct_fields__
        return [NoteRow(**dict(zip(names, row, strict=True))) for row in rows]

    def events(self, scope: Scope) -> list[EventRow]:
        event, where, values = _rows_of(EVENT, scope, "endpoint.profile")
        rows = self.connection.execute(
            "SELECT endpoint.profile, host, method, route, version, name, sum(count),"  # noqa: S608
            f" min(first_ns), max(last_ns) FROM {event}"
            " CROSS JOIN event_name ON event_name.id=event_id"
            " JOIN endpoint ON endpoint.id=endpoint_id JOIN version ON version.id=version_id"
            f" WHERE {where} GROUP BY 1, 2, 4, 3, 5, 6",
            values,
        )
        names = EventRow.__struct_fields__
        return [EventRow(**dict(zip(names, row, strict=True))) for row in rows]

    def boots(self) -> list[BootRow]:
        rows = self.connection.execute(
            "SELECT boot, namespace, pod, node, max_seq, count, first_ns, last_ns, numbered, lost,"
            " ended, heard_ns, gone, form, mode, began_ns, quic_refused, unled"
            " FROM boot ORDER BY first_ns, id"
        )
        return [_boot(*row) for row in rows]


def _scope(scope: Scope, profile: str, table: str = "") -> tuple[str, list[Any]]:
    where = ["1"]
    values: list[Any] = []
    if scope.since_ns is not None:
        where.append(f"{table}last_ns>=?")
        values.append(i64(scope.since_ns))
    if scope.until_ns is not None:
        where.append(f"{table}first_ns<?")
        values.append(i64(scope.until_ns))
    if scope.profile is not None:
        where.append(f"{profile}=?")
        values.append(scope.profile)
    return " AND ".join(where), values


def _rows_of(rollup: Rollup, scope: Scope, profile: str) -> tuple[str, str, list[Any]]:
    """Selects the table for this period, and the condition on its rows."""
    where, values = _scope(scope, profile)
    if scope.since_ns is None and scope.until_ns is None:
        return f"{rollup.name}_total", where, values
    # The condition on times is repeated for hours or days, because these are in an index.
    if scope.since_ns is not None:
        where += f" AND {rollup.time}>=?"
        values.append(i64(scope.since_ns) // rollup.unit)
    if scope.until_ns is not None:
        where += f" AND {rollup.time}<=?"
        values.append(i64(scope.until_ns) // rollup.unit)
    return rollup.name, where, values


def _boot(
    boot: str, namespace: str, pod: str, node: str, max_seq: int, count: int, first: int, last: int,
    numbered: int, lost: str, ended: int, heard: int, left: int, form: str, mode: str, began: int,
    quic_refused: int, unled: str,
) -> BootRow:  # fmt: skip
    account = account_of(boot, numbered, lost, ended)
    gone, why = missing(account, max_seq, count)
    return BootRow(
        boot=boot, namespace=namespace, pod=pod, node=node, max_seq=max_seq, count=count,
        numbered=account.numbered, missing=gone, lost=why, ended=account.ended, first_ns=first,
        last_ns=last, heard_ns=heard, left=bool(left),
        said=Presence(
            form=form, mode=mode, began_ns=began, quic_refused=quic_refused, unled=unled,
        ),
    )  # fmt: skip


def _endpoint(key: tuple[Any, ...], rows: list[Any], senders: dict[int, int]) -> EndpointRow:
    return EndpointRow(
        **dict(zip(EndpointRow.__struct_fields__[:9], key[1:], strict=True)),
        statuses={row[10]: row[11] for row in rows},
        count=sum(row[11] for row in rows),
        bytes_out=sum(row[12] for row in rows),
        bytes_in=sum(row[13] for row in rows),
        duration_ns=sum(row[14] for row in rows),
        first_ns=min(row[15] for row in rows),
        last_ns=max(row[16] for row in rows),
        workloads=senders.get(key[0], 0),
    )
