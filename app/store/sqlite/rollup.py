"""A batch's roll-ups and field inventory: summed in memory, then added in the insert's transaction.

`Batch` is called by `app.store.sqlite.writer`. Reports read only these tables: those of a time the
hours or days in it, those of all time the totals, so that they do not grow with what is kept.
`sqlite` drops what is too old.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from app.contract.record import REASONS, CaptureRecord
from app.store import OTHER, Decoders, Facts, NewField
from app.store.inventory import Field, Observation, observe, route_of
from app.store.sqlite.ids import Names

HOUR = 3_600 * 10**9
DAY = 24 * HOUR
_LARGEST = 1 << 46  # bytes or ns of one record that are believed: sums must fit 64 bits
_Row = tuple[int | str, ...]


class Rollup(NamedTuple):
    """A table of sums by hour or day and group, and `<name>_total`: the same without the time."""

    name: str
    time: str  # the column that counts them
    unit: int  # ns
    group: tuple[str, ...]
    last: tuple[str, ...]  # columns of which the latest value stays
    sums: tuple[str, ...]

    def add(self, connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
        """`rows` in the order of the columns, which ends with the first and the last time in ns."""
        connection.executemany(self._upsert(self.name, 1), rows)
        self._add_totals(connection, (row[1:] for row in rows))

    def drop(self, connection: sqlite3.Connection, oldest_ns: int) -> None:
        """The hours or days before that of `oldest_ns`, from the totals too."""
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
        # What is left of a group begins with the first hour or day that has it.
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
    ("endpoint_id", "version_id", "namespace", "pod"), ("node", "image"), ("count", "bytes_out"),
)  # fmt: skip


@dataclass(slots=True)
class _Sum:
    """What an upsert adds. `extra` are the columns of which the last value stays."""

    first: int
    last: int
    count: int = 0
    out: int = 0
    in_: int = 0
    duration: int = 0
    extra: tuple[str, str] = ("", "")

    def add(self, time_ns: int, out: int = 0, in_: int = 0, duration: int = 0) -> None:
        self.count += 1
        self.out += out
        self.in_ += in_
        self.duration += duration
        self.first = min(self.first, time_ns)
        self.last = max(self.last, time_ns)

    def merge(self, other: "_Sum") -> None:
        self.count += other.count
        self.out += other.out
        self.in_ += other.in_
        self.duration += other.duration
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)


@dataclass(slots=True)
class _Alike:
    """Records that differ in nothing but what is summed; `record` is one of them."""

    record: CaptureRecord
    seen: Observation | None
    sum: _Sum


@dataclass(slots=True)
class _Observed:
    """The requests of one endpoint and version; those with equal fields are counted together."""

    sum: _Sum
    names: tuple[str, str, str, str, str]
    others: int = 0
    alike: dict[frozenset[Field], _Sum] = field(default_factory=dict)

    def fields(self) -> dict[Field, _Sum]:
        fields: dict[Field, _Sum] = {}
        for names, s in self.alike.items():
            for name in names:
                _sum(fields, name, s.first).merge(s)
        return fields


class Batch:
    """One batch: `add` each record that is new, then `write`."""

    def __init__(self, names: Names, decoders: Decoders) -> None:
        self._names = names
        self._decoders = decoders
        self._traffic: dict[_Row, _Sum] = {}
        self._senders: dict[_Row, _Sum] = {}
        self._observed: dict[tuple[int, int], _Observed] = {}
        self._alike: dict[tuple[object, ...], _Alike] = {}

    def add(self, record: CaptureRecord, facet: int, known: Facts | None = None) -> None:
        """Finds out itself what is not known of the record's content. `facet` is its number."""
        if record.kind == "log":
            return
        known = known or facts(record, self._decoders(record.profile, record.rule))
        time_ns, workload, seen = record.time_ns, record.workload, known.seen
        like = known.like or (facet, record.answered_by, workload.node, workload.image, seen)
        key = (like, time_ns // HOUR)
        alike = self._alike.get(key)
        if alike is None:
            alike = self._alike[key] = _Alike(record, seen, _Sum(time_ns, time_ns))
        alike.sum.add(time_ns, known.out, known.in_, min(record.duration_ns, _LARGEST))

    def _add(self, record: CaptureRecord, seen: Observation | None, sum: _Sum) -> None:
        time_ns = record.time_ns
        request = record.request
        method = request.method if request else ""
        host, route = record.host, route_of(record)
        endpoint = self._names.endpoint(record.profile, host, method, route)
        version = self._names.version(record.profile, record.product_version)
        key: _Row = (
            time_ns // HOUR,
            endpoint,
            version,
            record.rule,
            record.kind,
            record.action,
            record.answered_by,
            record.response.status if record.response else 0,
            record.reason if not record.reason or record.reason in REASONS else OTHER,
        )
        _sum(self._traffic, key, sum.first).merge(sum)
        workload = record.workload
        key = (time_ns // DAY, endpoint, version, workload.namespace, sender(record))
        by = _sum(self._senders, key, sum.first)
        by.merge(sum)
        by.extra = (workload.node, workload.image)
        if seen is None:
            return
        observed = self._observed.get((endpoint, version))
        if observed is None:
            observed = _Observed(
                _Sum(sum.first, sum.first),
                (record.profile, host, method, route, record.product_version),
            )
            self._observed[endpoint, version] = observed
        observed.sum.merge(sum)
        observed.others += seen.others * sum.count
        _sum(observed.alike, seen.fields, sum.first).merge(sum)

    def write(self, connection: sqlite3.Connection) -> list[NewField]:
        """Adds everything to the tables; returns the fields that no version had sent before."""
        # In the order of time: of node and image the latest stay.
        for alike in sorted(self._alike.values(), key=lambda a: a.sum.last):
            self._add(alike.record, alike.seen, alike.sum)
        TRAFFIC.add(
            connection,
            [
                (*key, s.count, s.out, s.in_, s.duration, s.first, s.last)
                for key, s in self._traffic.items()
            ],
        )
        SENDER.add(
            connection,
            [(*key, *s.extra, s.count, s.out, s.first, s.last) for key, s in self._senders.items()],
        )
        return self._write_inventory(connection)

    def _write_inventory(self, connection: sqlite3.Connection) -> list[NewField]:
        new_fields: list[NewField] = []
        rows = []
        for (endpoint, version), observed in self._observed.items():
            for name, s in observed.fields().items():
                number, new = self._names.field(endpoint, name.path)
                if number is None:
                    observed.others += s.count
                    continue
                if new:
                    new_fields.append(NewField(*observed.names, name.path, name.type))
                rows.append((number, version, name.type, name.shape, s.count, s.first, s.last))
        connection.executemany(
            "INSERT INTO seen VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
            " count=count+excluded.count,"
            " first_ns=min(first_ns, excluded.first_ns), last_ns=max(last_ns, excluded.last_ns)",
            rows,
        )
        connection.executemany(
            "INSERT INTO observed VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
            " requests=requests+excluded.requests, others=others+excluded.others,"
            " first_ns=min(first_ns, excluded.first_ns), last_ns=max(last_ns, excluded.last_ns)",
            (
                (*key, o.sum.count, o.others, o.sum.first, o.sum.last)
                for key, o in self._observed.items()
            ),
        )
        return new_fields


def facts(record: CaptureRecord, decoders: Sequence[str]) -> Facts:
    """`decoders` are those of the record's rule."""
    return Facts(*sizes(record), observe(record, decoders))


def sender(record: CaptureRecord) -> str:
    """The pod; on a machine without pods the client's address."""
    workload = record.workload
    if workload.pod or workload.namespace or record.client is None:
        return workload.pod
    return record.client.address


def sizes(record: CaptureRecord) -> tuple[int, int]:
    """Bytes that left and bytes that came back: target and body, without headers; of a spliced
    connection all of them. A masked target counts as it is kept."""
    if record.kind == "spliced":
        return min(record.sent, _LARGEST), min(record.received, _LARGEST)
    out = in_ = 0
    if record.message:
        if record.message.sender == "client":
            out = record.message.body.size
        else:
            in_ = record.message.body.size
    elif request := record.request:
        query = "".join(chain.from_iterable(request.query))
        out = len(request.path) + len(query) + 2 * len(request.query)
        if request.body:
            out += request.body.size
    if record.response and record.response.body:
        in_ = record.response.body.size
    return min(out, _LARGEST), min(in_, _LARGEST)


def _sum[K](sums: dict[K, _Sum], key: K, time_ns: int) -> _Sum:
    found = sums.get(key)
    if found is None:
        found = sums[key] = _Sum(time_ns, time_ns)
    return found
