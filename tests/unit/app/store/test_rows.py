"""Rows are plain data, and who reads a store finds them there."""

import msgspec
import pytest

from app import store
from app.store import rows

ROWS = [
    row for row in vars(rows).values() if isinstance(row, type) and row.__module__ == rows.__name__
]


@pytest.mark.parametrize("row", ROWS)
def test_every_row_is_told_with_the_promises_and_becomes_json(row: type) -> None:
    assert getattr(store, row.__name__) is row
    assert msgspec.json.schema(row)
