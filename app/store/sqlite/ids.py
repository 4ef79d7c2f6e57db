"""Small numbers for names that repeat: endpoints, versions, fields of the inventory, facets.

Called by `app.store.sqlite.writer`, inside its transaction. Names come from senders, so each group
takes only so many; the rest share OTHER. Facets are as many as their captures have, and go with
them.
"""

import sqlite3

from app.store import OTHER, NewHost
from app.store.facts import Facet

ENDPOINTS = 1_000  # of one profile
VERSIONS = 500  # of one profile
FIELDS = 2_000  # paths of one endpoint, over all versions
FIELDS_IN_ALL = 50_000
_CACHE = 20_000
_FACET = ", ".join(Facet._fields)
_FIND_FACET = f"SELECT id FROM facet WHERE {_FACET.replace(',', '=? AND')}=?"  # noqa: S608


class IdTable:
    """Forget everything after a roll-back: numbers given in it are gone."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._endpoints: dict[tuple[str, str, str, str], int] = {}
        self._versions: dict[tuple[str, str], int] = {}
        self._fields: dict[tuple[int, str], int | None] = {}
        self._facets: dict[Facet, int] = {}
        self._new_hosts: list[NewHost] = []

    def forget(self) -> None:
        self._endpoints.clear()
        self._versions.clear()
        self._fields.clear()
        self._facets.clear()
        self._new_hosts.clear()

    def new_hosts(self) -> list[NewHost]:
        """Those of the endpoints that were added since the last call."""
        told, self._new_hosts = self._new_hosts, []
        return told

    def endpoint(self, profile: str, host: str, method: str, route: str) -> int:
        """Its number; that of the profile's OTHER when the profile has enough."""
        key = (profile, host, method, route)
        number = self._endpoints.get(key)
        if number is None:
            number = self._look_up(
                "SELECT id FROM endpoint WHERE profile=? AND host=? AND method=? AND route=?", key
            )
            if number is None and self._count("endpoint", profile) < ENDPOINTS:
                host_key = (profile, host)
                if host and not self._look_up(
                    "SELECT id FROM endpoint WHERE profile=? AND host=? LIMIT 1", host_key
                ):
                    self._new_hosts.append(NewHost(*host_key))
                number = self._add("endpoint(profile, host, method, route)", key)
            if number is None:
                key = (profile, OTHER, "", "")
                number = self._look_up(
                    "SELECT id FROM endpoint WHERE profile=? AND host=? AND method=? AND route=?",
                    key,
                ) or self._add("endpoint(profile, host, method, route)", key)
            _keep(self._endpoints, key, number)
        return number

    def version(self, profile: str, version: str) -> int:
        """Its number; that of the profile's OTHER when the profile has enough."""
        key = (profile, version)
        number = self._versions.get(key)
        if number is None:
            number = self._look_up("SELECT id FROM version WHERE profile=? AND version=?", key)
            if number is None and (self._count("version", profile) < VERSIONS or not version):
                number = self._add("version(profile, version)", key)
            if number is None:
                key = (profile, OTHER)
                number = self._look_up(
                    "SELECT id FROM version WHERE profile=? AND version=?", key
                ) or self._add("version(profile, version)", key)
            _keep(self._versions, key, number)
        return number

    def field(self, endpoint: int, path: str) -> tuple[int | None, bool]:
        """Its number (None: the endpoint has enough), and whether it is new."""
        key = (endpoint, path)
        number = self._fields.get(key)
        if number is not None:
            return number, False
        number = self._look_up("SELECT id FROM field WHERE endpoint_id=? AND path=?", key)
        new = number is None
        if number is None:
            (fields,) = self._connection.execute(
                "SELECT fields FROM endpoint WHERE id=?", (endpoint,)
            ).fetchone()
            (last,) = self._connection.execute("SELECT max(id) FROM field").fetchone()
            if fields >= FIELDS or (last or 0) >= FIELDS_IN_ALL:
                return None, False
            number = self._add("field(endpoint_id, path)", key)
            self._connection.execute("UPDATE endpoint SET fields=fields+1 WHERE id=?", (endpoint,))
        _keep(self._fields, key, number)
        return number, new

    def facet(self, key: Facet) -> int:
        number = self._facets.get(key)
        if number is None:
            number = self._look_up(_FIND_FACET, key) or self._add(f"facet({_FACET})", key)
            _keep(self._facets, key, number)
        return number

    def _look_up(self, sql: str, key: tuple[object, ...]) -> int | None:
        row = self._connection.execute(sql, key).fetchone()
        return row[0] if row else None

    def _count(self, table: str, profile: str) -> int:
        count: int = self._connection.execute(
            f"SELECT count(*) FROM {table} WHERE profile=?",  # noqa: S608 - one of two names above
            (profile,),
        ).fetchone()[0]
        return count

    def _add(self, into: str, key: tuple[object, ...]) -> int:
        cursor = self._connection.execute(
            f"INSERT INTO {into} VALUES ({','.join('?' * len(key))})",  # noqa: S608 - names above
            key,
        )
        return cursor.lastrowid or 0


def _keep[K, V](cache: dict[K, V], key: K, value: V) -> None:
    if len(cache) >= _CACHE:
        cache.clear()
    cache[key] = value
