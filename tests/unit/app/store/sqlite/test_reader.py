"""Reports read roll-ups only, and a page reads no more than it shows."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest
from msgspec.structs import replace

from app.contract.record import Body, Workload, decode
from app.store import CaptureQuery, Scope
from app.store.facts import DAY
from app.store.sqlite.reader import Reader
from app.store.sqlite.schema import open_reader
from app.store.sqlite.store import SqliteStore
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
        assert len(statements) == 7
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


def test_senders_of_all_time_are_those_of_every_day(tmp_path: Path) -> None:
    """A host's routes are one line: added up here, or by SQLite where there are days."""
    path = tmp_path / "store.sqlite"
    with closing(SqliteStore(path)) as store:
        store.write(
            incoming(*(
                exchange(n, time_ns=T0 + n * DAY // 7, route=f"/{n % 3}", host=f"{n % 2}.example",
                         product_version=f"4.{n % 4}", query=[("n", "x" * n)],
                         workload=Workload(pod=f"pod-{n % 5}", node=f"node-{n % 3}"))
                for n in range(300)
            ))
        )  # fmt: skip
        senders = store.senders()
        assert senders == store.senders(Scope(since_ns=0))
    assert len(senders) == 5 * 4  # each version is of one host
    assert {row.count for row in senders} == {15}
    assert {row.node for row in senders} == {"node-2"}


def test_sums_that_no_number_holds_end_at_the_largest(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.write(incoming(exchange(301, route="/other")))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE sender_total SET bytes_out=9e18")
    with closing(SqliteStore.open_readonly(path)) as store:
        assert [row.bytes_out for row in store.senders()] == [(1 << 63) - 1]


def test_like_wildcards_are_letters(path: Path) -> None:
    connection = open_reader(path)
    try:
        assert Reader(connection).captures(CaptureQuery(text="tele%metry")).items == []
        assert Reader(connection).captures(CaptureQuery(text="index_html")).items == []
    finally:
        connection.close()


@pytest.mark.parametrize("order", ["newest", "oldest", "arrival"])
def test_a_page_ends_when_it_is_large(
    tmp_path: Path, order: Literal["newest", "oldest", "arrival"]
) -> None:
    body = Body(text="x" * (3 << 20), size=3 << 20)
    with closing(SqliteStore(tmp_path / "store.sqlite")) as store:
        store.write(incoming(*(exchange(n, method="POST", body=body) for n in range(1, 15))))
        query, found = CaptureQuery(order=order, limit=1000), []
        while True:
            page = store.captures(query)
            found.append([decode(item).seq for item in page.items])
            if page.next is None:
                break
            query = replace(query, cursor=page.next)
    assert [len(one) for one in found] == [6, 6, 2]
    assert sorted(n for one in found for n in one) == list(range(1, 15))
