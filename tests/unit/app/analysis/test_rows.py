"""Rows from log lines are those that a store has of the same records."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.analysis import rows
from app.analysis.rows import LogRows
from app.contract.record import Body, CaptureRecord, Endpoint, Program
from app.report.build import Report, build
from app.report.coverage import judge
from app.store import OTHER, Scope
from app.store.sqlite.store import SqliteStore
from tests.records import HOUR, SECOND, T0, exchange, incoming, log


def records() -> list[CaptureRecord]:
    """All that the request log has lines of."""
    posted = Body(text='{"event":"up","lic":"***","n":[1,"a"]}', size=38)
    more = Body(text='{"event":"up","lic":"***","n":[1,"a"],"host":{"ip":"10.0.0.1"}}', size=62)
    batch = Body(text='{"batch":[{"event":"up"},{"event":"down"},{"event":"up"},{"x":1}]}', size=70)
    kinds: list[dict[str, Any]] = [
        {},
        {"status": 503, "duration_ns": 1_234_567},
        {"query": [("a", "1"), ("a", "x"), ("b", "")], "product_version": "4.17.0"},
        {"method": "POST", "body": posted, "headers": [("Content-Type", "application/json")]},
        {"method": "POST", "body": more, "product_version": "4.17.0"},
        {"method": "POST", "body": batch, "product_version": "4.17.0"},
        {"method": "POST", "body": Body(size=9, withheld="encoding"), "pod": "leader-1"},
        {"kind": "refused", "action": "block", "reason": "blocked", "status": 403},
        {"kind": "failed", "response": None, "reason": "upstream_failed", "action": "observe"},
        {"action": "pass", "answered_by": "upstream", "route": "", "path": "/a/b?c"},
        {"profile": "", "rule": "", "route": "", "path": "/other", "host": "other.example"},
        {"pod": "", "namespace": "", "time_ns": T0 + 50 * HOUR},
        {"pod": "", "namespace": "", "program": Program(name="curl", pid=7)},
        {"pod": "", "namespace": "", "client": Endpoint(address="127.0.0.1", port=9)},
    ]
    return [
        exchange(n, **{"time_ns": T0 + n * 1_100_000_000, **kind})
        for n, kind in enumerate(kinds * 3, 1)
    ]


def of_lines(found: list[CaptureRecord]) -> LogRows:
    made = LogRows()
    for one in incoming(*found):
        assert made.add(json.loads(one.log_line))
    return made


def same(report: Report) -> Report:
    """Without what no log file holds: a sidecar's own account."""
    ledger = [
        msgspec.structs.replace(one, stored=0, waiting=0, blind=[], first_seen="", last_seen="")
        for one in report.ledger
    ]
    return msgspec.structs.replace(
        report, generated_at="", coverage=judge([]), ledger=ledger, missing=[]
    )


def test_report_is_the_stores(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store")
    store.write(incoming(*records()))
    made = of_lines(records())
    everything = Scope()
    assert made.endpoints(everything) == store.endpoints(everything)
    assert made.senders(everything) == store.senders(everything)
    assert [
        msgspec.structs.replace(row, first_ns=0, last_ns=0) for row in made.fields(everything)
    ] == [msgspec.structs.replace(row, first_ns=0, last_ns=0) for row in store.fields(everything)]
    assert made.events(everything) == store.events(everything) != []
    assert made.notes(everything) == store.notes(everything) != []
    report = same(build(made))
    assert report == same(build(store))
    assert {f.path for c in report.new_fields for f in c.new} >= {"body.host.ip", "query.a"}
    store.close()


def test_batches_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = same(build(of_lines(records())))
    monkeypatch.setattr(rows, "_BATCH", 4)
    assert same(build(of_lines(records()))) == whole


def test_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENDPOINTS", "VERSIONS", "SENDERS"):
        monkeypatch.setattr(rows, name, 3)
    monkeypatch.setattr(rows, "FIELDS", 4)
    made = of_lines([
        exchange(n, method=f"M{n}", product_version=str(n), query=[(f"q{n}", "")], pod=f"p{n}")
        for n in range(1, 21)
    ])  # fmt: skip
    report = build(made)
    assert sorted((e.host, e.count) for e in report.answered) == [
        (OTHER, 17), *[("cdn.cribl.io", 1)] * 3,
    ]  # fmt: skip
    assert {v.version: v.count for v in report.versions}[OTHER] == 17
    assert {w.pod: w.count for w in report.workloads}[OTHER] == 17
    assert report.count == 20 and report.unlisted > 0


@pytest.mark.parametrize(
    "broken",
    [
        {"timestamp": None},
        {"timestamp": "yesterday"},
        {"timestamp": "2026-06-31T00:00:00Z"},
        {"url": 7},
        {"response_time_ms": "fast"},
        {"response_time_ms": float("nan")},
        {"response_time_ms": float("inf")},
        {"response_time_ms": -1},
        {"response_time_ms": 10**400},
    ],
)
def test_lines_that_are_not_ours(broken: dict[str, Any]) -> None:
    (good,) = incoming(exchange(1))
    assert not LogRows().add(json.loads(good.log_line) | broken)
    assert not LogRows().add({})


@pytest.mark.parametrize(
    "name",
    ["query_params", "headers", "status", "host", "path", "workload", "request_fields", "kind",
     "request_bytes", "profile", "client"],
)  # fmt: skip
@pytest.mark.parametrize("value", [None, 7, -1, 2**70, [], {}, {"a": {"b": 1}}, "x", {"a": [None]}])
def test_odd_parts_are_survived(name: str, value: object) -> None:
    (good,) = incoming(exchange(1))
    made = LogRows()
    assert made.add(json.loads(good.log_line) | {name: value})
    assert build(made).count == 1


def test_lines_of_older_versions_are_counted() -> None:
    (good,) = incoming(exchange(1, time_ns=T0 + SECOND), log(2, "x"))[:1]
    line = json.loads(good.log_line)
    for name in ("kind", "answered_by", "reason", "request_bytes", "request_fields"):
        del line[name]
    made = LogRows()
    assert made.add(line)
    (row,) = build(made).answered
    assert (row.kind, row.count) == ("exchange", 1)
