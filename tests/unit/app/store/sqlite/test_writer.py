"""A dictionary that is trained once there is enough, and facets and forms that repeat."""

import sqlite3

import pytest

from app.store.sqlite import writer as writing
from app.store.sqlite.reader import Reader
from app.store.sqlite.writer import Writer
from tests.lines import forms_of
from tests.records import exchange, incoming


def writer_on(connection: sqlite3.Connection) -> Writer:
    return Writer(connection)


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


def test_captures_that_are_alike_share_a_facet(connection: sqlite3.Connection) -> None:
    writer = writer_on(connection)
    writer.write(incoming(exchange(1), exchange(2), exchange(3, status=503)))
    writer_on(connection).write(incoming(exchange(4), exchange(5, pod="leader-1")))
    facets = connection.execute(
        "SELECT seq, status, pod FROM capture JOIN facet ON facet.id=facet_id ORDER BY seq"
    ).fetchall()
    assert facets == [
        (1, 200, "leader-0"), (2, 200, "leader-0"), (3, 503, "leader-0"), (4, 200, "leader-0"),
        (5, 200, "leader-1"),
    ]  # fmt: skip
    assert connection.execute("SELECT count(*) FROM facet").fetchone() == (3,)


def kept_forms(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    """(boot, dictionary) of each."""
    return connection.execute("SELECT boot_id, dictionary_id FROM form ORDER BY id").fetchall()


def test_a_form_is_kept_once_for_each_boot_and_dictionary(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, others = forms_of(1, 400), forms_of(2, 40)
    writer = writer_on(connection)
    writer.write(lines[:100])
    writer.forget()  # as after pruning
    writer.write(lines[100:200] + others[:20])
    assert kept_forms(connection) == [(1, 0), (2, 0)]
    writer_on(connection).write(lines[200:300] + others[20:])
    assert kept_forms(connection) == [(1, 0), (2, 0)]
    monkeypatch.setattr(writing, "TRAIN_AFTER", 200)
    writer = writer_on(connection)
    writer.write(incoming(*(exchange(n) for n in range(1, 301))))
    writer.train()
    writer.write(lines[300:])
    assert kept_forms(connection) == [(1, 0), (2, 0), (1, 1)]
    reader = Reader(connection)
    for one in (*lines, *others):
        assert reader.capture(one.record.id) == one.line


def test_a_form_of_a_batch_that_failed_is_forgotten(connection: sqlite3.Connection) -> None:
    lines, others = forms_of(1, 20), forms_of(2, 20)
    writer = writer_on(connection)
    connection.execute(
        "CREATE TRIGGER no BEFORE INSERT ON observed BEGIN SELECT raise(ABORT, ''); END"
    )
    with pytest.raises(sqlite3.Error):
        writer.write(lines)
    connection.execute("DROP TRIGGER no")
    assert kept_forms(connection) == []
    writer.write(others)
    writer.write(lines)
    reader = Reader(connection)
    for one in (*lines, *others):
        assert reader.capture(one.record.id) == one.line
