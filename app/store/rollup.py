"""A batch's roll-ups and field inventory: summed in memory, then added in the insert's transaction.

Called by `app.store.writing`. Reports read only these tables.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from app.contract.record import REASONS, CaptureRecord
from app.inventory import Field, observe, route_of
from app.store import OTHER, Decoders, Facts, NewField
from app.store.names import Names

HOUR = 3_600 * 10**9
DAY = 24 * HOUR
_LARGEST = 1 << 46  # bytes or ns of one record that are believed: sums must fit 64 bits


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
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)


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
        self._traffic: dict[tuple[int | str, ...], _Sum] = {}
        self._senders: dict[tuple[int | str, ...], _Sum] = {}
        self._observed: dict[tuple[int, int], _Observed] = {}

    def add(self, record: CaptureRecord, known: Facts | None = None) -> None:
        """Finds out itself what is not known of the record's content."""
        if record.kind == "log":
            return
        time_ns = record.time_ns
        request = record.request
        method = request.method if request else ""
        host, route = record.host, route_of(record)
        endpoint = self._names.endpoint(record.profile, host, method, route)
        version = self._names.version(record.profile, record.product_version)
        out, in_, seen = known or facts(record, self._decoders(record.profile, record.rule))
        key: tuple[int | str, ...] = (
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
        _sum(self._traffic, key, time_ns).add(time_ns, out, in_, min(record.duration_ns, _LARGEST))
        workload = record.workload
        key = (time_ns // DAY, endpoint, version, workload.namespace, sender(record))
        by = _sum(self._senders, key, time_ns)
        by.add(time_ns, out)
        by.extra = (workload.node, workload.image)
        if seen is None:
            return
        observed = self._observed.get((endpoint, version))
        if observed is None:
            observed = _Observed(
                _Sum(time_ns, time_ns),
                (record.profile, host, method, route, record.product_version),
            )
            self._observed[endpoint, version] = observed
        observed.sum.add(time_ns)
        observed.others += seen.others
        _sum(observed.alike, seen.fields, time_ns).add(time_ns)

    def write(self, connection: sqlite3.Connection) -> list[NewField]:
        """Adds everything to the tables; returns the fields that no version had sent before."""
        connection.executemany(
            "INSERT INTO traffic VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
            " count=count+excluded.count, bytes_out=bytes_out+excluded.bytes_out,"
            " bytes_in=bytes_in+excluded.bytes_in, duration_ns=duration_ns+excluded.duration_ns,"
            " first_ns=min(first_ns, excluded.first_ns), last_ns=max(last_ns, excluded.last_ns)",
            (
                (*key, s.count, s.out, s.in_, s.duration, s.first, s.last)
                for key, s in self._traffic.items()
            ),
        )
        connection.executemany(
            "INSERT INTO sender VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
            " node=excluded.node, image=excluded.image, count=count+excluded.count,"
            " bytes_out=bytes_out+excluded.bytes_out,"
            " first_ns=min(first_ns, excluded.first_ns), last_ns=max(last_ns, excluded.last_ns)",
            ((*key, *s.extra, s.count, s.out, s.first, s.last) for key, s in self._senders.items()),
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
