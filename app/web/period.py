"""The period of a view: one of a few, or times that a link names. Roll-ups count whole hours."""

from typing import NamedTuple

from app.contract.instant import instant, iso
from app.store import Scope
from app.store.facts import HOUR
from app.web.page import PageError

PERIODS = {"24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days", "all": "all time"}
DEFAULT = "24h"
_STEPS = (1, 3, 6, 12, 24, 72, 168, 720, 2160, 8760)  # hours
_BARS = 62  # of a chart, at most: 30 days in steps of 12 hours, and the parts at both ends


class Period(NamedTuple):
    """`since` and `until` are as the address has them, "" where the view's own apply."""

    since: str
    until: str
    label: str
    scope: Scope

    @property
    def words(self) -> str:
        """As terms of a filter."""
        words = [f"since:{self.since}"] if self.since not in ("", "all") else []
        return " ".join([*words, *([f"until:{self.until}"] if self.until else [])])

    def hours(self, first_ns: int, last_ns: int) -> int:
        """Hours of one bar of a chart from the first to the last time."""
        span = max(0, last_ns - first_ns) // HOUR + 2
        return next((step for step in _STEPS if span / step <= _BARS), _STEPS[-1])


def period(since: str, until: str, default: str = DEFAULT) -> Period:
    """Raises PageError."""
    since = since or default
    if since in PERIODS and not until:
        begin = None if since == "all" else instant(since)
        return Period(since, "", PERIODS[since], Scope(since_ns=begin))
    try:
        begin = None if since == "all" else instant(since)
        end = instant(until) if until else None
    except ValueError as e:
        raise PageError(422, f"The period cannot be read: {e}") from None
    said = [f"since {iso(begin)[:16].replace('T', ' ')}"] if begin is not None else []
    said += [f"until {iso(end)[:16].replace('T', ' ')}"] if end is not None else []
    label = f"{' '.join(said)} UTC" if said else "all time"
    return Period(since, until, label, Scope(since_ns=begin, until_ns=end))
