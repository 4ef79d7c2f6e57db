"""The statistics of the bench: medians, and how far they can be trusted."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

CONFIDENCE = 0.95


class Figure(NamedTuple):
    n: int
    median: float
    low: float
    high: float


class Interval(NamedTuple):
    low: float
    high: float


def summary(values: Sequence[float]) -> Figure:
    """Raises ValueError without a value."""
    if not values:
        raise ValueError("no value")
    return Figure(len(values), statistics.median(values), min(values), max(values))


def interval(values: Sequence[float]) -> Interval:
    """Where the median of the population lies at CONFIDENCE, whatever its distribution: the
    innermost pair of order statistics that covers that much. With fewer than six values no pair
    does; then it is the smallest and the largest.
    """
    ordered, n = sorted(values), len(values)
    if not n:
        raise ValueError("no value")
    outside, left_out = 0.0, 0
    while left_out < (n - 1) // 2:
        outside += 2 * math.comb(n, left_out) / 2**n
        if 1 - outside - 2 * math.comb(n, left_out + 1) / 2**n < CONFIDENCE:
            break
        left_out += 1
    return Interval(ordered[left_out], ordered[n - 1 - left_out])


def shown(value: float) -> str:
    """Three digits that count."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
