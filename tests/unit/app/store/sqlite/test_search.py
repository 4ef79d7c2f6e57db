"""A page holds what a look at every capture would find, and is found by indexes."""

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from app.contract.outcomes import OUTCOMES, WORDS
from app.contract.record import CaptureRecord
from app.store import CaptureQuery, filter
from app.store.sqlite import search
from app.store.sqlite.reader import Reader
from app.store.sqlite.schema import open_reader
from app.store.sqlite.store import SqliteStore
from tests.records import T0, exchange, incoming

PODS, HOSTS, STATUSES = 12, ("cdn.cribl.io", "other.example"), (200, 200, 200, 404, 503)


@pytest.fixture(scope="module")
def records() -> list[CaptureRecord]:
    chance = random.Random(7)
    return [
        exchange(
            n,
            time_ns=T0 + chance.randrange(200),  # many at the same time
            pod=f"pod-{chance.randrange(PODS)}",
            host=chance.choice(HOSTS),
            status=chance.choice(STATUSES),
            method=chance.choice(("GET", "POST")),
        )
        for n in range(1, 401)
    ]


@pytest.fixture(scope="module")
def reader(
    records: list[CaptureRecord], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reader]:
    path = tmp_path_factory.mktemp("search") / "store.sqlite"
    store = SqliteStore(path)
    for start in range(0, len(records), 50):
        store.write(incoming(*records[start : start + 50]))
    store.close()
    connection = open_reader(path)
    yield Reader(connection)
    connection.close()


def fits(record: CaptureRecord, asked: dict[str, Any]) -> bool:
    request, response = record.request, record.response
    assert request and response
    return all((
        asked.get("host", request.host) == request.host,
        asked.get("method", request.method) == request.method,
        asked.get("status", response.status) == response.status,
        asked.get("workload", record.workload.pod) == record.workload.pod,
        asked.get("text", "") in record.workload.pod,
        asked.get("since_ns", 0) <= record.time_ns < asked.get("until_ns", 1 << 63),
    ))  # fmt: skip


def pages(reader: Reader, **asked: Any) -> list[int]:
    seqs: list[int] = []
    cursor = None
    while True:
        page = reader.captures(CaptureQuery(cursor=cursor, **asked))
        assert page.items or page.next is None or page.next != cursor
        seqs += (msgspec.json.decode(item, type=CaptureRecord).seq for item in page.items)
        if page.next is None:
            return seqs
        cursor = page.next


@pytest.mark.parametrize("limit", [7, 100, 1_000])
@pytest.mark.parametrize("order", ["newest", "oldest", "arrival"])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"host": HOSTS[0]},
        {"workload": "pod-3"},
        {"status": 503, "method": "POST"},
        {"text": "pod-1"},
        {"host": HOSTS[1], "since_ns": T0 + 40, "until_ns": T0 + 90},
        {"workload": "nobody"},
        {"since_ns": T0 + 500},
    ],
)
def test_same_as_looking_at_every_capture(
    reader: Reader, records: list[CaptureRecord], asked: dict[str, Any], order: str, limit: int
) -> None:
    expected = [r for r in records if fits(r, asked)]
    if order != "arrival":
        expected.sort(key=lambda r: (r.time_ns, r.seq), reverse=order == "newest")
    assert pages(reader, order=order, limit=limit, **asked) == [r.seq for r in expected]


@pytest.mark.parametrize("limit", [7, 1_000])
@pytest.mark.parametrize("order", ["newest", "oldest", "arrival"])
@pytest.mark.parametrize(
    "asked",
    [
        {"workload": "pod-3"},
        {"status": 503, "method": "POST"},
        {"text": "pod-1"},
        {"host": HOSTS[1], "since_ns": T0 + 40, "until_ns": T0 + 90},
    ],
)
@pytest.mark.parametrize("stretch", [3, 50])
def test_same_with_more_facets_than_are_looked_at(
    reader: Reader, records: list[CaptureRecord], asked: dict[str, Any], order: str, limit: int,
    stretch: int, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A page ends when its time is over, and the next one goes on there."""
    monkeypatch.setattr(search, "_FEW", 0)
    monkeypatch.setattr(search, "_STRETCH", stretch)
    monkeypatch.setattr("app.store.sqlite.reader._FIRST_S", -1)
    monkeypatch.setattr("app.store.sqlite.reader._ON_S", -1)
    expected = [r for r in records if fits(r, asked)]
    if order != "arrival":
        expected.sort(key=lambda r: (r.time_ns, r.seq), reverse=order == "newest")
    assert pages(reader, order=order, limit=limit, **asked) == [r.seq for r in expected]
    first = reader.captures(CaptureQuery(order=order, limit=limit, **asked))  # type: ignore[arg-type]
    assert first.next and len(first.items) <= stretch


def test_a_search_that_finds_nothing_to_read_ends_in_time(
    ended: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_FEW", 0)
    monkeypatch.setattr(search, "_STRETCH", 50)
    monkeypatch.setattr("app.store.sqlite.reader._FIRST_S", -1)
    page = ended.captures(filter.read("field:lic path:/nowhere"))
    assert page.items == [] and page.next
    assert ended.captures(filter.read("outcome:certificate_old")).next is None


@pytest.mark.parametrize("pod", ["pod:pod-3", "pod:pod-3,pod-4*"])
def test_a_pod_s_facets_have_an_index(
    reader: Reader, pod: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many facets there are, those of a pod are counted, and looked at, by themselves."""
    monkeypatch.setattr(search, "_FEW", 200)
    query = filter.read(pod)
    (count,) = reader.connection.execute("SELECT count(*) FROM facet").fetchone()
    asked = plans_of(reader, query)
    facets = [plan for plan in asked if "facet" in plan and "capture" not in plan]
    assert count > 200 or facets
    assert all("sqlite_autoindex_facet" in plan for plan in facets), asked


ENDS = [
    {"kind": "exchange", "action": "observe", "answered_by": "upstream"},
    {"kind": "exchange", "action": "observe", "answered_by": ""},
    {"kind": "exchange", "action": "mock", "answered_by": "upstream"},  # no sidecar of ours says so
    {"kind": "failed", "action": "observe", "reason": "a reason of their own"},
    {"kind": "refused", "action": "block", "answered_by": "", "reason": "blocked"},
    {"kind": "spliced", "action": "", "reason": "not_http"},
    {"kind": "log", "action": "", "answered_by": ""},
]


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("value", [*WORDS, *OUTCOMES, "refused,passed"])
def test_outcomes_are_those_of_the_records(ended: SqliteStore, value: str, sign: str) -> None:
    text = f"{sign}outcome:{value}"
    page = ended.captures(filter.read(text, CaptureQuery(limit=1_000)))
    everything = ended.captures(CaptureQuery(limit=1_000)).items
    assert page.items == [
        line for line in everything if filter.matcher(filter.read(text).terms)(line)
    ]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path_factory.mktemp("ended") / "store.sqlite")
    rare = [exchange(n, **given) for n, given in enumerate(ENDS, 1)]
    store.write(incoming(*rare, *(exchange(n) for n in range(20, 700))))
    yield store
    store.close()


def test_an_outcome_that_few_have_is_found_at_once(
    ended: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.sqlite.reader._FIRST_S", -1)
    monkeypatch.setattr("app.store.sqlite.reader._STRETCH", 1)
    for text, seqs in (("outcome:refused", [5]), ("outcome:unanswered", [4, 2]),
                       ("outcome:certificate_old", [])):  # fmt: skip
        page = ended.captures(filter.read(text))
        assert [msgspec.json.decode(i, type=CaptureRecord).seq for i in page.items] == seqs
        assert page.next is None


def plans_of(reader: Reader, query: CaptureQuery) -> list[str]:
    statements: list[str] = []
    reader.connection.set_trace_callback(statements.append)
    reader.captures(query)
    reader.connection.set_trace_callback(None)
    return [
        row[3]
        for statement in statements
        if statement.startswith("SELECT")
        for row in reader.connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({"workload": "pod-3"}, "capture_facet"),
        ({"workload": "pod-3", "since_ns": T0 + 100}, "capture_facet"),
        ({"workload": "nobody"}, "capture_facet"),
        ({"since_ns": T0 + 190}, "capture_time"),
        ({}, ""),
    ],
)
def test_rare_by_arrival(
    reader: Reader, records: list[CaptureRecord], asked: dict[str, Any], index: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What a look at the next few does not fill a page with is found by an index, in order."""
    monkeypatch.setattr(search, "_NEAR", 5)
    expected = [r.seq for r in records if fits(r, asked)]
    assert pages(reader, order="arrival", limit=3, **asked) == expected
    found = [p for p in plans_of(reader, CaptureQuery(order="arrival", **asked)) if "capture" in p]
    assert all("INTEGER PRIMARY KEY" in plan or f"INDEX {index}" in plan for plan in found), found
    assert any(f"INDEX {index} " in plan for plan in found) == bool(index)


def test_follower_reads_no_more_than_is_new(reader: Reader) -> None:
    query = CaptureQuery(order="arrival", cursor="arrival.0.390", workload="pod-3")
    plans = [plan for plan in plans_of(reader, query) if "capture" in plan]
    assert plans and all("INTEGER PRIMARY KEY" in plan for plan in plans), plans


@pytest.mark.parametrize("limit", [10, 100])  # fewer than the facets of a host, and more
@pytest.mark.parametrize("order", ["newest", "oldest", "arrival"])
@pytest.mark.parametrize("asked", [{}, {"since_ns": T0}, {"host": HOSTS[0], "since_ns": T0}])
def test_captures_are_found_by_index_without_sorting(
    reader: Reader, asked: dict[str, Any], order: Any, limit: int
) -> None:
    page = reader.captures(CaptureQuery(order=order, limit=limit, **asked))
    plans = plans_of(reader, CaptureQuery(order=order, limit=limit, cursor=page.next, **asked))
    by = "INTEGER PRIMARY KEY" if order == "arrival" else "INDEX capture_"
    of_captures = [plan for plan in plans if "capture" in plan]
    assert of_captures
    assert all(p.startswith("SEARCH capture USING") for p in of_captures), of_captures
    assert any(by in plan for plan in of_captures)
    assert not [plan for plan in plans if "TEMP B-TREE" in plan]


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize(
    ("asked", "near", "by_facet"),
    [
        ({"host": HOSTS[0]}, True, False),  # half of all
        ({"status": 503, "method": "POST"}, True, True),  # a tenth: given up
        ({"workload": "pod-3", "method": "POST", "status": 404}, False, True),  # two facets
    ],
)
def test_captures_that_come_next_are_looked_at_where_many_facets_fit(
    reader: Reader, asked: dict[str, Any], order: Any, near: bool, by_facet: bool
) -> None:
    plans = plans_of(reader, CaptureQuery(order=order, limit=7, **asked))
    assert any("capture USING INDEX capture_time" in plan for plan in plans) == near
    assert any("capture_facet (facet_id=? AND" in plan for plan in plans) == by_facet
