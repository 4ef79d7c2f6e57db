"""The store's plain types travel as JSON, and the promises are enough for a second store."""

from pathlib import Path

import msgspec
import pytest

from app.store import CaptureQuery, NewField, Page, Scope, Store
from app.store.sqlite.repeated_lines import Repeated
from app.store.sqlite.store import SqliteStore
from tests.lines import arrived, line_of
from tests.unit.app.store.memory import MemoryStore
from tests.unit.app.store.suite import StoreSuite


def test_types_are_plain_data() -> None:
    for value in (
        CaptureQuery(status="4xx", text="é"),
        Page([b"{}"], None, "newest.1.1"),
        Scope(profile="cribl"),
        NewField("cribl", "h", "GET", "/", "1", "query.v", "string"),
    ):
        assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


class TestMemoryStore(StoreSuite):
    def open(self, directory: Path) -> Store:
        return MemoryStore(directory)


@pytest.mark.usefixtures("at_once")
def test_another_store_needs_to_know_nothing_of_repeated_lines(tmp_path: Path) -> None:
    batch = [arrived(line_of(1, seq)) for seq in range(1, 9)]
    assert any(isinstance(one, Repeated) for one in batch)
    stores: list[Store] = [MemoryStore(tmp_path), SqliteStore(tmp_path / "store.sqlite")]
    results = []
    for store in stores:
        written = store.write(batch)
        pages = [store.captures(CaptureQuery(order=order)) for order in ("newest", "arrival")]
        rows = (store.endpoints(), store.versions(), store.senders(), store.fields())
        results.append((written, pages, *rows))
        store.close()
    assert results[0] == results[1]
