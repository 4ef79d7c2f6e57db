"""A batch sums to what one record after the other would have, and totals to what hours and days
hold."""

import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.contract.record import CaptureRecord, Workload
from app.store import OTHER, Scope
from app.store.sqlite.rollup import SENDER, TRAFFIC
from app.store.sqlite.schema import open_writer
from app.store.sqlite.store import SqliteStore
from tests.records import HOUR, T0, exchange, incoming

RECORDS = st.lists(
    st.builds(
        exchange,
        st.integers(1, 40),
        time_ns=st.sampled_from([T0, T0 + HOUR, T0 + 30 * HOUR]),
        status=st.sampled_from([200, 503]),
        product_version=st.sampled_from(["", "4.16.1", "4.17.0"]),
        pod=st.sampled_from(["a", "b"]),
        query=st.lists(st.sampled_from([("v", "1"), ("x", ""), ("y", "true")]), max_size=3),
    ),
    max_size=30,
)


ANY_TIME = Scope(since_ns=0)  # reads hours and days, not totals
examples = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def emptied(path: Path) -> Path:
    for old in path.parent.glob(f"{path.name}*"):
        old.unlink()
    return path


def check_totals(store: SqliteStore) -> None:
    assert store.endpoints() == store.endpoints(ANY_TIME)
    assert store.versions() == store.versions(ANY_TIME)
    assert store.senders() == store.senders(ANY_TIME)


@examples
@given(records=RECORDS, cut=st.integers(0, 30))
def test_sums_do_not_depend_on_the_batches(
    tmp_path: Path, records: list[CaptureRecord], cut: int
) -> None:
    stores = []
    for name, batches in (
        ("one", [[r] for r in records]),
        ("two", [records[:cut], records[cut:]]),
    ):
        store = SqliteStore(emptied(tmp_path / f"{name}.sqlite"))
        for batch in batches:
            store.write(incoming(*batch))
        check_totals(store)
        stores.append(
            (store.endpoints(), store.versions(), store.senders(), store.fields(), len(records))
        )
        store.close()
    assert stores[0] == stores[1]
    kept = {record.seq: record for record in reversed(records)}
    assert sum(row.count for row in stores[0][0]) == len(kept)
    assert sum(row.count for row in stores[0][2]) == len(kept)
    with_x = [r for r in kept.values() if r.request and ("x", "") in r.request.query]
    assert sum(row.count for row in stores[0][3] if row.path == "query.x") == len(with_x)


@examples
@given(before=RECORDS, after=RECORDS, cuts=st.lists(st.integers(-1, 32), min_size=1, max_size=3))
def test_totals_lose_what_is_dropped(
    tmp_path: Path, before: list[CaptureRecord], after: list[CaptureRecord], cuts: list[int]
) -> None:
    store = SqliteStore(emptied(tmp_path / "store.sqlite"))
    store.write(incoming(*before))
    for hours in cuts:  # and what came late is in the next one
        store.prune(max_age_s=time.time() - (T0 + hours * HOUR) / 1e9)
        check_totals(store)
        store.write(incoming(*after))
        check_totals(store)
    store.prune(max_age_s=0)
    check_totals(store)
    assert store.endpoints() == []
    store.close()


def test_dropping_reads_what_it_drops_and_one_row_of_each_group(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = SqliteStore(path)
    store.write(incoming(*(exchange(n, time_ns=T0 + n * HOUR) for n in range(1, 60))))
    store.close()
    connection = open_writer(path)
    try:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        for rollup in (TRAFFIC, SENDER):
            rollup.drop(connection, T0 + 30 * HOUR)
        connection.set_trace_callback(None)
        plans = [
            row[3]
            for statement in statements
            for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
            if not statement.startswith("INSERT")
        ]
        scans = [plan for plan in plans if plan.startswith("SCAN")]
        assert scans and all("_total" in plan for plan in scans), plans
        assert not any("TEMP B-TREE" in plan for plan in plans), plans
    finally:
        connection.close()


def test_sender_is_as_last_seen(tmp_path: Path) -> None:
    """By the records' time, whatever the order they come in."""
    store = SqliteStore(tmp_path / "store.sqlite")
    try:
        for seq, days, node in ((1, 1, "b"), (2, 2, "a"), (3, 0, "c")):
            workload = Workload(namespace="logs", pod="leader-0", node=node, image=f"of-{node}")
            store.write(incoming(exchange(seq, time_ns=T0 + days * 24 * HOUR, workload=workload)))
        (row,) = store.senders()
        assert (row.node, row.image, row.count) == ("a", "of-a", 3)
    finally:
        store.close()


def test_reason_that_is_not_known_shares_a_name(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite")
    try:
        store.write(incoming(exchange(1, reason="of a newer sidecar"), exchange(2, reason="loop")))
        assert {row.reason for row in store.endpoints()} == {OTHER, "loop"}
    finally:
        store.close()


def test_of_node_and_image_the_latest_stay(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite")
    try:
        on = [Workload(namespace="logs", pod="leader-0", node=f"node-{n}") for n in range(2)]
        batch = [exchange(n, time_ns=T0 + n, workload=on[n % 2]) for n in (1, 2, 3)]
        store.write(incoming(*batch))
        assert [(row.node, row.count) for row in store.senders()] == [("node-1", 3)]
    finally:
        store.close()
