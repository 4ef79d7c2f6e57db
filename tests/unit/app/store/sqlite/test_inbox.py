"""The inbox's bounds, and the tables of a store that had none. What every store promises of it is
in the suite."""

from pathlib import Path

import pytest

from app.contract.reviews import State
from app.store import OTHER
from app.store.changes import ChangeQuery, InboxCounts, InboxItem, NewReview
from app.store.sqlite import inbox
from app.store.sqlite.store import SqliteStore
from tests.records import T0, exchange, incoming


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqliteStore:
    monkeypatch.setattr(inbox, "OF_PROFILE", 12)
    monkeypatch.setattr(inbox, "CHANGES", 20)
    return SqliteStore(tmp_path / "store.sqlite")


def verdict(state: State) -> NewReview:
    return NewReview(state, "ann", "", T0)


def fields(first: int, count: int, **given: object) -> list[tuple[str, str]]:
    return [(f"f{n}", "") for n in range(first, first + count)]


def write(store: SqliteStore, seq: int, first: int, count: int, **given: object) -> None:
    query = fields(first, count)
    store.write(incoming(exchange(seq, query=query, headers=[], **given)))


def every(store: SqliteStore, profile: str = "cribl") -> list[InboxItem]:
    return store.changes(ChangeQuery(profile=profile, limit=1000)).items


def test_a_sender_of_endless_names_fills_its_profile_only(store: SqliteStore) -> None:
    write(store, 1, 0, 100)
    (unlisted, *listed) = every(store)
    assert (unlisted.kind, unlisted.again, unlisted.state) == ("unlisted", 103 - 12, "open")
    assert len(listed) == 12
    write(store, 2, 100, 10)
    assert every(store)[0].again == 103 - 12 + 10 and len(every(store)) == 13
    write(store, 3, 0, 3, profile="grafana")
    assert len(every(store, "grafana")) == 6
    store.close()


def test_accepted_items_make_room_and_others_stay(store: SqliteStore) -> None:
    write(store, 1, 0, 9)
    for n, item in enumerate(every(store)[::-1]):
        store.decide(item.id, verdict(("accepted", "objected", "watched")[n % 3]))
    kept = [item.id for item in every(store)[::-1]]
    write(store, 2, 9, 2)
    assert [item.id for item in every(store)[::-1]] == [
        *(id for n, id in enumerate(kept) if n not in (0, 3)), 13, 14,
    ]  # fmt: skip
    assert store.change(kept[0]) is None
    write(store, 3, 0, 9)  # what an item that went was about is known
    assert store.inbox() == InboxCounts(open=2, accepted=2, watched=4, objected=4, again=4, last=14)
    write(store, 4, 20, 9)
    assert store.inbox().accepted == 0
    assert (every(store)[0].kind, every(store)[0].again) == ("unlisted", 7)
    store.close()


def test_more_of_what_is_not_listed_opens_it_again(store: SqliteStore) -> None:
    write(store, 1, 0, 40)
    item = every(store)[0]
    store.decide(item.id, verdict("accepted"))
    assert every(store)[0].again == 0
    write(store, 2, 40, 2)
    assert (every(store)[0].state, every(store)[0].again) == ("open", 2)
    store.close()


def test_endless_profiles_share_an_item(store: SqliteStore) -> None:
    for n in range(12):
        write(store, n, 0, 1, profile=f"p{n}")
    assert len(store.changes(ChangeQuery(limit=1000)).items) == 21
    (shared,) = every(store, OTHER)
    assert (shared.kind, shared.again) == ("unlisted", 12 * 4 - 20)
    store.close()


def test_the_last_decisions_are_kept(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "HISTORY", 3)
    write(store, 1, 0, 1)
    states: list[State] = ["accepted", "watched", "objected", "open", "accepted"]
    for state in states:
        store.decide(1, verdict(state))
    found = store.change(1)
    assert found and found.revision == 5
    assert [d.state for d in found.history] == states[-3:]
    store.close()


def test_what_another_process_decides_is_followed(store: SqliteStore) -> None:
    write(store, 1, 0, 1)
    other = SqliteStore(store.path)  # as the command line, where no app runs
    host = other.changes(ChangeQuery(kind="host")).items[0]
    other.decide(host.id, verdict("objected"))
    other.close()
    write(store, 2, 0, 1)
    assert store.inbox().again == 1
    store.close()


def test_nothing_is_read_where_nothing_is_new(store: SqliteStore) -> None:
    """Ingest pays for the inbox only when there is news."""
    write(store, 1, 0, 3)
    write(store, 2, 0, 3)
    statements: list[str] = []
    with store._writing() as writer:
        writer.connection.set_trace_callback(statements.append)
    write(store, 3, 0, 3)
    with store._writing() as writer:
        writer.connection.set_trace_callback(None)
    assert statements and not [s for s in statements if " change " in s or " decision " in s]
    store.close()
