import sqlite3
from pathlib import Path

import pytest

from app.contract.record import Body
from app.store.sqlite.store import SqliteStore
from tests.records import exchange, incoming

KEY = b"k" * 32


def counts(store: SqliteStore) -> dict[str, tuple[int, int]]:
    return {row.path: (row.distinct, row.looked) for row in store.sketches()}


def test_sketches_outlive_a_restart(tmp_path: Path) -> None:
    for n in range(3):
        store = SqliteStore(tmp_path / "s", KEY)
        store.write(incoming(exchange(n + 1, query=[("a", str(n))])))
        store.close()
    readonly = SqliteStore.open_readonly(tmp_path / "s")
    assert counts(readonly)["query.a"] == (3, 3)
    readonly.close()


def test_without_a_key_no_value_is_looked_at(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s")
    store.write(incoming(exchange(1)))
    assert store.sketches() == []
    store.close()


def test_a_batch_costs_a_few_looks(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s", KEY)
    store.write(incoming(*(exchange(n, query=[("a", str(n))]) for n in range(1, 500))))
    assert counts(store)["query.a"] == (1, 1)  # alike but for values: the first stands for them
    store.write(incoming(*(exchange(n, pod=f"p{n}") for n in range(500, 600))))
    assert counts(store)["query.os"] == (1, 16)
    large = Body(text='{"x":"' + "y" * 20_000 + '"}', size=20_010)
    store.write(incoming(exchange(600, body=large)))
    assert "body.x" not in counts(store)
    store.close()


def test_a_batch_that_was_not_written_left_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path / "s", KEY)
    store.write(incoming(exchange(1, query=[("a", "1")])))
    with pytest.raises(UnicodeEncodeError):
        store.write(incoming(exchange(2, query=[("a", "2")]), exchange(3, host="\ud800")))
    store.write(incoming(exchange(4, query=[("a", "3")])))
    assert counts(store)["query.a"] == (2, 2)
    store.close()


def test_no_value_is_in_the_table(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s", KEY)
    store.write(incoming(exchange(1, query=[("a", "somebody@example.test")])))
    store.close()
    with sqlite3.connect(tmp_path / "s") as connection:
        rows = connection.execute("SELECT hashes FROM sketch").fetchall()
    connection.close()
    assert rows and not any(b"somebody" in hashes for (hashes,) in rows)
