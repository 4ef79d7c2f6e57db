"""Each record is stored once, whatever the order, and whatever was remembered or forgotten."""

import random
import sqlite3
from itertools import pairwise

import pytest

from app.store.sqlite import dedup
from app.store.sqlite.dedup import Dedup
from tests.records import BOOT, OTHER_BOOT, exchange, incoming


def runs(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    return connection.execute("SELECT first, last FROM run ORDER BY 1").fetchall()


@pytest.mark.parametrize("seed", range(8))
def test_runs_are_what_a_set_would_be(connection: sqlite3.Connection, seed: int) -> None:
    chance = random.Random(seed)
    some = Dedup(connection)
    seen: set[int] = set()
    for _ in range(60):
        if chance.random() < 0.1:
            some.forget()
        start = chance.randrange(1, 80) if chance.random() < 0.5 else max(seen, default=0) + 1
        seqs = [start + n * chance.choice((1, 1, 1, 2)) for n in range(chance.randrange(1, 8))]
        _, stored = some.take(incoming(*(exchange(n) for n in seqs)))
        assert sorted(seqs[i] for i in stored) == sorted(set(seqs) - seen)
        seen |= set(seqs)
        bounds = runs(connection)
        assert sorted(seen) == [n for first, last in bounds for n in range(first, last + 1)]
        assert all(a[1] + 1 < b[0] for a, b in pairwise(bounds)), "runs that touch are one run"
        assert connection.execute("SELECT max_seq, count FROM boot").fetchone() == (
            max(seen), len(seen),
        )  # fmt: skip


def test_a_stream_in_order_is_one_run_and_reads_nothing(connection: sqlite3.Connection) -> None:
    some = Dedup(connection)
    some.take(incoming(exchange(1)))
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    for start in range(2, 100, 7):
        some.take(incoming(*(exchange(n) for n in range(start, start + 7))))
    connection.set_trace_callback(None)
    assert runs(connection) == [(1, 99)]
    assert [s for s in statements if s.startswith("SELECT")] == []


def test_boots_are_apart_and_more_of_them_than_are_remembered(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dedup, "_CACHE", 2)
    some = Dedup(connection)
    boots = [BOOT, OTHER_BOOT, "ef" * 16, "01" * 16]
    batch = incoming(*(exchange(n, boot=boot) for n in (1, 2) for boot in boots))
    numbers, stored = some.take(batch)
    assert (sorted(numbers), stored) == (sorted(boots), list(range(8)))
    assert some.take(batch)[1] == []
    assert connection.execute("SELECT boot, count FROM boot ORDER BY id").fetchall() == [
        (boot, 2) for boot in boots
    ]
