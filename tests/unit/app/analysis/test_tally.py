"""Counts over request lines stay right and bounded."""

from typing import Any

import pytest

from app.analysis import tally
from app.analysis.tally import Histogram, Summary, Tally, markdown
from app.logs.files import request_line
from app.store import OTHER
from tests.records import SECOND, T0, exchange


def entry(**given: Any) -> dict[str, Any]:
    record = exchange(1, **given)
    assert record.request is not None
    return request_line(record, record.request)


def summary(*entries: dict[str, Any]) -> Summary:
    counts = Tally()
    for one in entries:
        assert counts.add(one)
    return counts.summary(generated_at="2026-09-22T00:00:00Z", files=["telemetry_requests.log"])


def test_counts() -> None:
    newer = [("v", "4.17.0"), ("os", "linux"), ("fc.new", "1")]
    made = summary(
        entry(),
        entry(status=503, time_ns=T0 + SECOND),
        entry(product_version="4.17.0", query=newer, time_ns=T0 + 2 * SECOND),
        entry(method="POST", path="/telemetry/events", route="/telemetry/events"),
    )
    assert made.requests == 4
    assert (made.first_seen, made.last_seen) == (
        "2026-09-21T14:13:20.000000Z", "2026-09-21T14:13:22.000000Z",
    )  # fmt: skip
    assert made.by_version == {"4.16.1-20904e45": 3, "4.17.0": 1}
    assert (made.by_status, made.by_user_agent) == ({"200": 3, "503": 1}, {"node": 4})
    get, post = made.by_endpoint
    assert (get.method, get.endpoint, get.count) == ("GET", "/telemetry/index.html", 3)
    assert (get.newest_version, get.added) == ("4.17.0", ["query.fc.new"])
    assert post.added is None
    assert {f.path: (f.types, f.count) for f in get.fields}["query.ib"] == (["integer"], 2)


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"timestamp": None},
        {"timestamp": "yesterday"},
        {"url": 7},
        {"response_time_ms": "fast"},
        {"response_time_ms": float("nan")},
        {"response_time_ms": float("inf")},
        {"response_time_ms": -1},
        {"response_time_ms": 10**400},
    ],
)
def test_lines_that_are_not_ours(broken: dict[str, Any]) -> None:
    assert not Tally().add(entry() | broken if broken else {})


@pytest.mark.parametrize(
    "name", ["query_params", "headers", "status", "host", "user_agent", "path"]
)
@pytest.mark.parametrize("value", [None, 7, [], {}, {"a": {"b": 1}}, "x", {"a": [None, 1]}])
def test_odd_parts_are_survived(name: str, value: object) -> None:
    assert summary(entry() | {name: value}).requests == 1


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "NAMES", 3)
    monkeypatch.setattr(tally, "FIELDS", 4)
    made = summary(
        *(
            entry(
                method=f"M{n}", product_version=str(n), query=[(f"q{n}", "")],
                headers=[("User-Agent", f"agent {n}")],
            )
            for n in range(20)
        )
    )  # fmt: skip
    assert made.by_version == {"0": 1, "1": 1, "2": 1, OTHER: 17}
    assert made.by_user_agent[OTHER] == 17
    assert sorted((e.host, e.count) for e in made.by_endpoint) == [
        (OTHER, 17), *[("cdn.cribl.io", 1)] * 3,
    ]  # fmt: skip
    other = next(e for e in made.by_endpoint if e.host == OTHER)
    assert len(other.fields) == 4 and other.fields_left_out > 0


def test_percentiles() -> None:
    histogram = Histogram()
    assert (histogram.times().p50, histogram.times().mean) == (0.0, 0.0)
    for n in range(1, 101):
        histogram.add(float(n))
    times = histogram.times()
    assert (times.mean, times.max) == (50.5, 100.0)
    assert 50 <= times.p50 <= 60 and 95 <= times.p95 <= 100 and 99 <= times.p99 <= 100
    histogram.add(1e9)
    assert histogram.times().max == 1e9


def test_markdown_is_inert() -> None:
    evil = "<img src=x onerror=alert(1)>|\x1b[2J"
    shown = markdown(
        summary(
            entry(query=[(evil, "1")], product_version=evil, headers=[("User-Agent", evil)]),
            entry(product_version="4.17.0", query=[("new", "1")]),
        )
    )
    assert "<img" not in shown and "\x1b" not in shown
    assert "# Telemetry report\n\n2 requests from " in shown
    assert "## Fields of GET cdn.cribl.io/telemetry/index.html" in shown
    assert "Version 4.17.0 added: " in shown and "query.new" in shown
