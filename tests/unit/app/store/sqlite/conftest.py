import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store.sqlite.schema import open_writer


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The one that writes, on a store of its own."""
    connection = open_writer(tmp_path / "store.sqlite")
    yield connection
    connection.close()
