"""Positions in the list of a filter's captures, without counting them.

Sums by the hour say how many captures lie before a time; within an hour they are taken as spread
evenly. What the sums do not know (pods, paths, text, fields) leaves the positions unknown, and
those who may not see the sums have none: then a share of the list is a share of its time.
"""

from collections import Counter
from typing import Any, Literal, NamedTuple

from msgspec.structs import replace

from app.contract.outcomes import outcome, word_of
from app.contract.record import decode
from app.store import CaptureQuery, Dimension, Scope, Store, Term, filter
from app.store.facts import HOUR
from app.store.filter import FROM_RECORDS

# Names of the filter that roll-ups are kept by.
DIMENSIONS: tuple[Dimension, ...] = (
    "profile", "host", "version", "method", "kind", "action", "status", "reason", "rule", "route",
    "answered_by",
)  # fmt: skip
_OUTCOME: tuple[Dimension, ...] = ("kind", "action", "answered_by", "reason")
COUNTED = frozenset((*DIMENSIONS, "outcome"))


class Stretch(NamedTuple):
    """Captures from `end_ns` back to `begin_ns`."""

    begin_ns: int
    end_ns: int
    captures: float


class ListSpan(NamedTuple):
    """From the newest capture to the oldest. `counted`: the steps' counts are of captures."""

    steps: list[Stretch]
    counted: bool

    @property
    def total(self) -> int | None:
        return round(sum(step.captures for step in self.steps)) if self.counted else None

    def time_at(self, share: float) -> int:
        """The time that this share of the captures is newer than."""
        left = share * sum(step.captures for step in self.steps)
        for step in self.steps:
            if left <= step.captures:
                return step.end_ns - round(left / step.captures * (step.end_ns - step.begin_ns))
            left -= step.captures
        return self.steps[-1].begin_ns

    def newer_than(self, time_ns: int) -> float:
        """The captures, or the share of the time, that are newer."""
        newer = 0.0
        for step in self.steps:
            if time_ns >= step.end_ns:
                break
            within = (step.end_ns - max(time_ns, step.begin_ns)) / (step.end_ns - step.begin_ns)
            newer += step.captures * within
        return newer

    def share_of(self, time_ns: int) -> float:
        return self.newer_than(time_ns) / sum(step.captures for step in self.steps)


def end_of(store: Store, query: CaptureQuery, order: Literal["newest", "oldest"]) -> int | None:
    """The time of the first capture in this order, None where there is none."""
    # Which records have a field only their content says: the end is that of the rest.
    quick = tuple(term for term in query.terms if term.name not in FROM_RECORDS)
    page = store.captures(replace(query, terms=quick, cursor=None, limit=1, order=order))
    return decode(page.items[0]).time_ns if page.items else None


def span(store: Store, query: CaptureQuery) -> ListSpan | None:
    """None where nothing is found."""
    first, last = end_of(store, query, "oldest"), end_of(store, query, "newest")
    if first is None or last is None:
        return None
    last += 1
    if query.namespaces is None:
        hours = _hours(store, query)
        steps = []
        for hour in sorted(hours, reverse=True):
            begin, end = max(first, hour), min(last, hour + HOUR)
            if begin < end:
                steps.append(Stretch(begin, end, hours[hour]))
        if steps:
            return ListSpan(steps, all(term.name in COUNTED for term in query.terms))
    return ListSpan([Stretch(first, last, 1.0)], counted=False)


def _hours(store: Store, query: CaptureQuery) -> dict[int, int]:
    """Captures by the hour, as far as roll-ups know the terms."""
    terms = [term for term in query.terms if term.name in COUNTED]
    names = {term.name for term in terms}
    by = tuple(
        name for name in DIMENSIONS if name in names or ("outcome" in names and name in _OUTCOME)
    )
    counts: Counter[int] = Counter()
    for row in store.traffic(Scope(since_ns=query.since_ns, until_ns=query.until_ns), by, 1):
        of = values(by, row.by)
        if all(holds(term, of) for term in terms):
            counts[row.at_ns] += row.count
    return counts


def values(by: tuple[Dimension, ...], of: tuple[Any, ...]) -> dict[str, Any]:
    """A roll-up's row by the filter's names."""
    found: dict[str, Any] = dict(zip(by, of, strict=True))
    if found.keys() >= {*_OUTCOME}:
        id = outcome(*(found[name] for name in _OUTCOME))
        found |= {"outcome": word_of(id) if id else "", "outcome_id": id}
    return found


def holds(term: Term, of: dict[str, Any]) -> bool:
    if term.name == "outcome":
        found = bool({of["outcome"], of["outcome_id"]} & set(term.values))
    else:
        found = filter.fits(term, of)
    return found != term.negated
