"""Reports read roll-ups only, and a page reads no more than it shows."""

from pathlib import Path

import pytest

from app.store import CaptureQuery, Scope
from app.store.reading import Reader
from app.store.schema import open_reader
from app.store.sqlite import SqliteStore
from tests.records import T0, exchange, incoming


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store.sqlite"
    store = SqliteStore(path)
    store.write(incoming(*(exchange(n, time_ns=T0 + n) for n in range(1, 301))))
    store.close()
    return path


def test_reports_never_touch_captures(path: Path) -> None:
    connection = open_reader(path)
    try:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        reader = Reader(connection)
        scope = Scope(since_ns=T0, until_ns=T0 + 10**12, profile="cribl")
        assert reader.endpoints(scope) and reader.versions(scope) and reader.senders(scope)
        assert reader.fields(scope) and reader.boots()
        assert len(statements) == 6
        assert [s for s in statements if "FROM capture" in s or "JOIN capture" in s] == []
    finally:
        connection.close()


def test_like_wildcards_are_letters(path: Path) -> None:
    connection = open_reader(path)
    try:
        assert Reader(connection).captures(CaptureQuery(text="tele%metry")).items == []
        assert Reader(connection).captures(CaptureQuery(text="index_html")).items == []
    finally:
        connection.close()
