"""Opening: what is no store of ours, or of a newer version, is left alone and said so."""

import sqlite3
from pathlib import Path

import pytest

from app.store import StoreError, StoreFull
from app.store.sqlite import schema
from app.store.sqlite.schema import open_reader, open_writer, translated


def made(path: Path, *statements: str) -> Path:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


def test_durable_settings(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "deep" / "er" / "store.sqlite")
    try:
        pragmas = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "auto_vacuum", "user_version")
        }
    finally:
        connection.close()
    assert pragmas == {
        "journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2, "user_version": schema.VERSION,
    }  # fmt: skip


@pytest.mark.parametrize("how", [open_writer, open_reader])
def test_newer_schema_is_refused_and_untouched(tmp_path: Path, how: object) -> None:
    path = tmp_path / "store.sqlite"
    open_writer(path).close()
    made(path, f"PRAGMA user_version={schema.VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=rf"schema is {schema.VERSION + 1}, .*\n\nhint: "):
        how(path)  # type: ignore[operator]
    assert path.read_bytes() == before


@pytest.mark.parametrize("how", [open_writer, open_reader])
def test_other_files_are_refused(tmp_path: Path, how: object) -> None:
    foreign = made(tmp_path / "foreign.sqlite", "CREATE TABLE mine (x)")
    before = foreign.read_bytes()
    with pytest.raises(StoreError, match=r"not a store of telemock's\n\nhint: "):
        how(foreign)  # type: ignore[operator]
    assert foreign.read_bytes() == before
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\x00garbage" * 1_000)
    with pytest.raises(StoreError, match=r"not a database\n\nhint: "):
        how(garbage)  # type: ignore[operator]


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="TELEMOCK_DATA"):
        open_writer(tmp_path / "file" / "store.sqlite")


def test_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.sqlite"
    open_writer(path).close()
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE a (x); OOPS"))
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    with pytest.raises(StoreError, match="syntax error"):
        open_writer(path)
    monkeypatch.undo()
    connection = open_writer(path)
    assert connection.execute("SELECT 1 FROM sqlite_schema WHERE name='a'").fetchone() is None
    connection.close()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_FULL, StoreFull),
        (sqlite3.SQLITE_IOERR_WRITE, StoreFull),
        (sqlite3.SQLITE_IOERR_READ, StoreError),
        (sqlite3.SQLITE_CORRUPT, StoreError),
    ],
)
def test_errors(code: int, expected: type[StoreError]) -> None:
    error = sqlite3.OperationalError("it says")
    error.sqlite_errorcode = code
    with pytest.raises(StoreError, match="it says") as caught, translated(Path("store.sqlite")):
        raise error
    assert type(caught.value) is expected
