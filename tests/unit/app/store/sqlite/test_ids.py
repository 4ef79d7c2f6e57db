"""Names are numbered once, and a sender of endless names fills nothing but OTHER."""

import sqlite3
from pathlib import Path

import pytest

from app.store import OTHER
from app.store.sqlite import ids
from app.store.sqlite.ids import IdTable
from app.store.sqlite.store import SqliteStore
from tests.records import exchange, incoming


def test_one_number_a_name(connection: sqlite3.Connection) -> None:
    first, second = IdTable(connection), IdTable(connection)
    key = ("cribl", "cdn.cribl.io", "GET", "/a")
    assert first.endpoint(*key) == first.endpoint(*key) == second.endpoint(*key)
    assert first.endpoint(*key) != first.endpoint("cribl", "cdn.cribl.io", "GET", "/b")
    assert first.version("cribl", "1") == second.version("cribl", "1")
    number, new = first.field(1, "query.v")
    assert new and second.field(1, "query.v") == (number, False)


def test_forgets_what_was_rolled_back(connection: sqlite3.Connection) -> None:
    some = IdTable(connection)
    connection.execute("BEGIN")
    some.endpoint("cribl", "h", "GET", "/lost")
    connection.execute("ROLLBACK")
    some.forget()
    number = some.endpoint("cribl", "h", "GET", "/kept")
    row = connection.execute("SELECT route FROM endpoint WHERE id=?", (number,)).fetchone()
    assert row == ("/kept",)


def test_names_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "ENDPOINTS", 3)
    monkeypatch.setattr(ids, "VERSIONS", 3)
    monkeypatch.setattr(ids, "FIELDS", 10)
    monkeypatch.setattr(ids, "_CACHE", 4)
    store = SqliteStore(tmp_path / "store.sqlite")
    try:
        for n in range(1, 21):
            query = [("v", str(n)), (f"x{n}", "1")]
            record = exchange(n, method=f"M{n}", product_version=str(n), query=query)
            store.write(incoming(record))
        store.write(incoming(exchange(21, profile="grafana")))
        endpoints = store.endpoints()
        assert sum(row.count for row in endpoints) == 21
        assert {(row.profile, row.method) for row in endpoints} == {
            ("cribl", "M1"), ("cribl", "M2"), ("cribl", "M3"), ("cribl", ""), ("grafana", "GET"),
        }  # fmt: skip
        assert {row.host for row in endpoints if row.profile == "cribl" and not row.method} == {
            OTHER
        }
        versions = {row.version: row.count for row in store.versions() if row.profile == "cribl"}
        assert versions == {"1": 1, "2": 1, "3": 1, OTHER: 17}
        fields = [row for row in store.fields() if row.host == OTHER]
        left_out = sum(row.count for row in fields if row.path == OTHER)
        paths = {row.path for row in fields if row.path != OTHER}
        assert len(paths) == 10
        assert left_out + sum(row.count for row in fields if row.path in paths) == 17 * 4
    finally:
        store.close()


def test_names_of_events_are_bounded(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ids, "EVENTS", 2)
    monkeypatch.setattr(ids, "EVENTS_IN_ALL", 5)
    some = IdTable(connection)
    one, two = (some.endpoint("acme", "h", "GET", route) for route in ("/a", "/b"))
    first = [some.event(one, name) for name in ("a", "b", "c", "d", "a")]
    assert first[2] == first[3] != first[0] == first[4]  # those beyond are one
    assert [some.event(two, name) for name in ("a", "b")] == [4, 5]
    assert some.event(some.endpoint("acme", "h", "GET", "/c"), "a") == 6
    names = connection.execute("SELECT name FROM event_name ORDER BY id").fetchall()
    assert names == [("a",), ("b",), (OTHER,), ("a",), ("b",), (OTHER,)]


def test_fields_are_bounded_over_all_endpoints(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ids, "FIELDS_IN_ALL", 2)
    some = IdTable(connection)
    one, two = (some.endpoint("cribl", "h", "GET", route) for route in ("/a", "/b"))
    assert some.field(one, "a")[1] and some.field(two, "a")[1]
    assert some.field(two, "b") == (None, False)
    assert some.field(one, "a") == (1, False)
