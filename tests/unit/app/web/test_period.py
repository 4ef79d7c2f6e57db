import time

import pytest

from app.store.facts import HOUR
from app.web.page import PageError
from app.web.period import period


def test_a_period_by_name() -> None:
    found = period("", "")
    assert (found.since, found.label, found.words) == ("24h", "last 24 hours", "since:24h")
    assert abs(found.scope.since_ns - (time.time_ns() - 24 * HOUR)) < 60 * 10**9
    assert period("all", "").scope.since_ns is None
    assert period("all", "").words == ""
    assert period("", "", default="7d").since == "7d"


def test_a_period_by_times() -> None:
    found = period("2026-01-02T03:00", "2026-01-03")
    assert found.label == "since 2026-01-02 03:00 until 2026-01-03 00:00 UTC"
    assert found.words == "since:2026-01-02T03:00 until:2026-01-03"
    assert found.scope.until_ns - found.scope.since_ns == 21 * HOUR
    assert period("all", "2026-01-03").label == "until 2026-01-03 00:00 UTC"


@pytest.mark.parametrize("given", [("yesterday", ""), ("", "soon"), ("24h ", ""), ("7d x", "")])
def test_a_period_that_makes_no_sense(given: tuple[str, str]) -> None:
    with pytest.raises(PageError, match="period cannot be read") as refused:
        period(*given)
    assert refused.value.status == 422


def test_bars_are_few() -> None:
    found = period("24h", "")
    for days, hours in ((0, 1), (1, 1), (2, 1), (7, 3), (30, 12), (365, 168), (36500, 8760)):
        assert found.hours(0, days * 24 * HOUR) == hours
