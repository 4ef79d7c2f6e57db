"""Keeps the classes of fields: the detectors' with each row of the inventory, and what people said.

The writer stores a class with what it saw; `schema` gives those that were seen before one. A
person's word is one row by field, which the reader lays over the detectors'.
"""

import sqlite3
from collections.abc import Iterable
from typing import Any

from app.contract.classes import members
from app.store import OTHER, SaidClass
from app.store.classes import Classed, ClassWords, ProfileClasses, class_of

_FIELDS = 3_000  # of an inventory that is looked through for one page
_ENDPOINTS = 200  # with a class, which a condition names

# Step 10 of the schema; `telemock_class` is `told`.
#
# said_class   the class that a person gave a field, '' where they took it back.
TABLES = """
    ALTER TABLE seen ADD COLUMN class TEXT NOT NULL DEFAULT '';
    ALTER TABLE seen ADD COLUMN class_by TEXT NOT NULL DEFAULT '';
    ALTER TABLE seen ADD COLUMN confidence REAL NOT NULL DEFAULT 0;
    UPDATE seen SET class=telemock_class(path, type, shape, 0),
        class_by=telemock_class(path, type, shape, 1),
        confidence=telemock_class(path, type, shape, 2) FROM field WHERE field.id=field_id;
    CREATE TABLE said_class (
        field_id INTEGER PRIMARY KEY, class TEXT NOT NULL, who TEXT NOT NULL, at_ns INTEGER NOT NULL
    );
"""


def told(path: str, type: str, shape: str, part: int) -> str | float:
    """One part of a field's class, for SQLite."""
    return class_of(path, type, shape)[part]


def say(connection: sqlite3.Connection, said: SaidClass) -> bool:
    """False where the inventory has no such field."""
    row = connection.execute(
        "SELECT field.id FROM field JOIN endpoint ON endpoint.id=endpoint_id"
        " WHERE profile=? AND host=? AND method=? AND route=? AND path=?",
        said[:5],
    ).fetchone()
    if row is None:
        return False
    connection.execute(
        "INSERT OR REPLACE INTO said_class VALUES (?,?,?,?)",
        (*row, said.class_, said.who, said.at_ns),
    )
    return True


def said(connection: sqlite3.Connection, profile: str | None) -> list[SaidClass]:
    rows = connection.execute(
        "SELECT profile, host, method, route, path, class, who, at_ns FROM said_class"
        " JOIN field ON field.id=field_id JOIN endpoint ON endpoint.id=endpoint_id"
        " WHERE ?1 IS NULL OR profile=?1 ORDER BY at_ns, 1, 2, 4, 3, 5",
        (profile,),
    )
    return [SaidClass(*row) for row in rows]


def words(connection: sqlite3.Connection, profiles: ProfileClasses) -> ClassWords:
    """The words of people, before those of the profiles."""
    return ClassWords.of_people({one[:5]: one.class_ for one in said(connection, None)}, profiles)


def is_said(connection: sqlite3.Connection, field: int) -> bool:
    """True of a field whose class is a person's word."""
    sql = "SELECT 1 FROM said_class WHERE field_id=? AND class<>''"
    return connection.execute(sql, (field,)).fetchone() is not None


def with_class(
    connection: sqlite3.Connection, classes: ClassWords, names: Iterable[str]
) -> tuple[Any, ...]:
    """A condition on facets, with its values: the endpoints that a field of such a class was seen
    at, and those of which not every field is listed. "1" where the inventory is too large to tell
    soon, or endpoints were over its limits; "0" where there is none."""
    (fields, others) = connection.execute(
        "SELECT (SELECT count(*) FROM field), EXISTS (SELECT 1 FROM endpoint WHERE host=?)",
        (OTHER,),
    ).fetchone()
    if others or fields > _FIELDS:
        return ("1",)
    wanted = {id for name in names for id in members(name)}
    found = {
        tuple(of)
        for *of, path, id in connection.execute(
            "SELECT DISTINCT profile, host, method, route, path, class FROM seen"
            " JOIN field ON field.id=field_id JOIN endpoint ON endpoint.id=endpoint_id"
        )
        if classes.over((of[0], of[1], of[2], of[3]), path, Classed(id, "", 0.0)).id in wanted
    }
    found.update(connection.execute(
        "SELECT profile, host, method, route FROM observed JOIN endpoint ON endpoint.id=endpoint_id"
        " WHERE others>0"
    ))  # fmt: skip
    if not found:
        return ("0",)
    if len(found) > _ENDPOINTS:
        return ("1",)
    each = ",".join(["(?,?,?,?)"] * len(found))
    return (
        f"(profile, host, method, route) IN (VALUES {each})",
        *(name for of in sorted(found) for name in of),
    )
