"""Points in time, read strictly and written for every calendar."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from app.contract.instant import LARGEST, instant, iso, until

HOUR = 3_600 * 10**9


@pytest.mark.parametrize(
    "text, age", [("90m", 1.5), ("24h", 24), ("7d", 168), ("1w", 168), ("1.5h", 1.5), ("0s", 0)]
)
def test_ages(text: str, age: float) -> None:
    assert abs(time.time_ns() - instant(text) - age * HOUR) < 10 * 10**9


@pytest.mark.parametrize(
    "text, expected",
    [
        ("1970-01-02", 24 * HOUR),
        ("1970-01-01T01:00:00", HOUR),
        ("1970-01-01T01:00:00.5Z", HOUR + 500_000_000),
        ("1970-01-01T03:00:00+02:00", HOUR),
        ("1960-01-01", 0),
        ("19700102", 24 * HOUR),
        ("5", 5),
        ("1790000000000000000", 1_790_000_000_000_000_000),
        ("99999999999999999999", LARGEST),
        ("9999-12-31", LARGEST),
    ],
)
def test_iso_times_are_utc_unless_they_say(text: str, expected: int) -> None:
    assert instant(text) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "-1h", "1y", "2026-13-01", "99999999d"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        instant(text)


def test_times_are_written_in_utc() -> None:
    assert iso(1_790_000_000_123_456_789) == "2026-09-21T14:13:20Z"
    assert iso(1_790_000_000_123_456_789, 3) == "2026-09-21T14:13:20.123Z"
    assert iso(10**30, 6) == "1970-01-01T00:00:00.000000Z"
    assert instant(iso(1_790_000_000_123_456_000, 6)) == 1_790_000_000_123_456_000


def test_an_end_is_a_moment_or_how_long() -> None:
    assert until("90m") == timedelta(minutes=90)
    assert until("2026-01-31T12:00:00Z") == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert until("") is None


@pytest.mark.parametrize("text", ["90", "90 m", "1.5h", "soon", "2026-01-31T12:00:00", "-1h"])
def test_what_is_no_end(text: str) -> None:
    with pytest.raises(ValueError):
        until(text)
