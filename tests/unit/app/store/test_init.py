"""The store's plain types travel as JSON, and the embedded store keeps the protocol."""

from pathlib import Path

import msgspec

from app.store import CaptureQuery, NewField, Page, Scope, Store
from app.store.sqlite.store import SqliteStore


def test_types_are_plain_data() -> None:
    for value in (
        CaptureQuery(status="4xx", text="é"),
        Page([b"{}"], None, "newest.1.1"),
        Scope(profile="cribl"),
        NewField("cribl", "h", "GET", "/", "1", "query.v", "string"),
    ):
        assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


def test_sqlite_is_a_store(tmp_path: Path) -> None:
    store: Store = SqliteStore(tmp_path / "store.sqlite")
    try:
        missing = [n for n in vars(Store) if not n.startswith("_") and not hasattr(store, n)]
        assert missing == []
    finally:
        store.close()
