"""Values of options are read strictly."""

import time

import pytest
import typer

from app.cli.options import instant

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
        ("9999-12-31", (1 << 63) - 1),
    ],
)
def test_iso_times_are_utc_unless_they_say(text: str, expected: int) -> None:
    assert instant(text) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "-1h", "1y", "2026-13-01", "99999999d"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a time"):
        instant(text)
