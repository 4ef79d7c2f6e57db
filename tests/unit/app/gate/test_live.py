"""app/gate/live.py: captures are checked as they come, to the first violation or the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client.source import StoreSource
from app.gate import live
from app.gate.contract_file import Contract
from app.store import CaptureQuery, Page
from app.store.sqlite.store import SqliteStore
from tests.records import exchange, incoming, log

OPEN = Contract(contract=1, profile="cribl", hosts=["cdn.cribl.io", "a.example"])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.db")
    store.write(incoming(exchange(1, host="before.example")))
    yield store
    store.close()


class Arriving(StoreSource):
    """Something comes between one question and the next."""

    asked = 0

    def page(self, query: CaptureQuery) -> Page:
        self.asked += 1
        if query.order == "arrival":
            assert isinstance(self.store, SqliteStore)
            host = "a.example" if self.asked < 5 else "evil.example"
            self.store.write(incoming(exchange(100 + self.asked, host=host), log(self.asked, "x")))
        return super().page(query)


def test_it_ends_at_the_first_violation(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_POLL_S", 0.01)
    endless = Contract(contract=1, profile="cribl", hosts=["cdn.cribl.io", "a.example"])
    monkeypatch.setattr(live, "check", lambda contract, seen: "evil.example" in seen.hosts)
    found = live.watch(Arriving(store), endless, "cribl", None, 60)
    assert found.hosts["evil.example"].count == 1 and found.hosts["a.example"].count >= 1
    assert "before.example" not in found.hosts


def test_a_real_violation_ends_it_at_once(store: SqliteStore) -> None:
    found = live.watch(Arriving(store), OPEN, "cribl", None, 60)
    assert found.captures == 1  # an endpoint that the contract does not name


def test_it_ends_when_its_time_is_over(store: SqliteStore) -> None:
    assert live.watch(StoreSource(store), OPEN, "cribl", None, 0.05).captures == 0


@pytest.mark.parametrize(
    ("version", "hosts"),
    [
        (None, {"old.example", "new.example", "unsaid.example", "cdn.cribl.io"}),
        ("2", {"new.example", "unsaid.example"}),
    ],
)
def test_a_version_has_what_never_names_one(
    store: SqliteStore, version: str | None, hosts: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of what is stored: cdn.cribl.io names versions elsewhere."""
    records = [
        exchange(10, host="old.example", product_version="1"),
        exchange(11, host="new.example", product_version="2"),
        exchange(12, host="unsaid.example", product_version="", query=[]),
        exchange(13, product_version="", query=[]),
    ]
    monkeypatch.setattr(live, "check", lambda contract, seen: [])
    store.write(incoming(exchange(2, product_version="2")))
    place = live.end(StoreSource(store))
    monkeypatch.setattr(live, "end", lambda source: place)
    store.write(incoming(*records))
    found = live.watch(StoreSource(store), OPEN, "cribl", version, 0)
    assert set(found.hosts) == hosts
    assert bool(found.notes) == (version is not None)  # of what belongs to no version
