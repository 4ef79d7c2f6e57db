"""The embedded store: one SQLite file, one writer, a few readers. See `app.store` for its promises.

Made by the app at start, and by the CLI for reading (`open_readonly`).
"""

import queue
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from app.store import (
    BootRow,
    CaptureQuery,
    Decoders,
    Dimension,
    EndpointRow,
    EventRow,
    FieldRow,
    Heard,
    Incoming,
    NoteRow,
    Page,
    Pruned,
    QueryError,
    SaidClass,
    Scope,
    SenderRow,
    SketchRow,
    Stats,
    StoreError,
    Told,
    TrafficRow,
    VersionRow,
    Written,
    questions,
)
from app.store.changes import ChangePage, ChangeQuery, InboxCounts, InboxItem, NewReview
from app.store.classes import NO_WORDS, ClassWords, ProfileClasses
from app.store.cursors import cursor
from app.store.sqlite import classes, inbox, sketches
from app.store.sqlite.migrations import VERSION
from app.store.sqlite.part import Parts, SqlitePart
from app.store.sqlite.reader import Reader
from app.store.sqlite.rollup import EVENT, SENDER, TRAFFIC
from app.store.sqlite.schema import open_reader, open_writer, translated
from app.store.sqlite.writer import Writer

_READERS = 4  # connections that read at a time; more callers wait
_STEP = 500  # captures dropped in one transaction


class SqliteStore:
    """The store. Thread-safe."""

    def __init__(self, path: Path, key: bytes = b"") -> None:
        """Opens the store at `path`, or creates it. With the `key`, a secret of the app's that
        stays, it counts different values. Raises StoreError."""
        self.path = path
        self._lock = threading.Lock()  # held by the writer
        self._readers, self._parts = _Readers(path), Parts()
        connection = open_writer(path)
        try:
            self._writer: Writer | None = Writer(connection, key)
        except BaseException:
            connection.close()
            raise

    @classmethod
    def open_readonly(cls, path: Path) -> "SqliteStore":
        """Opens for reading only, beside an app that writes or alone. Raises StoreError."""
        store = cls.__new__(cls)
        store.path = path
        store._lock = threading.Lock()
        store._writer = None
        store._readers, store._parts = _Readers(path), Parts()
        with store._readers.one():
            pass
        return store

    def write(self, batch: Sequence[Incoming], told: Sequence[Told] = ()) -> Written:
        with self._writing() as writer:
            written = writer.write(batch, told)
            with suppress(sqlite3.Error):  # the batch is committed already
                writer.train()
            return written

    def heard(self, boots: Sequence[Heard]) -> None:
        with self._writing() as writer:
            writer.heard(boots)

    def inbox(self, profile: str | None = None, after: int = 0) -> InboxCounts:
        with self._readers.one() as reader:
            return inbox.counts(reader.connection, profile, after)

    def changes(self, query: ChangeQuery) -> ChangePage:
        with self._readers.one() as reader:
            return inbox.changes(reader.connection, query)

    def change(self, id: int) -> InboxItem | None:
        with self._readers.one() as reader:
            return inbox.change(reader.connection, id)

    def decide(self, id: int, verdict: NewReview, revision: int | None = None) -> InboxItem | None:
        with self._writing() as writer:
            return writer.decide(id, verdict, revision)

    def decide_all(self, query: ChangeQuery, verdict: NewReview) -> int:
        with self._writing() as writer:
            return writer.decide_all(query, verdict)

    def say_class(self, said: SaidClass) -> bool:
        with self._writing() as writer:
            return writer.say_class(said)

    def profiles_say(self, classes: ProfileClasses) -> None:
        self._readers.profiles = classes

    def words(self) -> ClassWords:
        with self._readers.one() as reader:
            return reader.words()

    def captures(self, query: CaptureQuery) -> Page:
        with self._readers.one() as reader:
            return reader.captures(query)

    def capture(self, id: str) -> bytes | None:
        with self._readers.one() as reader:
            return reader.capture(id)

    def traffic(self, scope: Scope, by: Sequence[Dimension], hours: int = 0) -> list[TrafficRow]:
        with self._readers.one() as reader:
            return reader.traffic(scope, by, hours)

    def endpoints(self, scope: Scope = Scope()) -> list[EndpointRow]:  # noqa: B008 - frozen
        with self._readers.one() as reader:
            return reader.endpoints(scope)

    def versions(self, scope: Scope = Scope()) -> list[VersionRow]:  # noqa: B008
        with self._readers.one() as reader:
            return reader.versions(scope)

    def senders(self, scope: Scope = Scope()) -> list[SenderRow]:  # noqa: B008
        with self._readers.one() as reader:
            return reader.senders(scope)

    def fields(self, scope: Scope = Scope()) -> list[FieldRow]:  # noqa: B008
        with self._readers.one() as reader:
            return reader.fields(scope)

    def notes(self, scope: Scope = Scope()) -> list[NoteRow]:  # noqa: B008
        with self._readers.one() as reader:
            return reader.notes(scope)

    def said_classes(self, profile: str | None = None) -> list[SaidClass]:
        with self._readers.one() as reader:
            return classes.said(reader.connection, profile)

    def sketches(self, profile: str | None = None) -> list[SketchRow]:
        with self._readers.one() as reader:
            return sketches.sketches(reader.connection, profile)

    def events(self, scope: Scope = Scope()) -> list[EventRow]:  # noqa: B008
        with self._readers.one() as reader:
            return reader.events(scope)

    def part(self, namespaces: Sequence[str], decoders: Decoders) -> SqlitePart:
        part = self._parts.get(namespaces, decoders)
        soon = questions.soon()
        with self._readers.one() as reader:
            part.catch_up(reader, questions.SOON_S if soon else None)
        if soon and part.left:
            self._parts.read_on(part, self._readers.one)
        return part

    def boots(self) -> list[BootRow]:
        with self._readers.one() as reader:
            return reader.boots()

    def stats(self) -> Stats:
        with self._readers.one() as reader:
            records, last = reader.connection.execute("SELECT records, last FROM total").fetchone()
        return Stats(
            records=records,
            bytes=sum(_size(Path(f"{self.path}{end}")) for end in ("", "-wal")),
            schema=VERSION,
            arrival=cursor("arrival", 0, last),
        )

    def prune(
        self, *, max_age_s: float | None = None, max_bytes: int | None = None, steps: int = 100
    ) -> Pruned:
        dropped = count = 0
        for _ in range(steps):
            with self._writing() as writer:
                count = _prune_step(writer, max_age_s, max_bytes)
            if not count:
                break
            dropped += count
            time.sleep(0.001)  # locks are not fair: let a waiting writer take this one
        with self._writing() as writer:  # shrinks the file on disk
            writer.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return Pruned(dropped, more=count > 0)

    def close(self) -> None:
        self._readers.close()
        with self._lock:
            if self._writer is not None:
                self._writer.connection.close()
                self._writer = None

    @contextmanager
    def _writing(self) -> Iterator[Writer]:
        with self._lock, translated(self.path):
            if self._writer is None:
                raise StoreError(
                    f"store {self.path}: closed, or opened for reading only\n\n"
                    "hint: only the app writes; send the record to its API"
                )
            yield self._writer


def _prune_step(writer: Writer, max_age_s: float | None, max_bytes: int | None) -> int:
    """Drops at most _STEP captures in one transaction, and returns how many."""
    connection = writer.connection
    oldest = None if max_age_s is None else time.time_ns() - int(max_age_s * 1e9)
    connection.execute("BEGIN IMMEDIATE")
    try:
        count = 0
        if oldest is not None:
            count = _drop(connection, "WHERE time_ns<? ORDER BY time_ns", oldest)
        if not count and max_bytes is not None and _used(connection) > max_bytes:
            count = _drop(connection, "ORDER BY id")
        connection.execute("UPDATE total SET records=records-?", (count,))
        if not count and oldest is not None:
            _prune_rollups(connection, oldest)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        writer.forget()
    # Returns free pages to the file system in portions, the rest in the next step.
    connection.execute("PRAGMA incremental_vacuum(2000)").fetchall()
    return count


def _drop(connection: sqlite3.Connection, which: str, *values: int) -> int:
    """Drops the first _STEP captures that match, with facets and boots' forms that no other capture
    uses."""
    rows = connection.execute(
        f"SELECT id, facet_id, boot_id FROM capture {which} LIMIT ?",  # noqa: S608 - text from above
        (*values, _STEP),
    ).fetchall()
    connection.executemany("DELETE FROM capture WHERE id=?", ((id,) for id, _, _ in rows))
    connection.executemany(
        "DELETE FROM facet WHERE id=? AND NOT EXISTS"
        " (SELECT 1 FROM capture WHERE facet_id=facet.id)",
        {(facet,) for _, facet, _ in rows},
    )
    connection.executemany(
        "DELETE FROM form WHERE boot_id=?1 AND NOT EXISTS (SELECT 1 FROM capture WHERE boot_id=?1)",
        {(boot,) for _, _, boot in rows},
    )
    return len(rows)


def _prune_rollups(connection: sqlite3.Connection, oldest: int) -> None:
    """Drops old roll-ups. The inventory stays: new versions are compared with it."""
    TRAFFIC.drop(connection, oldest)
    SENDER.drop(connection, oldest)
    EVENT.drop(connection, oldest)
    connection.execute("DELETE FROM event_name WHERE id NOT IN (SELECT event_id FROM event)")
    # A boot's numbers deduplicate its records: only boots silent for long are forgotten.
    silent = oldest - (time.time_ns() - oldest)
    gone = connection.execute(
        "DELETE FROM boot WHERE max(last_ns, heard_ns)<? AND NOT EXISTS"
        " (SELECT 1 FROM capture WHERE boot_id=boot.id) RETURNING id",
        (silent,),
    ).fetchall()
    connection.executemany("DELETE FROM run WHERE boot_id=?", gone)


def _used(connection: sqlite3.Connection) -> int:
    """Bytes of the pages in use: the size of the store without its free pages."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _too_long() -> QueryError:
    return QueryError(
        f"the question took longer than {questions.LONGEST_S:g} s\n\n"
        "hint: ask for less at once: give since and until, or a host"
    )


class _Readers:
    """A pool of at most _READERS connections, each used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: queue.LifoQueue[Reader] = queue.LifoQueue()
        self._room = threading.Semaphore(_READERS)
        self._closed = False
        self.profiles = NO_WORDS.profiles

    @contextmanager
    def one(self) -> Iterator[Reader]:
        until = questions.deadline()
        left = until - time.monotonic()
        if left <= 0 or not self._room.acquire(timeout=left):
            raise _too_long()
        try:
            if self._closed:
                raise StoreError(f"store {self._path}: closed\n\nhint: open it again")
            with translated(self._path):
                try:
                    reader = self._idle.get_nowait()
                except queue.Empty:
                    reader = Reader(open_reader(self._path))
                reader.profiles = self.profiles
                reader.connection.set_progress_handler(lambda: time.monotonic() > until, 10_000)
                try:
                    yield reader
                except sqlite3.OperationalError as e:
                    if e.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                        raise
                    raise _too_long() from None
                finally:
                    self._idle.put(reader)
        finally:
            self._room.release()

    def close(self) -> None:
        """Waits for running queries."""
        for _ in range(_READERS):
            self._room.acquire()
        self._closed = True
        while not self._idle.empty():
            self._idle.get_nowait().connection.close()
        for _ in range(_READERS):
            self._room.release()
