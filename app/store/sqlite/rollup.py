"""Roll-ups and the field inventory as tables: a batch's sums are added in the insert's transaction.

Called by `app.store.sqlite.writer`. Reports read only these tables: the hours or days of a period,
or the totals for all time, so that their cost does not grow with the captures. `store` drops old
rows.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from app.contract.classes import about
from app.store import NewField
from app.store.changes import Objected, Thing
from app.store.classes import class_of
from app.store.facts import DAY, HOUR, Route, Sums
from app.store.sightings import Batch, sensitive
from app.store.sqlite.classes import is_said
from app.store.sqlite.ids import IdTable
from app.store.sqlite.inbox import InboxTables

_Row = tuple[int | str | float, ...]


class Rollup(NamedTuple):
    """A table of sums by hour or day and group, and `<name>_total`: the same without the time."""

    name: str
    time: str  # column with the hour or day
    unit: int  # ns of one hour or day
    group: tuple[str, ...]
    last: tuple[str, ...]  # columns that keep the latest value
    sums: tuple[str, ...]

    def add(self, connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
        """Adds `rows`, in the columns' order, which ends with the first and the last time in ns."""
        connection.executemany(self._upsert(self.name, 1), rows)
        self._add_totals(connection, (row[1:] for row in rows))

    def drop(self, connection: sqlite3.Connection, oldest_ns: int) -> None:
        """Drops hours or days before that of `oldest_ns`, and subtracts them from the totals."""
        oldest = oldest_ns // self.unit
        rows = connection.execute(
            f"DELETE FROM {self.name} WHERE {self.time}<? RETURNING *",  # noqa: S608 - from below
            (oldest,),
        ).fetchall()
        if not rows:
            return
        sums = slice(-2 - len(self.sums), -2)
        self._add_totals(
            connection,
            ((*row[1 : sums.start], *(-n for n in row[sums]), *row[-2:]) for row in rows),
        )
        total = f"{self.name}_total"
        connection.execute(f"DELETE FROM {total} WHERE count=0")  # noqa: S608
        # A group now begins with its first hour or day that is left.
        connection.execute(
            f"UPDATE {total} SET first_ns=(SELECT first_ns FROM {self.name} AS kept"  # noqa: S608
            f" WHERE {' AND '.join(f'kept.{c}={total}.{c}' for c in self.group)}"
            f" ORDER BY {self.time} LIMIT 1) WHERE first_ns<?",
            (oldest * self.unit,),
        )

    def _add_totals(self, connection: sqlite3.Connection, rows: Iterable[_Row]) -> None:
        connection.executemany(self._upsert(f"{self.name}_total", 0), rows)

    def _upsert(self, table: str, times: int) -> str:
        columns = times + len(self.group) + len(self.last) + len(self.sums) + 2
        return (
            f"INSERT INTO {table} VALUES ({','.join('?' * columns)}) ON CONFLICT DO UPDATE SET"  # noqa: S608
            + "".join(f" {c}=iif(excluded.last_ns<last_ns, {c}, excluded.{c})," for c in self.last)
            + "".join(f" {c}={c}+excluded.{c}," for c in self.sums)
            + " first_ns=min(first_ns, excluded.first_ns), last_ns=max(last_ns, excluded.last_ns)"
        )


TRAFFIC = Rollup(
    "traffic", "hour", HOUR,
    ("endpoint_id", "version_id", "rule", "kind", "action", "answered_by", "status", "reason"),
    (),
    ("count", "bytes_out", "bytes_in", "duration_ns"),
)  # fmt: skip
SENDER = Rollup(
    "sender", "day", DAY,
    ("endpoint_id", "version_id", "namespace", "pod", "outcome"), ("node", "image"),
    ("count", "bytes_out"),
)  # fmt: skip

EVENT = Rollup("event", "day", DAY, ("event_id", "version_id"), (), ("count",))


class FirstSeen(NamedTuple):
    """The news of a batch: fields that no version had sent before, known ones that are of a class
    about a person or a secret for the first time, and things objected to."""

    fields: list[NewField]
    turned: list[NewField]
    objected: Sequence[Objected]


def write(
    connection: sqlite3.Connection, ids: IdTable, inbox: InboxTables, sums: Sums
) -> FirstSeen:
    """Adds the batch's sums to the tables, and what is new in it to the inbox."""
    batch = Batch(sums.traffic(), sums.senders(), sums.observed())
    TRAFFIC.add(
        connection,
        [
            (key.hour, *_numbers(ids, key.endpoint, key.version), *key[3:],
             s.count, s.out, s.in_, s.duration, s.first, s.last)
            for key, s in batch.traffic.items()
        ],
    )  # fmt: skip
    SENDER.add(
        connection,
        [
            (key.day, *_numbers(ids, key.endpoint, key.version), *key[3:],
             s.node, s.image, s.count, s.out, s.first, s.last)
            for key, s in batch.senders.items()
        ],
    )  # fmt: skip
    events = [
        (key.day, *_numbers(ids, key.endpoint, key.version), key.name, s.count, s.first, s.last)
        for key, s in sums.events().items()
    ]
    EVENT.add(connection, [
        (day, ids.event(endpoint, name), version, *sum)
        for day, endpoint, version, name, *sum in events
    ])  # fmt: skip
    connection.executemany(
        "INSERT INTO note VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
        " count=count+excluded.count,"
        " first_ns=min(first_ns, excluded.first_ns), last_ns=max(last_ns, excluded.last_ns)",
        [
            (ids.endpoint(*endpoint), *note, s.count, s.first, s.last)
            for (endpoint, note), s in sums.notes().items()
        ],
    )
    new = _write_inventory(connection, ids, batch)
    fields = (Thing("field", f.profile, f.host, f.method, f.route, f.path) for f in new.fields)
    objected = inbox.note(batch, [*ids.new(), *fields, *new.things])
    return FirstSeen(new.fields, new.turned, objected)


class _News(NamedTuple):
    fields: list[NewField]
    turned: list[NewField]
    things: list[Thing]  # items for known fields


def _write_inventory(connection: sqlite3.Connection, ids: IdTable, batch: Batch) -> _News:
    first = _News([], [], [])
    fields: list[_Row] = []
    requests: list[_Row] = []
    for (endpoint, version), observed in batch.observed.items():
        key = _numbers(ids, endpoint, version)
        others = observed.others
        for name, s in observed.fields().items():
            number, new = ids.field(key[0], name.path)
            if number is None:
                others += s.count
                continue
            classed = class_of(*name)
            field = NewField(*endpoint, version, name.path, name.type, classed.id)
            kind = sensitive(name)
            kinds = {kind, classed.id if about(classed.id) else kind} if kind else ()
            new_kinds = {one for one in kinds if ids.is_new_kind(number, one)}
            if new:
                first.fields.append(field)
            elif new_kinds:
                if classed.id in new_kinds and not is_said(connection, number):
                    first.turned.append(field)
                if kind in new_kinds:
                    first.things.append(Thing("class", *endpoint, name.path, kind))
            fields.append(
                (number, key[1], name.type, name.shape, s.count, s.first, s.last, *classed)
            )
        s = observed.sum
        requests.append((*key, s.count, others, s.first, s.last))
    connection.executemany(
        "INSERT INTO seen VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
        " count=count+excluded.count, class=excluded.class, class_by=excluded.class_by,"
        " confidence=excluded.confidence,"
        " first_ns=min(first_ns, excluded.first_ns), last_ns=max(last_ns, excluded.last_ns)",
        fields,
    )
    connection.executemany(
        "INSERT INTO observed VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
        " requests=requests+excluded.requests, others=others+excluded.others,"
        " first_ns=min(first_ns, excluded.first_ns), last_ns=max(last_ns, excluded.last_ns)",
        requests,
    )
    return first


def _numbers(ids: IdTable, endpoint: Route, version: str) -> tuple[int, int]:
    return ids.endpoint(*endpoint), ids.version(endpoint[0], version)
