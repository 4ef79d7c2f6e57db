"""Reports read roll-ups only, and a page reads no more than it shows."""

import re
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


@pytest.mark.parametrize("profile", [None, "cribl"])
@pytest.mark.parametrize("since", [None, T0])
@pytest.mark.parametrize("until", [None, T0 + 10**12])
def test_reports_read_totals_or_the_hours_of_their_time(
    path: Path, since: int | None, until: int | None, profile: str | None
) -> None:
    connection = open_reader(path)
    try:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        reader, scope = Reader(connection), Scope(since_ns=since, until_ns=until, profile=profile)
        assert reader.endpoints(scope) and reader.versions(scope) and reader.senders(scope)
        connection.set_trace_callback(None)
        plans = [
            row[3]
            for statement in statements
            for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
        rollups = [plan for plan in plans if re.search("traffic|sender", plan)]
        assert len(rollups) == 4
        if since is None and until is None:
            assert all("_total" in plan for plan in rollups)
        else:
            bound = r"USING PRIMARY KEY \((hour|day)[<>]"
            assert all(re.search(bound, plan) for plan in rollups), rollups
    finally:
        connection.close()


def test_like_wildcards_are_letters(path: Path) -> None:
    connection = open_reader(path)
    try:
        assert Reader(connection).captures(CaptureQuery(text="tele%metry")).items == []
        assert Reader(connection).captures(CaptureQuery(text="index_html")).items == []
    finally:
        connection.close()
