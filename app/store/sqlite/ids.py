"""Maps names that repeat to small ids: endpoints, versions, inventory fields, facets.

Called by `app.store.sqlite.writer`, inside its transaction. Senders choose names, so each group is
bounded; the rest share OTHER. Facets are as many as their captures have, and are deleted with them.
"""

import sqlite3

from app.store import OTHER, NewHost
from app.store.changes import Thing
from app.store.facts import Facet

ENDPOINTS = 1_000  # in one profile
VERSIONS = 500  # in one profile
FIELDS = 2_000  # paths of one endpoint, in all versions
FIELDS_IN_ALL = 50_000
EVENTS = 200  # names of one endpoint's events
EVENTS_IN_ALL = 20_000
_CACHE = 20_000
_COLUMNS = {
    "endpoint": "profile, host, method, route",
    "version": "profile, version",
    "field": "endpoint_id, path",
    "event_name": "endpoint_id, name",
    "facet": ", ".join(Facet._fields),
}
_Key = tuple[str | int, ...]


class IdTable:
    """Call `forget` after a roll-back: ids assigned in it are gone."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._numbers: dict[str, dict[_Key, int]] = {table: {} for table in _COLUMNS}
        self._kinds: set[tuple[int, str]] = set()
        self._new_hosts: list[NewHost] = []
        self._things: list[Thing] = []

    def forget(self) -> None:
        for numbers in self._numbers.values():
            numbers.clear()
        self._kinds.clear()
        self._new_hosts.clear()
        self._things.clear()

    def new_hosts(self) -> list[NewHost]:
        """Returns hosts of endpoints that were added since the last call."""
        told, self._new_hosts = self._new_hosts, []
        return told

    def new(self) -> list[Thing]:
        """Returns hosts, endpoints and versions that were added since the last call."""
        told, self._things = self._things, []
        return told

    def endpoint(self, profile: str, host: str, method: str, route: str) -> int:
        """The endpoint's id; that of the profile's OTHER when the profile is at its limit."""
        key = (profile, host, method, route)
        return self._known("endpoint", key) or self._new(
            "endpoint", key, (profile, OTHER, "", ""), self._count("endpoint", profile) < ENDPOINTS
        )

    def version(self, profile: str, version: str) -> int:
        """The version's id, bounded like `endpoint`."""
        key = (profile, version)
        return self._known("version", key) or self._new(
            "version", key, (profile, OTHER),
            not version or self._count("version", profile) < VERSIONS,
        )  # fmt: skip

    def field(self, endpoint: int, path: str) -> tuple[int | None, bool]:
        """The field's id (None: the endpoint is at its limit), and True if it is new."""
        key = (endpoint, path)
        if number := self._known("field", key):
            return number, False
        (fields,) = self._connection.execute(
            "SELECT fields FROM endpoint WHERE id=?", (endpoint,)
        ).fetchone()
        (last,) = self._connection.execute("SELECT max(id) FROM field").fetchone()
        if fields >= FIELDS or (last or 0) >= FIELDS_IN_ALL:
            return None, False
        self._connection.execute("UPDATE endpoint SET fields=fields+1 WHERE id=?", (endpoint,))
        return self._add("field", key), True

    def is_new_kind(self, field: int, kind: str) -> bool:
        """True, once, if the inventory has no value of this shape or class in the field."""
        if (field, kind) in self._kinds:
            return False
        if len(self._kinds) >= _CACHE:
            self._kinds.clear()
        self._kinds.add((field, kind))
        sql = "SELECT 1 FROM seen WHERE field_id=?1 AND ?2 IN (shape, class)"
        return self._connection.execute(sql, (field, kind)).fetchone() is None

    def event(self, endpoint: int, name: str) -> int:
        """The id of an event's name; that of the endpoint's OTHER beyond the limits."""
        key = (endpoint, name)
        if number := self._known("event_name", key):
            return number
        (in_all,) = self._connection.execute("SELECT count(*) FROM event_name").fetchone()
        fits = in_all < EVENTS_IN_ALL and self._count("event_name", endpoint) < EVENTS
        return self._new("event_name", key, (endpoint, OTHER), fits)

    def facet(self, key: Facet) -> int:
        return self._known("facet", key) or self._add("facet", key)

    def _known(self, table: str, key: _Key) -> int | None:
        number = self._numbers[table].get(key)
        if number is None:
            where = _COLUMNS[table].replace(",", "=? AND")
            row = self._connection.execute(
                f"SELECT id FROM {table} WHERE {where}=?",  # noqa: S608 - names above
                key,
            ).fetchone()
            number = row and self._keep(table, key, row[0])
        return number

    def _new(self, table: str, key: _Key, other: _Key, fits: bool) -> int:
        if not fits:
            return self._known(table, other) or self._add(table, other)
        if table == "endpoint" and key[1] and not self._connection.execute(
            "SELECT 1 FROM endpoint WHERE profile=? AND host=?", key[:2]
        ).fetchone():  # fmt: skip
            host = NewHost(*map(str, key[:2]))
            self._new_hosts.append(host)
            self._things.append(Thing("host", *host))
        if table == "version" and all(key):
            self._things.append(Thing("version", str(key[0]), name=str(key[1])))
        elif table == "endpoint" and any(key[2:]):
            self._things.append(Thing("endpoint", *map(str, key)))
        return self._add(table, key)

    def _count(self, table: str, within: str | int) -> int:
        """The rows of the table with this first column: a profile or an endpoint."""
        column = _COLUMNS[table].partition(",")[0]
        count: int = self._connection.execute(
            f"SELECT count(*) FROM {table} WHERE {column}=?",  # noqa: S608 - names above
            (within,),
        ).fetchone()[0]
        return count

    def _add(self, table: str, key: _Key) -> int:
        number = self._connection.execute(
            f"INSERT INTO {table}({_COLUMNS[table]}) VALUES ({','.join('?' * len(key))})",  # noqa: S608
            key,
        ).lastrowid
        return self._keep(table, key, number or 0)

    def _keep(self, table: str, key: _Key, number: int) -> int:
        if len(self._numbers[table]) >= _CACHE:
            self._numbers[table].clear()
        self._numbers[table][key] = number
        return number
