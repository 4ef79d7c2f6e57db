"""The rows of some namespaces are read once, in bounded steps, and follow what arrives."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.store import Scope, questions
from app.store.sqlite import part
from app.store.sqlite.store import SqliteStore
from tests.records import exchange, incoming
from tests.waiting import wait_for


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.sqlite")
    for start in range(1, 200, 20):
        store.write(
            incoming(*(exchange(n, namespace=f"ns-{n % 2}", path=f"/{n % 9}")
                       for n in range(start, start + 20)))
        )  # fmt: skip
    yield store
    store.close()


def asked(store: SqliteStore, *names: str) -> tuple[int, int, bool]:
    found = store.part(names, lambda *_: ())
    count = sum(row.count for row in found.endpoints(Scope()))
    return found.read, count, not found.back_to_ns


def test_reading_goes_on_where_it_ended(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "LONGEST_S", -1)
    monkeypatch.setattr(part, "_STRETCH", 40)
    assert asked(store, "ns-1") == (40, 40, False)
    store.write(incoming(exchange(301, namespace="ns-1"), exchange(302, namespace="ns-0")))
    assert asked(store, "ns-1") == (80, 80, False)
    assert asked(store, "ns-1") == (101, 101, True)
    assert asked(store, "ns-1") == (101, 101, True)


def test_what_is_beyond_the_most_is_not_read(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "MOST", 30)
    assert asked(store, "ns-1") == (30, 30, False)
    newest = store.part(["ns-1"], lambda *_: ()).versions(Scope())
    assert newest and asked(store, "ns-1") == (30, 30, False)


def test_captures_that_went_meanwhile_are_left_out(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "LONGEST_S", -1)
    monkeypatch.setattr(part, "_STRETCH", 10)
    assert asked(store, "ns-0")[:2] == (10, 10)
    store.prune(max_bytes=1)
    assert asked(store, "ns-0")[:2] == (10, 10)


def test_they_are_read_anew_after_a_while(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store.part(["ns-0", "ns-1"], lambda *_: ())
    assert store.part(["ns-1", "ns-0"], lambda *_: ()) is before
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + part.KEPT_S)
    monkeypatch.setattr("app.store.questions.LONGEST_S", 3 * part.KEPT_S)
    assert store.part(["ns-1", "ns-0"], lambda *_: ()) is not before


def test_only_the_last_ones_are_kept(store: SqliteStore) -> None:
    first = store.part(["ns-1"], lambda *_: ())
    for number in range(part._PARTS):
        store.part([f"other-{number}"], lambda *_: ())
    assert len(store._parts._kept) == part._PARTS
    assert store.part(["ns-1"], lambda *_: ()) is not first
    assert first.endpoints(Scope())  # whoever has it may read on


@pytest.mark.parametrize(("near", "by"), [(1_000, "INTEGER PRIMARY KEY"), (0, "capture_facet")])
def test_new_captures_are_found_by_index(
    store: SqliteStore, near: int, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "_NEAR", near)
    said: list[str] = []
    with store._readers.one() as reader:
        reader.connection.set_trace_callback(said.append)
    assert asked(store, "ns-1") == (100, 100, True)
    with store._readers.one() as reader:
        reader.connection.set_trace_callback(None)
        (listing,) = (one for one in said if "id DESC LIMIT" in one)
        plan = [r[3] for r in reader.connection.execute(f"EXPLAIN QUERY PLAN {listing}")]
    (of_captures,) = (line for line in plan if re.search(r"\bcapture\b", line))
    assert of_captures.startswith("SEARCH") and by in of_captures


async def test_a_page_gets_what_is_read_at_once_and_the_rest_is_read_behind_it(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "SOON_S", 0)
    monkeypatch.setattr(part, "_STRETCH", 10)
    behind: list[Any] = []
    read_on = store._parts.read_on
    monkeypatch.setattr(store._parts, "read_on", lambda *given: behind.append(given))
    for name in ("ns-0", "ns-1"):
        found = await questions.ask(lambda name=name: asked(store, name), soon=True)
        assert found == (10, 10, False)
    for given in behind:
        read_on(*given)
    for name in ("ns-0", "ns-1"):
        of = store._parts.get([name], lambda *_: ())
        wait_for(lambda of=of: of.read == 100)
        assert asked(store, name) == (100, 100, True)
    wait_for(lambda: not store._parts._reading)


async def test_reading_behind_a_page_ends_with_the_store(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "SOON_S", 0)
    monkeypatch.setattr(part, "_STRETCH", 1)
    await questions.ask(lambda: asked(store, "ns-1"), soon=True)
    store.close()
    wait_for(lambda: not store._parts._reading)
