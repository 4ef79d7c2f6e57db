"""Opens the SQLite file, and brings it to the version of `migrations`.

Called by `app.store.sqlite.store`.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from app.contract.files import PRIVATE_DIR, private
from app.store import StoreError, StoreFull
from app.store.sqlite import classes
from app.store.sqlite.migrations import MIGRATIONS, VERSION
from app.store.versions import version_key

APPLICATION = 0x746D6F6B  # "tmok", in the file's header


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raises SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as e:
        code = getattr(e, "sqlite_errorcode", 0)
        if code & 0xFF == sqlite3.SQLITE_FULL or code in _NO_ROOM:
            raise StoreFull(
                f"store {path}: the disk took no more ({e})\n\n"
                "hint: free some space, or lower TELEMOCK_RETENTION_SIZE; nothing was half written"
            ) from None
        raise StoreError(
            f"store {path}: {e}\n\nhint: check that the file is a store of telemock's, that this "
            "user may read and write it and its directory, and that the disk is healthy"
        ) from None


# SQLite's errors for a file size limit, a quota and a full disk, besides SQLITE_FULL.
_NO_ROOM = frozenset({
    sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_TRUNCATE, sqlite3.SQLITE_IOERR_SHMSIZE,
})  # fmt: skip


def open_writer(path: Path) -> sqlite3.Connection:
    """Opens the store at `path`, created or migrated if needed. Only its owner may read it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIR)
        os.close(private(str(path), os.O_RDWR | os.O_CREAT))
    except OSError as e:
        raise StoreError(
            f"store {path}: {e.strerror}\n\n"
            "hint: TELEMOCK_DATA names the directory; this user must be able to write there"
        ) from None
    with translated(path):
        connection = _connect(str(path))
        try:
            _version(connection, path)  # before any change: it may not be a store of ours
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # must come before the first table
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(
                "PRAGMA synchronous=FULL"
            )  # an acknowledged record survives a power cut
            connection.execute("PRAGMA journal_size_limit=33554432")
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def open_scratch() -> sqlite3.Connection:
    """Opens an empty store in memory, for roll-ups that no file keeps."""
    connection = _connect(":memory:")
    for migration in MIGRATIONS:
        connection.executescript(migration)
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Opens for reading, beside a writer or alone, also where nothing may be written."""
    if not path.is_file():
        raise StoreError(
            f"store {path}: there is none\n\n"
            "hint: the first `telemock run -- COMMAND` or `telemock serve` makes it; TELEMOCK_DATA "
            "names another directory"
        )
    with translated(path):
        try:
            return _reader(path, "mode=ro")
        except sqlite3.OperationalError as e:
            # A store at rest in a directory that takes no -wal and -shm files. With a journal there
            # is somebody, or was: reading past it would show the past as the present.
            wal = Path(f"{path}-wal")
            refused = e.sqlite_errorcode & 0xFF in (
                sqlite3.SQLITE_CANTOPEN,
                sqlite3.SQLITE_READONLY,
            )
            if not refused or (wal.exists() and wal.stat().st_size):
                raise
            return _reader(path, "immutable=1")


def _reader(path: Path, how: str) -> sqlite3.Connection:
    connection = _connect(f"file:{quote(str(path.absolute()))}?{how}", uri=True)
    try:
        if _version(connection, path) < VERSION:
            raise StoreError(
                f"store {path}: its schema is older than {VERSION}\n\n"
                "hint: start the app on it once: it brings the store up to date"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(name: str, uri: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        name, isolation_level=None, check_same_thread=False, timeout=10, uri=uri
    )
    try:
        connection.create_function("version_key", 1, version_key, deterministic=True)
        connection.create_function("telemock_class", 4, classes.told, deterministic=True)
        connection.execute("PRAGMA cache_size=-16000")
        connection.execute("PRAGMA temp_store=MEMORY")
    except BaseException:  # the file is no database
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION and (
        version or connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
    ):
        raise StoreError(
            f"store {path}: this SQLite file is not a store of telemock's\n\n"
            "hint: TELEMOCK_DATA names the store's directory; choose another"
        )
    if version > VERSION:
        raise StoreError(
            f"store {path}: its schema is {version}, this version of telemock knows {VERSION}\n\n"
            "hint: run the version of telemock that wrote it, or a newer one"
        )
    return version


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(_version(connection, path), VERSION):
            for statement in MIGRATIONS[number].split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={number + 1}")
        connection.execute(f"PRAGMA application_id={APPLICATION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
