"""What every store promises, as tests. A store's own test file subclasses StoreSuite and says how
one is opened."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from app.contract.record import Body, encode
from app.store import (
    CaptureQuery,
    QueryError,
    Store,
    StoreError,
    Written,
    filter,
)
from app.store.cursors import turned
from tests.records import (
    BOOT,
    HOUR,
    OTHER_BOOT,
    SECOND,
    T0,
    decoded,
    exchange,
    incoming,
    spliced,
)
from tests.threads import in_threads
from tests.unit.app.store.classified import ClassSuite
from tests.unit.app.store.filters import FilterSuite, ids
from tests.unit.app.store.inboxes import InboxSuite
from tests.unit.app.store.rollups import RollupSuite
from tests.unit.app.store.sequences import SequenceSuite


class StoreSuite(SequenceSuite, FilterSuite, RollupSuite, InboxSuite, ClassSuite, ABC):
    @abstractmethod
    def open(self, directory: Path) -> Store:
        """The store in the directory, made when there is none."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        store = self.open(tmp_path)
        yield store
        store.close()

    # Writing

    def test_line_comes_back_byte_for_byte(self, store: Store) -> None:
        record = exchange(7)
        line = encode(record)[:-1] + ',"of_tomorrow":{"é":[1,2]}}'.encode()
        store.write([decoded(line, record)])
        assert store.capture(f"{BOOT}-7") == line
        assert store.captures(CaptureQuery()).items == [line]

    def test_each_record_is_kept_once(self, store: Store) -> None:
        first = store.write(incoming(exchange(1), exchange(2), exchange(1)))
        assert (first.stored, first.duplicates) == ([0, 1], 1)
        again = store.write(incoming(exchange(2), exchange(3), exchange(2, boot=OTHER_BOOT)))
        assert (again.stored, again.duplicates) == ([1, 2], 1)
        assert store.stats().records == 4
        assert sum(row.count for row in store.endpoints()) == 4
        assert {(row.path, row.count) for row in store.fields() if row.path == "query.os"} == {
            ("query.os", 4)
        }

    def test_new_hosts_are_told_once(self, store: Store, tmp_path: Path) -> None:
        told = store.write(incoming(exchange(1), exchange(2, method="POST"))).new_hosts
        assert told == [("cribl", "cdn.cribl.io")]
        assert store.write(incoming(exchange(3, method="PUT"))).new_hosts == []
        other = store.write(incoming(exchange(4, host="new.test", profile=""), exchange(4)))
        assert other.new_hosts == [("", "new.test")]
        bad = exchange(6, host="\ud800")
        with pytest.raises((StoreError, UnicodeEncodeError)):
            store.write([*incoming(exchange(5, host="b.test")), decoded(b"{}", bad)])
        assert store.write(incoming(exchange(5, host="b.test"))).new_hosts == [("cribl", "b.test")]
        store.close()
        again = self.open(tmp_path)
        try:
            assert again.write(incoming(exchange(7), exchange(8, method="PATCH"))).new_hosts == []
        finally:
            again.close()

    def test_empty_batch(self, store: Store) -> None:
        assert store.write([]) == Written([], 0, [], [])

    def test_batch_that_fails_leaves_nothing(self, store: Store) -> None:
        bad = exchange(3, host="\ud800")  # what no decoder lets through, and no disk takes
        with pytest.raises((StoreError, UnicodeEncodeError)):
            store.write([*incoming(exchange(1), exchange(2)), decoded(b"{}", bad)])
        assert store.stats().records == 0
        assert (store.endpoints(), store.fields(), store.boots()) == ([], [], [])
        assert store.write(incoming(exchange(1), exchange(2))).stored == [0, 1]
        assert [row.count for row in store.endpoints()] == [2]
        assert [row.requests for row in store.fields()] == [2] * 5

    def test_survives_reopening(self, store: Store, tmp_path: Path) -> None:
        store.write(incoming(*(exchange(n) for n in range(1, 4))))
        store.close()
        again = self.open(tmp_path)
        try:
            assert again.write(incoming(exchange(3), exchange(4))).stored == [1]
            assert again.stats().records == 4
            assert again.boots()[0].count == 4
        finally:
            again.close()

    def test_extreme_numbers(self, store: Store) -> None:
        largest = 2**63 - 1
        body = Body(size=largest)
        for n in (1, 2, 3):
            record = exchange(n, time_ns=largest, duration_ns=largest, body=body)
            store.write(incoming(record, exchange(n + 10, time_ns=0)))
        assert store.endpoints()[0].count == 6
        assert len(store.captures(CaptureQuery(since_ns=largest)).items) == 3

    def test_many_threads(self, store: Store) -> None:
        def work(boot: str) -> None:
            for start in range(1, 101, 10):
                batch = incoming(*(exchange(n, boot=boot) for n in range(start, start + 10)))
                store.write(batch)
                store.write(batch)
                store.captures(CaptureQuery(limit=5))
                store.endpoints()

        in_threads(work, (f"{n:032x}" for n in range(6)))
        assert store.stats().records == 600
        assert {(row.count, row.missing) for row in store.boots()} == {(100, 0)}

    # Captures

    @pytest.mark.parametrize("asked", [{}, {"workload": "logs/"}, {"text": "leader"}])
    @pytest.mark.parametrize("order", ["newest", "oldest", "arrival"])
    def test_pages_show_each_capture_once_while_others_arrive(
        self, store: Store, order: Any, asked: dict[str, Any]
    ) -> None:
        # Pairs of one time, arriving from late to early, of five pods.
        store.write(
            incoming(
                *(
                    exchange(n, time_ns=T0 + 100 - n // 2, pod=f"leader-{n % 5}")
                    for n in range(1, 24)
                )
            )
        )
        seen: list[int] = []
        cursor, late = None, 100
        while True:
            page = store.captures(CaptureQuery(order=order, cursor=cursor, limit=4, **asked))
            seen += ids(page.items)
            if page.next is None:
                break
            cursor = page.next
            if late < 103:
                late += 1
                before = T0 + 1_000 if order == "newest" else T0 - 1_000
                store.write(incoming(exchange(late, time_ns=before)))
        assert sorted(n for n in seen if n < 100) == list(range(1, 24))
        times = [n // 2 for n in seen if n < 100]
        if order == "oldest":
            assert times == sorted(times, reverse=True)
        else:
            assert times == sorted(times)

    @pytest.mark.parametrize("q", ["", "pod:leader-1,leader-2", "field:os -pod:leader-3"])
    def test_from_the_place_of_a_capture_both_ways_go_on(self, store: Store, q: str) -> None:
        store.write(
            incoming(
                *(exchange(n, time_ns=T0 - n // 3, pod=f"leader-{n % 5}") for n in range(1, 25))
            )
        )
        query = filter.read(q, CaptureQuery(limit=30))
        every = store.captures(query)
        assert len(every.places) == len(every.items) > 8
        for n, place in enumerate(every.places, 1):
            older = store.captures(replace(query, cursor=f"newest.{place}"))
            assert older.items == every.items[n:]
            back = turned(f"newest.{place}")
            newer = store.captures(replace(query, order="oldest", cursor=back))
            assert newer.items == every.items[:n][::-1]
            assert newer.places == every.places[:n][::-1]

    @pytest.mark.parametrize("order", ["newest", "oldest", "arrival"])
    def test_a_reader_of_some_namespaces_gets_those(self, store: Store, order: Any) -> None:
        spaces = ("logs", "edge", "", "edge-2")
        store.write(
            incoming(*(exchange(n, time_ns=T0 + n, namespace=spaces[n % 4]) for n in range(1, 21)))
        )
        for q in ("", "method:GET", "field:os", "-namespace:logs", "namespace:*"):
            query = filter.read(q, CaptureQuery(namespaces=("edge",), order=order))
            assert sorted(ids(store.captures(query).items)) == [1, 5, 9, 13, 17]
        both = CaptureQuery(namespaces=("edge", ""), order=order)
        assert len(store.captures(both).items) == 10
        assert store.captures(CaptureQuery(namespaces=(), order=order)).items == []

    def test_follow_by_arrival(self, store: Store) -> None:
        store.write(incoming(exchange(1)))
        cursor = store.stats().arrival
        empty = store.captures(CaptureQuery(order="arrival", cursor=cursor))
        assert (empty.items, empty.next, empty.last) == ([], None, cursor)
        store.write(incoming(exchange(3, time_ns=T0 - HOUR), exchange(2)))
        page = store.captures(CaptureQuery(order="arrival", cursor=cursor))
        assert ids(page.items) == [3, 2]
        assert store.captures(CaptureQuery(order="arrival", cursor=page.last)).items == []

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({}, {1, 2, 3, 4}),
            ({"since_ns": T0 + SECOND}, {2, 3, 4}),
            ({"until_ns": T0 + SECOND}, {1}),
            ({"kind": "spliced"}, {4}),
            ({"host": "cdn.cribl.io"}, {1, 2, 3}),
            ({"profile": ""}, {4}),
            ({"action": "block"}, {3}),
            ({"version": "4.17.0"}, {2}),
            ({"workload": "logs/leader-0"}, {1, 3}),
            ({"workload": "edge/"}, {2}),
            ({"workload": "worker-1"}, {2}),
            ({"method": "POST"}, {2}),
            ({"status": 403}, {3}),
            ({"status": "4xx"}, {3}),
            ({"status": "2XX"}, {1, 2}),
            ({"text": "EVENTS"}, {2}),
            ({"text": "100%_"}, {3}),
            ({"text": "nothing like it"}, set()),
            ({"text": "not_named"}, {4}),
            ({"status": 200, "method": "GET", "text": "cribl"}, {1}),
        ],
    )
    def test_filters(self, store: Store, asked: dict[str, Any], expected: set[int]) -> None:
        store.write(
            incoming(
                exchange(1),
                exchange(
                    2, method="POST", path="/telemetry/events", pod="worker-1", namespace="edge",
                    product_version="4.17.0", time_ns=T0 + SECOND,
                ),
                exchange(3, status=403, action="block", path="/100%_x", time_ns=T0 + SECOND),
                spliced(4, time_ns=T0 + 2 * SECOND),
            )
        )  # fmt: skip
        assert set(ids(store.captures(CaptureQuery(**asked)).items)) == expected

    @pytest.mark.parametrize(
        "asked",
        [
            {"limit": 0},
            {"limit": -1},
            {"limit": 1001},
            {"cursor": ""},
            {"cursor": "newest.1"},
            {"cursor": "oldest.1.1"},
            {"cursor": "newest.9999999999999999999.1"},
            {"cursor": "newest.1.1'; DROP TABLE capture; --"},
            {"status": "4x"},
            {"status": "teapot"},
            {"status": -1},
        ],
    )
    def test_question_that_makes_no_sense(self, store: Store, asked: dict[str, Any]) -> None:
        with pytest.raises(QueryError):
            store.captures(CaptureQuery(**asked))

    @pytest.mark.parametrize(
        "id", ["", "-", "x", f"{BOOT}-", f"{BOOT}-2", f"{BOOT}--1", f"{BOOT}-1 ", f"{BOOT}-²",
               f"{OTHER_BOOT}-1", f"{BOOT}-{10**30}", "' OR 1=1 --1"],
    )  # fmt: skip
    def test_no_such_capture(self, store: Store, id: str) -> None:
        store.write(incoming(exchange(1)))
        assert store.capture(id) is None

    # Retention

    def test_prune_by_age_takes_the_old_only(self, store: Store) -> None:
        now = time.time_ns()
        store.write(
            incoming(
                *(exchange(n, time_ns=now - 100 * HOUR) for n in range(1, 6)),
                *(exchange(n, time_ns=now) for n in range(6, 9)),
            )
        )
        cursor = store.stats().arrival
        assert store.prune(max_age_s=48 * 3600) == (5, False)
        assert sorted(ids(store.captures(CaptureQuery()).items)) == [6, 7, 8]
        assert [row.count for row in store.endpoints()] == [3]
        assert sum(row.count for row in store.senders()) == 3
        assert {row.requests for row in store.fields()} == {8}  # the inventory outlives captures
        assert store.prune(max_age_s=48 * 3600) == (0, False)
        store.prune(max_bytes=1)
        store.write(incoming(exchange(9)))  # cursors of followers stay good
        assert ids(store.captures(CaptureQuery(order="arrival", cursor=cursor)).items) == [9]

    def test_prune_by_size_in_steps(self, store: Store) -> None:
        text = "".join(f"{n * n:x}" for n in range(3_000))
        for start in range(1, 2_001, 500):
            store.write(
                incoming(
                    *(exchange(n, detail=text[n : n + 1_500]) for n in range(start, start + 500))
                )
            )
        assert store.prune(max_bytes=1, steps=1).more
        assert 0 < store.stats().records < 2_000
        assert min(ids(store.captures(CaptureQuery(order="arrival", limit=1000)).items)) > 1
        kept = store.stats().records
        assert store.prune(max_bytes=1 << 40) == (0, False)
        assert store.stats().records == kept

    # Closing

    def test_closed(self, store: Store) -> None:
        store.write(incoming(exchange(1)))
        store.close()
        store.close()
        with pytest.raises(StoreError):
            store.write(incoming(exchange(2)))
        with pytest.raises(StoreError):
            store.captures(CaptureQuery())
