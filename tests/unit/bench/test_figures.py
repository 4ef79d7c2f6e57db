"""Medians and their intervals."""

import math
import random

import pytest

from tests.bench.figures import interval, shown, summary


def test_of_few_values_the_interval_is_all_of_them() -> None:
    assert interval([3.0]) == (3.0, 3.0)
    assert interval([2.0, 1.0, 3.0, 5.0, 4.0]) == (1.0, 5.0)


def test_of_seven_values_all_and_of_nine_all_but_the_outermost() -> None:
    """Binomial: 1 - 2/2^7 = 98.4 %, without the outermost 87.5 %; of nine 96.1 % without them."""
    assert interval([float(x) for x in range(7)]) == (0, 6)
    assert interval([float(x) for x in range(9)]) == (1, 7)


@pytest.mark.parametrize("n", [7, 11, 15, 30])
def test_the_interval_holds_the_true_median_as_often_as_it_says(n: int) -> None:
    dice = random.Random(n)
    held = 0
    for _ in range(2000):
        low, high = interval([dice.lognormvariate(0, 1) for _ in range(n)])
        held += low <= 1.0 <= high
    assert held / 2000 > 0.94


def test_nothing_measured_is_an_error() -> None:
    for of in (summary, interval):
        with pytest.raises(ValueError, match="no value"):
            of([])


def test_figures_are_shown_with_three_digits_that_count() -> None:
    values = [0, 0.0123456, 0.5, 1.0, 12.345, 1234.5, math.pi * 1e6]
    assert list(map(shown, values)) == [
        "0", "0.0123", "0.500", "1.00", "12.3", "1,234", "3,141,593",
    ]  # fmt: skip
