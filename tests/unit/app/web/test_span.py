from pathlib import Path
from typing import Any

import pytest

from app.store import CaptureQuery, Store, filter
from app.web.span import ListSpan, Stretch, end_of, span
from tests.records import HOUR, T0, exchange, incoming
from tests.unit.app.store.memory import MemoryStore


def asked(q: str, **given: Any) -> CaptureQuery:
    return filter.read(q, CaptureQuery(**given))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Ten hours: 90 captures in the first, one in each other; every third is a POST."""
    store = MemoryStore(tmp_path)
    times = [T0 + n * HOUR // 100 for n in range(90)] + [T0 + n * HOUR for n in range(1, 10)]
    store.write(
        incoming(
            *(
                exchange(n, time_ns=at, method="GET" if n % 3 else "POST", pod=f"leader-{n % 2}")
                for n, at in enumerate(times, 1)
            )
        )
    )
    return store


def test_shares_are_of_captures_not_of_time(store: Store) -> None:
    found = span(store, asked(""))
    assert found and found.counted and found.total == 99
    middle = found.time_at(0.5)
    assert T0 < middle < T0 + HOUR  # nine tenths of the captures are of the first hour
    newer = len(store.captures(CaptureQuery(since_ns=middle)).items)
    assert abs(newer - 99 / 2) < 5
    for share in (0.0, 0.03, 0.5, 0.99, 1.0):
        assert found.share_of(found.time_at(share)) == pytest.approx(share, abs=1e-6)
    assert found.time_at(1.0) == T0


def test_the_filter_counts(store: Store) -> None:
    found = span(store, asked("method:POST"))
    assert found and found.total == 33
    found = span(store, asked("outcome:answered -method:POST"))
    assert found and found.counted and found.total == 66
    assert span(store, asked("method:PUT")) is None
    found = span(store, asked("", since_ns=T0 + 5 * HOUR))
    assert found and found.steps[-1].begin_ns == T0 + 5 * HOUR


@pytest.mark.parametrize("q", ["pod:leader-1", "path:/*", "leader", "field:os"])
def test_what_sums_do_not_know_has_no_total(store: Store, q: str) -> None:
    found = span(store, asked(q))
    assert found and not found.counted and found.total is None
    assert found.time_at(0.5) < T0 + HOUR


def test_who_may_not_see_sums_gets_shares_of_time(store: Store) -> None:
    found = span(store, asked("", namespaces=("logs",)))
    assert found and found.total is None
    assert found.time_at(0.5) == pytest.approx(T0 + 4.5 * HOUR, rel=1e-9)
    assert span(store, asked("", namespaces=("edge",))) is None


def test_ends_are_read_without_reading_content(store: Store) -> None:
    assert end_of(store, asked("field:nowhere"), "oldest") == T0
    assert end_of(store, asked("method:PUT"), "newest") is None


def test_times_outside() -> None:
    of = ListSpan([Stretch(10, 20, 5), Stretch(0, 10, 5)], counted=True)
    assert [of.share_of(at) for at in (25, 20, 15, 0, -5)] == [0, 0, 0.25, 1, 1]
