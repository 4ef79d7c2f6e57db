"""Keeps the sketches of fields' values (`app.store.values`) as a table.

Called by `app.store.sqlite.writer`, inside its transaction, with a few requests of each batch.
"""

import sqlite3
from collections.abc import Sequence

from app.contract.record import decode
from app.store import Incoming, SketchRow
from app.store.facts import endpoint_of
from app.store.sqlite.ids import IdTable
from app.store.sqlite.repeated_lines import keep
from app.store.values import LARGEST, Sketch, hashed, values_of

TABLES = """
    CREATE TABLE sketch (
        field_id INTEGER PRIMARY KEY, looked INTEGER NOT NULL, hashes BLOB NOT NULL
    );
"""
_CACHE = 4_096  # sketches in memory, 3 KB each at most


class Sketches:
    """Call `forget` after a roll-back. Without a `key` no value is looked at."""

    def __init__(self, connection: sqlite3.Connection, ids: IdTable, key: bytes) -> None:
        self._connection = connection
        self._ids = ids
        self._key = key
        self._known: dict[int, Sketch] = {}

    def forget(self) -> None:
        self._known.clear()

    def look(self, chosen: Sequence[Incoming]) -> None:
        """Looks at the values of those requests whose fields the inventory has."""
        if not self._key:
            return
        hashes: dict[tuple[int, str], set[bytes]] = {}
        looked: dict[tuple[int, str], int] = {}
        for one in chosen:
            seen, line = one.facts.seen, one.line
            if seen is None or len(line) > LARGEST:
                continue
            record = decode(line)
            endpoint = self._ids.endpoint(*endpoint_of(record))
            left = {field.path for field in seen.fields}
            for path, value in values_of(record):
                if path in left:
                    key = (endpoint, path)
                    hashes.setdefault(key, set()).add(hashed(self._key, path, value))
                    looked[key] = looked.get(key, 0) + 1
        rows = []
        for key, values in hashes.items():
            number, _ = self._ids.field(*key)
            if number is not None:
                sketch = self._sketch(number).with_values(values, looked[key])
                keep(self._known, number, sketch, _CACHE)
                rows.append((number, sketch.looked, sketch.packed()))
        self._connection.executemany(
            "INSERT INTO sketch VALUES (?,?,?) ON CONFLICT DO UPDATE SET"
            " looked=excluded.looked, hashes=excluded.hashes",
            rows,
        )

    def _sketch(self, number: int) -> Sketch:
        known = self._known.get(number)
        if known is None:
            row = self._connection.execute(
                "SELECT looked, hashes FROM sketch WHERE field_id=?", (number,)
            ).fetchone()
            known = Sketch.of(*row) if row else Sketch()
        return known


def sketches(connection: sqlite3.Connection, profile: str | None) -> list[SketchRow]:
    rows = connection.execute(
        "SELECT endpoint.profile, host, method, route, path, looked, hashes FROM sketch"
        " JOIN field ON field.id=field_id JOIN endpoint ON endpoint.id=endpoint_id"
        " WHERE ?1 IS NULL OR endpoint.profile=?1 ORDER BY 1, 2, 4, 3, 5",
        (profile,),
    )
    return [
        SketchRow(
            profile=of, host=host, method=method, route=route, path=path, looked=looked,
            distinct=sketch.distinct, is_exact=sketch.is_exact,
        )
        for of, host, method, route, path, looked, packed in rows
        for sketch in (Sketch.of(looked, packed),)
    ]  # fmt: skip
