"""All that was written: what must not be in it is looked for here."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import zstandard


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below the folder, compressed ones opened, too."""
    for path in folder.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            yield str(path.relative_to(folder)), raw
            if path.suffix == ".zst":
                yield f"{path.name}, opened", zstandard.decompress(raw)


def values(store: Path) -> Iterator[tuple[str, bytes]]:
    """Every value of every table of a store, and its compressed ones opened."""
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
        for (table,) in tables:
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
            yield f"table {table}", repr(rows).encode()
        dictionaries = dict(connection.execute("SELECT id, data FROM dictionary"))
        for what, id, dictionary, blob in connection.execute(
            # A negative dictionary is a form's: its values were seen in the table.
            "SELECT 'capture', id, dictionary_id, record FROM capture WHERE dictionary_id >= 0 "
            "UNION ALL SELECT 'form', id, dictionary_id, line FROM form"
        ):
            known = zstandard.ZstdCompressionDict(dictionaries.get(dictionary, b""))
            yield f"{what} {id}", zstandard.ZstdDecompressor(known).decompress(blob)
