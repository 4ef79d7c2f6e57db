from itertools import pairwise

import pytest

from app.store.versions import version_key, version_number


@pytest.mark.parametrize(
    ("version", "number"),
    [("4.16.1-20904e45", (4, 16, 1)), ("v2", (2,)), ("4.16.", (4, 16)), ("edge", ()), ("", ())],
)
def test_number(version: str, number: tuple[int, ...]) -> None:
    assert version_number(version) == number


def test_keys_sort_as_numbers_do() -> None:
    rising = ["", "1", "1.0", "1.2", "1.10", "2", "10.0.1", "10.0.1.0", "999999999999999999"]
    assert [version_key(v) for v in rising] == sorted(version_key(v) for v in rising)
    assert all(version_key(a) < version_key(b) for a, b in pairwise(rising))
