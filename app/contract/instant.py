"""Points in time: nanoseconds since 1970 (UTC), and the forms in which people write them."""

import re
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

LARGEST = (1 << 63) - 1
_AGE = re.compile(r"(\d{1,6}(?:\.\d+)?)([smhdw])", re.ASCII)
_SPAN = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def instant(text: str) -> int:
    """From an age such as `90m`, `1.5h` or `2w`, an ISO 8601 date or time (UTC by default), or
    nanoseconds since 1970. Raises ValueError with the expected forms."""
    if age := _AGE.fullmatch(text):
        return max(0, time.time_ns() - int(float(age[1]) * _SECONDS[age[2]] * 1e9))
    if text.isascii() and text.isdigit() and len(text) != 8:  # eight digits are an ISO 8601 date
        return min(int(text[:20]), LARGEST)
    try:
        at = datetime.fromisoformat(text)
        ns = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000_000) * 1000
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text[:40]!r} is not a time\n\n"
            "hint: write 24h (ago), 2026-01-31T12:00:00Z, or nanoseconds since 1970"
        ) from None
    return min(max(0, ns), LARGEST)


def until(text: str) -> datetime | timedelta | None:
    """A moment with its zone, or how long: 90m; None for no text. Raises ValueError."""
    if not text:
        return None
    if span := _SPAN.fullmatch(text):
        return timedelta(seconds=int(span[1]) * _SECONDS[span[2]])
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return moment


def iso(time_ns: int, digits: int = 0) -> str:
    """In UTC with this many digits of a second; 1970 for a time outside the calendar."""
    part = f".{time_ns % 10**9:09d}"[: digits + 1] if digits else ""
    return f"{_second(time_ns // 10**9)}{part}Z"


@lru_cache(maxsize=4096)  # a thousand pods have two thousand times, from one report to the next
def _second(seconds: int) -> str:
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # a sender's clock may be anywhere
        at = datetime.fromtimestamp(0, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}"
