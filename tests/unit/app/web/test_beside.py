from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.contract.record import encode
from app.store.sqlite.store import SqliteStore
from app.web.beside import beside, compared, previous
from app.web.content import MOST
from tests.records import SECOND, T0, exchange, incoming, spliced
from tests.serving import Served
from tests.unit.app.web.conftest import bounded, sign_in
from tests.unit.app.web.samples import id_of


def test_what_was_added_gone_and_changed() -> None:
    before = exchange(1, query=[("a", "1"), ("b", "x"), ("lic", "***"), ("r", "1"), ("r", "2")])
    after = exchange(
        2, query=[("a", "2"), ("c", "y"), ("lic", "***"), ("r", "1"), ("r", "3")], status=403
    )
    found = beside(before, after)
    assert [(c.kind, c.place, c.name, c.was and c.was.value, c.now and c.now.value)
            for c in found.changes] == [
        ("changed", "capture", "status", "200", "403"),
        ("changed", "query", "a", "1", "2"),
        ("gone", "query", "b", "x", None),
        ("changed", "query", "r", "2", "3"),
        ("added", "query", "c", None, "y"),
    ]  # fmt: skip
    assert found.masked == 1  # nobody can tell
    assert found.same > 2 and not found.more
    assert beside(after, after).changes == []


def test_a_type_that_changed_is_a_change() -> None:
    before, after = exchange(1, query=[("a", "")]), exchange(2, query=[("a", "0")])
    (change,) = beside(before, after).changes
    assert change.was and change.now and (change.was.type, change.now.type) == ("empty", "integer")


def test_many_values_are_cut_and_said() -> None:
    wide = exchange(1, query=[(f"n{n}", "1") for n in range(MOST + 9)])
    assert beside(wide, wide).more


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.sqlite")
    yield store
    store.close()


def test_the_previous_one_is_the_same_senders_to_the_same_endpoint(store: SqliteStore) -> None:
    def at(n: int, **given: str):
        return exchange(n, time_ns=T0 + n * SECOND, **given)

    store.write(incoming(
        at(1), at(2, pod="other"), at(3, method="POST"), at(4, host="x.test"), at(5, route="/x"),
        at(6, namespace="edge"), at(8),
    ))  # fmt: skip
    found = previous(store, at(7), None)
    assert found is not None and found.seq == 1
    assert previous(store, at(1), None) is None
    assert previous(store, at(7), ("edge",)) is None
    assert previous(store, spliced(9), None) is None


def test_a_name_with_an_asterisk_finds_itself_alone(store: SqliteStore) -> None:
    store.write(incoming(exchange(1, host="abc.test"), exchange(2, host="a*.test", time_ns=T0 - 9)))
    found = previous(store, exchange(3, host="a*.test", time_ns=T0 + 1), None)
    assert found is not None and found.seq == 2


def test_a_pin(store: SqliteStore) -> None:
    one, other = exchange(1), exchange(2, query=[("new", "1")])

    def here(pin: str) -> str:
        return f"?pin={pin}"

    found = compared(store, other, None, encode(one), one.id, here)
    assert found.pinned and found.pinned.id == one.id
    assert (found.pin_url, found.unpin_url) == (f"?pin={other.id}", "?pin=")
    assert compared(store, other, None, encode(other), other.id, here).pinned is None
    assert compared(store, other, None, None, "gone-1", here).pinned is None


@pytest.mark.parametrize("address", ["/captures/{}?pin={}", "/captures?open={}&pin={}"])
def test_the_views_show_both(visitor: httpx.Client, address: str) -> None:
    text = visitor.get(address.format(id_of(4), id_of(1))).text
    assert "Against the pinned one" in text and "Against the previous one of this sender" in text
    text = visitor.get(address.format(id_of(4), id_of(4))).text
    assert "This one is pinned" in text and "Unpin" in text
    assert (
        "not stored, or not yours" in visitor.get(address.format(id_of(4), "cd" * 16 + "-9")).text
    )
    assert "No earlier request" in visitor.get(address.format(id_of(1), "")).text
    assert "Pin to compare" in visitor.get(address.format(id_of(4), "")).text
    for odd in ("x", "../../etc", "1-1", "9" * 500):
        assert visitor.get(address.format(id_of(4), odd)).status_code == 200


def test_a_row_keeps_the_pin(visitor: httpx.Client) -> None:
    assert f"pin={id_of(1)}" in visitor.get(f"/captures?pin={id_of(1)}").text


def test_another_namespaces_capture_is_neither_pinned_nor_previous(filled: Served) -> None:
    filled.runtime.store.write(incoming(exchange(40, namespace="edge", query=[("mine", "1")])))
    bounded(filled, "edge")
    with sign_in(filled) as client:
        text = client.get(f"/captures/{id_of(40)}?pin={id_of(1)}").text
    assert "not stored, or not yours" in text and "Against the pinned" not in text
