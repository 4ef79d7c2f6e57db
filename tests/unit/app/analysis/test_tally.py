"""Counts over request lines stay right and bounded."""

from typing import Any

import pytest

from app.analysis import tally
from app.analysis.tally import Histogram, LogSummary, Tally
from app.logs.files import request_line
from app.store import OTHER
from tests.records import SECOND, T0, exchange


def entry(**given: Any) -> dict[str, Any]:
    record = exchange(1, **given)
    assert record.request is not None
    return request_line(record, record.request)


def summary(*entries: dict[str, Any]) -> LogSummary:
    counts = Tally()
    for one in entries:
        counts.add(one)
    return counts.summary(["telemetry_requests.log"])


def test_counts() -> None:
    made = summary(
        entry(),
        entry(status=503, time_ns=T0 + SECOND, duration_ns=7_500_000),
        entry(method="POST", path="/telemetry/events", route="/telemetry/events"),
    )
    assert (made.requests, made.by_user_agent) == (3, {"node": 3})
    get, post = made.by_endpoint
    assert (get.method, get.endpoint, get.count) == ("GET", "/telemetry/index.html", 2)
    assert (get.response_times_ms.mean, get.response_times_ms.max) == (5.0, 7.5)
    assert (post.method, post.count) == ("POST", 1)


@pytest.mark.parametrize("name", ["host", "user_agent", "path", "endpoint"])
@pytest.mark.parametrize("value", [None, 7, [], {}, {"a": {"b": 1}}, "x"])
def test_odd_parts_are_survived(name: str, value: object) -> None:
    assert summary(entry() | {name: value}).requests == 1


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "NAMES", 3)
    made = summary(
        *(entry(method=f"M{n}", headers=[("User-Agent", f"agent {n}")]) for n in range(20))
    )
    assert made.by_user_agent[OTHER] == 17
    assert sorted((e.host, e.count) for e in made.by_endpoint) == [
        (OTHER, 17), *[("cdn.cribl.io", 1)] * 3,
    ]  # fmt: skip


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
