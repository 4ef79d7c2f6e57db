"""Runs of sequence numbers, and a dictionary that is trained once there is enough."""

import random
import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from app.store import writing
from app.store.schema import open_writer
from app.store.writing import Writer
from tests.records import exchange, incoming


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_writer(tmp_path / "store.sqlite")
    yield connection
    connection.close()


def writer_on(connection: sqlite3.Connection) -> Writer:
    return Writer(connection, lambda profile, rule: ())


def runs(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    return connection.execute("SELECT first, last FROM run ORDER BY 1").fetchall()


@pytest.mark.parametrize("seed", range(5))
def test_runs_are_what_a_set_would_be(connection: sqlite3.Connection, seed: int) -> None:
    chance = random.Random(seed)
    writer = writer_on(connection)
    seen: set[int] = set()
    for _ in range(40):
        seqs = [chance.randrange(1, 80) for _ in range(chance.randrange(1, 8))]
        batch = incoming(*(exchange(n) for n in seqs))
        stored = [seqs[i] for i in writer.write(batch).stored]
        assert sorted(stored) == sorted(set(seqs) - seen)
        seen |= set(seqs)
        numbers = [n for first, last in runs(connection) for n in range(first, last + 1)]
        assert numbers == sorted(seen)
        bounds = runs(connection)
        assert all(a[1] + 1 < b[0] for a, b in pairwise(bounds)), "runs that touch are one run"


def test_a_stream_in_order_is_one_run(connection: sqlite3.Connection) -> None:
    writer = writer_on(connection)
    for start in range(1, 100, 10):
        writer.write(incoming(*(exchange(n) for n in range(start, start + 10))))
    assert runs(connection) == [(1, 100)]


def test_dictionary_is_trained_once_and_used_after_a_restart(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "TRAIN_AFTER", 200)
    writer = writer_on(connection)
    for start in range(1, 401, 100):
        writer.write(incoming(*(exchange(n) for n in range(start, start + 100))))
        writer.train()
    writer_on(connection).write(incoming(exchange(500)))
    used = connection.execute("SELECT seq, dictionary_id FROM capture").fetchall()
    assert {n: d for n, d in used if n in (1, 200, 201, 400, 500)} == {
        1: 0, 200: 0, 201: 1, 400: 1, 500: 1,
    }  # fmt: skip
    assert connection.execute("SELECT count(*) FROM dictionary").fetchone() == (1,)


def test_records_that_teach_nothing_are_kept_all_the_same(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "TRAIN_AFTER", 3)
    writer = writer_on(connection)
    for n in range(1, 10):
        writer.write(incoming(exchange(n)))
        writer.train()
    assert connection.execute("SELECT records FROM total").fetchone() == (9,)
