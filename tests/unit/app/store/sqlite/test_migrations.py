"""app/store/sqlite/migrations.py: a file of any older version opens with all it had."""

import sqlite3
from pathlib import Path

import msgspec
import pytest
import zstandard

from app.contract.account import Account
from app.contract.record import encode
from app.store import CaptureQuery, Scope, StoreError, Told
from app.store.changes import ChangeQuery
from app.store.sqlite import classes, schema
from app.store.sqlite.schema import open_reader, open_writer
from app.store.sqlite.store import SqliteStore
from tests.records import BOOT, T0, exchange, incoming


def test_older_schema_is_migrated_by_the_writer_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.sqlite"
    open_writer(path).close()
    steps = (*schema.MIGRATIONS, "CREATE TABLE a (x); CREATE TABLE b (y);")
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    monkeypatch.setattr(schema, "VERSION", len(steps))
    with pytest.raises(StoreError, match="start the app on it once"):
        open_reader(path)
    open_writer(path).close()
    reader = open_reader(path)
    assert reader.execute("SELECT count(*) FROM b").fetchone() == (0,)
    reader.close()


def test_captures_of_the_first_schema_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        patch.setattr(schema, "VERSION", 1)
        old = open_writer(path)
    line = encode(exchange(4))
    compressed = zstandard.ZstdCompressor().compress(line)
    row = [BOOT, "ns", "pod", "node"]
    old.execute("INSERT INTO boot VALUES (7, ?, ?, ?, ?, 4, 2, 1, 1)", row)
    old.execute("INSERT INTO run VALUES (7, 3, 4)")
    for id, seq, status in ((12, 3, 200), (13, 4, 503)):
        old.execute(
            "INSERT INTO capture VALUES (?, 7, ?, ?, 'exchange', 'cribl', 'h', 'GET', '/p', '/r',"
            " 'rule', 'mock', '', ?, '4.16', 'ns', 'pod', 0, ?)",
            (id, seq, T0 + seq, status, compressed),
        )
    old.execute("DELETE FROM capture WHERE id=12")
    old.execute("INSERT INTO capture SELECT 20, 7, 3, ?, kind, profile, host, method, path, route,"
        " rule, action, reason, 200, version, namespace, pod, 0, record FROM capture", (T0 + 3,)
    )  # fmt: skip
    old.execute("UPDATE total SET records=2")
    old.close()
    store = SqliteStore(path)
    try:
        assert store.stats().records == 2 and store.stats().arrival == "arrival.0.20"
        assert store.captures(CaptureQuery(status=503)).items == [line]
        assert len(store.captures(CaptureQuery(workload="ns/pod", text="rule")).items) == 2
        assert store.capture(f"{BOOT}-4") == line
        again = store.write(incoming(exchange(3), exchange(4), exchange(5)))
        assert (again.stored, again.duplicates) == ([2], 2)
        follow = store.captures(CaptureQuery(order="arrival", cursor="arrival.0.20"))
        assert len(follow.items) == 1
    finally:
        store.close()


def as_written_by(version: int, path: Path) -> None:
    """Makes the store at `path` one of this schema, with what that had of its rows."""
    new = path.with_suffix(".new")
    path.rename(new)
    old = sqlite3.connect(path, isolation_level=None)
    old.create_function("telemock_class", 4, classes.told, deterministic=True)
    for statements in schema.MIGRATIONS[:version]:
        old.executescript(statements)
    old.execute(f"PRAGMA application_id={schema.APPLICATION}")
    old.execute(f"PRAGMA user_version={version}")
    old.execute("ATTACH ? AS new", (str(new),))

    def columns(base: str, table: str) -> list[str]:
        return [row[1] for row in old.execute(f"PRAGMA {base}.table_info({table})")]

    tables = old.execute("SELECT name FROM main.sqlite_schema WHERE type='table'").fetchall()
    for (table,) in tables:
        if table.startswith("sqlite_") or not columns("new", table):
            continue
        shared = ", ".join(c for c in columns("main", table) if c in columns("new", table))
        old.execute(f"DELETE FROM main.{table}")  # noqa: S608
        rows = f"SELECT {shared} FROM new.{table}"  # noqa: S608
        old.execute(f"INSERT INTO main.{table}({shared}) {rows}")
    old.close()


def inbox_of(store: SqliteStore) -> set[tuple[str, ...]]:
    rows = store.changes(ChangeQuery(limit=1000)).items
    assert {row.state for row in rows} == {"open"} and {row.first_ns for row in rows} == {T0}
    return {(r.kind, r.profile, r.host, r.method, r.route, r.name, r.what) for r in rows}


@pytest.mark.parametrize("version", range(2, schema.VERSION))
def test_store_of_an_older_version_opens_with_all_it_had(tmp_path: Path, version: int) -> None:
    path = tmp_path / "store.sqlite"
    store = SqliteStore(path)
    pods = ("leader-0", "leader-1", "leader-1")
    for n, pod in enumerate((*pods, *pods)):
        days = n * 20 * 3_600 * 10**9
        store.write(incoming(exchange(n, time_ns=T0 + days, pod=pod, status=200 + n % 2)))
    store.write([], [Told(Account(boot=BOOT, numbered=9, lost={"shutdown": 1}), "", "")])
    outcome = "answered" if version >= 6 else ""
    senders = [msgspec.structs.replace(row, outcome=outcome) for row in store.senders()]
    things = inbox_of(store)
    told = store.endpoints(), store.versions(), store.fields(), store.stats().records
    boots = store.boots()
    store.close()
    as_written_by(version, path)
    store = SqliteStore(path)
    try:
        found = store.endpoints(), store.versions(), store.fields(), store.stats().records
        assert (found, store.senders()) == (told, senders)
        assert len(senders) == 2 and sum(row.count for row in senders) == 6
        assert store.stats().schema == schema.VERSION
        assert inbox_of(store) == things and len(things) == 8
        if version >= 5:
            assert store.boots() == boots
        store.write(incoming(exchange(20, pod="leader-0")))
        assert {(row.pod, row.outcome) for row in store.senders()} == {
            ("leader-0", outcome), ("leader-1", outcome), ("leader-0", "answered"),
        }  # fmt: skip
        assert store.senders(Scope(since_ns=0)) == store.senders()
        assert inbox_of(store) == things
    finally:
        store.close()
