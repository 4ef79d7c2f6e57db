"""Roll-ups and inventory of some namespaces' captures alone, in memory: the file's know none.

Kept by `app.store.sqlite.store`, for people who may read these captures and no others. The captures
are read once: the newest first, some seconds at a time, or behind what a page shows meanwhile;
afterwards those that have arrived since.
"""

import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from app.contract.record import decode
from app.store import (
    Decoders,
    EndpointRow,
    EventRow,
    FieldRow,
    NoteRow,
    Scope,
    SenderRow,
    StoreError,
    VersionRow,
)
from app.store.facts import Sums, facts
from app.store.sqlite import rollup
from app.store.sqlite.ids import IdTable
from app.store.sqlite.inbox import InboxTables
from app.store.sqlite.reader import Reader
from app.store.sqlite.schema import open_scratch

MOST = 100_000  # captures that are read of those that were there at first; the newest
LONGEST_S = 5.0  # of reading at a time: a capture takes a twentieth of a millisecond
KEPT_S = 3_600.0  # then they are read anew: captures have gone meanwhile, and profiles changed
_STRETCH = 1_000  # captures between two looks at the clock
_PARTS = 16  # kept, each of a few MB
_NEAR = 20_000  # new captures of all namespaces that are looked at one by one


class SqlitePart:
    """Thread-safe. See `app.store.NamespacePart`."""

    def __init__(self, namespaces: Sequence[str], decoders: Decoders) -> None:
        self.read = 0
        self.back_to_ns = 0
        self.until = time.monotonic() + KEPT_S
        self._where = f"namespace IN ({','.join('?' * len(namespaces))})"
        self._namespaces = tuple(namespaces)
        self._decoders = decoders
        self._lock = threading.Lock()
        self._connection = open_scratch()
        weakref.finalize(self, self._connection.close)
        self._ids, self._inbox = IdTable(self._connection), InboxTables(self._connection)
        self._reader = Reader(self._connection)
        # Time and id of captures that are not read yet, the latest ones last.
        self._left: list[tuple[int, int]] = []
        self._beyond_ns = 0  # time of the latest one beyond MOST
        self._last = 0  # id up to which captures have been listed

    @property
    def left(self) -> int:
        """Captures that are still to be read."""
        return len(self._left)

    def catch_up(self, reader: Reader, longest_s: float | None = None) -> None:
        """Reads on. Raises sqlite3.Error."""
        with self._lock:
            self._reader.said = reader.words()
            self._look(reader.connection)
            until = time.monotonic() + (LONGEST_S if longest_s is None else longest_s)
            while self._left:
                self._add(reader, [id for _, id in self._left[-_STRETCH:]])
                del self._left[-_STRETCH:]
                if time.monotonic() > until:
                    break
            self.back_to_ns = max([self._beyond_ns, *(at for at, _ in self._left)])

    def _look(self, file: sqlite3.Connection) -> None:
        """Lists the captures that came since."""
        (last,) = file.execute("SELECT last FROM total").fetchone()
        # No index has a facet's order of arrival: what is new is found faster by id.
        index = "NOT INDEXED" if last - self._last < _NEAR else "INDEXED BY capture_facet"
        found = file.execute(
            f"SELECT time_ns, id FROM capture {index} WHERE facet_id IN"  # noqa: S608
            f" (SELECT id FROM facet WHERE {self._where}) AND id>? AND id<=?"
            " ORDER BY time_ns DESC, id DESC LIMIT ?",
            (*self._namespaces, self._last, last, MOST + 1),
        ).fetchall()
        if len(found) > MOST:
            self._beyond_ns = max(self._beyond_ns, found[-1][0])
        self._left += reversed(found[:MOST])
        self._last = last

    def _add(self, reader: Reader, ids: Sequence[int]) -> None:
        sums = Sums()
        for id, line in reader.lines.each(ids):
            record = decode(line)
            sums.add(record, facts(record, self._decoders(record.profile, record.rule)), id)
            self.read += 1
        self._connection.execute("BEGIN")
        rollup.write(self._connection, self._ids, self._inbox, sums)
        self._connection.execute("COMMIT")

    def endpoints(self, scope: Scope) -> list[EndpointRow]:
        with self._lock:
            return self._reader.endpoints(scope)

    def versions(self, scope: Scope) -> list[VersionRow]:
        with self._lock:
            return self._reader.versions(scope)

    def senders(self, scope: Scope) -> list[SenderRow]:
        with self._lock:
            return self._reader.senders(scope)

    def fields(self, scope: Scope) -> list[FieldRow]:
        with self._lock:
            return self._reader.fields(scope)

    def notes(self, scope: Scope) -> list[NoteRow]:
        with self._lock:
            return self._reader.notes(scope)

    def events(self, scope: Scope) -> list[EventRow]:
        with self._lock:
            return self._reader.events(scope)


class Parts:
    """The parts that were asked for last."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, ...], SqlitePart] = {}
        self._lock = threading.Lock()
        self._unread: list[SqlitePart] = []  # a thread reads on, one after the other
        self._reading = False

    def get(self, namespaces: Sequence[str], decoders: Decoders) -> SqlitePart:
        key = tuple(sorted(set(namespaces)))
        with self._lock:
            part = self._kept.pop(key, None)
            if part is None or part.until < time.monotonic():
                part = SqlitePart(key, decoders)
            self._kept[key] = part
            if len(self._kept) > _PARTS:
                del self._kept[next(iter(self._kept))]
        return part

    def read_on(
        self, part: SqlitePart, reader: Callable[[], AbstractContextManager[Reader]]
    ) -> None:
        """In a thread, half of the time, so that whoever asks or sends meanwhile waits little."""
        with self._lock:
            if part not in self._unread:
                self._unread.append(part)
            if self._reading:
                return
            self._reading = True
        threading.Thread(target=self._read, args=(reader,), daemon=True).start()

    def _read(self, reader: Callable[[], AbstractContextManager[Reader]]) -> None:
        try:
            while part := self._next():
                began = time.monotonic()
                with reader() as one:
                    part.catch_up(one, 0)
                time.sleep(time.monotonic() - began)
        except StoreError:  # closed, or something that the next question will be told
            with self._lock:
                self._unread.clear()
                self._reading = False

    def _next(self) -> SqlitePart | None:
        with self._lock:
            kept = self._kept.values()
            self._unread = [part for part in self._unread if part.left and part in kept]
            self._reading = bool(self._unread)
            return self._unread[0] if self._unread else None
