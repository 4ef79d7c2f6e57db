from collections.abc import Iterator
from pathlib import Path

import pytest

from app.report.inbox import bounded, page, sentence, things
from app.store.changes import ChangeQuery, InboxCounts, NewReview, Thing
from app.store.sqlite.store import SqliteStore
from tests.records import T0, exchange, incoming
from tests.unit.app.store.inboxes import refusal

ENDPOINT = ("cribl", "cdn.cribl.io", "GET", "/telemetry/index.html")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.sqlite")
    store.write(incoming(exchange(1, query=[("v", "1")], headers=[]), refusal(2, "leader-0")))
    store.write(incoming(exchange(3, query=[("v", "a@b.test")], headers=[])))
    yield store
    store.close()


def test_rows_show_what_items_are_about(store: SqliteStore) -> None:
    """The other way round as in `app.store.sightings`: both must name things alike."""
    items = store.changes(ChangeQuery()).items
    of_items = set()
    for item in items:
        names = (item.profile, item.host, item.method, item.route, item.name)
        of_items.add(Thing(item.kind, *names, item.what if item.kind == "class" else ""))
    assert {item.kind for item in items} == {
        "host", "endpoint", "version", "field", "class", "certificate",
    }  # fmt: skip
    assert of_items <= things(store).keys()


def test_a_bound_reader_sees_neither_words_nor_counts(store: SqliteStore) -> None:
    for item in store.changes(ChangeQuery()).items:
        store.decide(item.id, NewReview("objected", "ann", "a word", T0))
    store.write(incoming(exchange(4, query=[("v", "a@b.test")], headers=[])))
    seen = things(store)
    for item in store.changes(ChangeQuery()).items:
        whole = store.change(item.id)
        assert whole and whole.history and (whole.again or whole.kind == "certificate")
        mine = bounded(whole, seen)
        assert mine and (mine.state, mine.who, mine.note, mine.again, mine.last_ns) == (
            "objected", "", "", 0, 0,
        )  # fmt: skip
        assert mine.history == []
        assert bounded(whole, {}) is None


def test_pages_of_a_bound_reader(store: SqliteStore) -> None:
    kept = {t: f for t, f in things(store).items() if t.kind in ("host", "field", "class")}
    asked = ChangeQuery(limit=2)
    first = page(store, asked, lambda: kept)
    assert len(first.items) == 2 and first.next
    rest = page(store, ChangeQuery(limit=2, cursor=first.next), lambda: kept)
    found = [*first.items, *rest.items]
    assert sorted(item.kind for item in found) == ["class", "field", "host"]
    assert rest.next is None and [i.id for i in found] == sorted(
        (i.id for i in found), reverse=True
    )
    # The version that another namespace sent it in first is not searched.
    own = {thing: first._replace(version="9.9") for thing, first in kept.items()}
    assert page(store, ChangeQuery(version="4.16.1-20904e45"), lambda: own).items == []
    assert page(store, ChangeQuery(text="4.16.1-20"), lambda: own).items == []
    assert len(page(store, ChangeQuery(text="9.9", kind="host"), lambda: own).items) == 1


def test_a_sentence_only_where_something_came_again() -> None:
    assert sentence(InboxCounts(open=3, objected=2)) == ""
    assert sentence(InboxCounts(objected=2, again=1)).startswith("1 change that was objected to")
    assert sentence(InboxCounts(objected=2, again=2)).startswith("2 changes that were objected to")
