"""A batch sums to what one record after the other would have."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.contract.record import Body, CaptureRecord, Message
from app.store import OTHER
from app.store.rollup import sender, sizes
from app.store.sqlite import SqliteStore
from tests.records import BOOT, HOUR, T0, exchange, incoming, spliced

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


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=RECORDS, cut=st.integers(0, 30))
def test_sums_do_not_depend_on_the_batches(
    tmp_path: Path, records: list[CaptureRecord], cut: int
) -> None:
    stores = []
    for name, batches in (
        ("one", [[r] for r in records]),
        ("two", [records[:cut], records[cut:]]),
    ):
        path = tmp_path / f"{name}.sqlite"
        for old in tmp_path.glob(f"{path.name}*"):
            old.unlink()
        store = SqliteStore(path)
        for batch in batches:
            store.write(incoming(*batch))
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


def test_reason_that_is_not_known_shares_a_name(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite")
    try:
        store.write(incoming(exchange(1, reason="of a newer sidecar"), exchange(2, reason="loop")))
        assert {row.reason for row in store.endpoints()} == {OTHER, "loop"}
    finally:
        store.close()


def test_sizes() -> None:
    assert sizes(spliced(1)) == (100, 2_000)
    post = exchange(1, path="/p", query=[("a", "bc")], body=Body(size=1_000))
    assert sizes(post) == (2 + 5 + 1_000, 29)
    message = Message(of=f"{BOOT}-1", sender="client", body=Body(size=7))
    assert sizes(exchange(2, kind="message", message=message, response=None)) == (7, 0)


def test_sender() -> None:
    assert sender(exchange(1)) == "leader-0"
    assert sender(exchange(1, pod="", namespace="")) == "10.1.2.3"
    assert sender(exchange(1, pod="", namespace="", client=None)) == ""
