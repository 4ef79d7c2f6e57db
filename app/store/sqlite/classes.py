"""Keeps the classes of fields: the detectors' with each row of the inventory, and what people said.

The writer stores a class with what it saw; `schema` gives those that were seen before one. A
person's word is one row by field, which the reader lays over the detectors'.
"""

import sqlite3

from app.store import SaidClass
from app.store.classes import ClassWords, ProfileClasses, class_of

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
