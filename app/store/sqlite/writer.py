"""Writes one batch to the file, in one transaction, without duplicates.

Called by `app.store.sqlite.store`, which holds the lock: nothing here is thread-safe.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import zstandard

from app.store import Heard, Incoming, SaidClass, Told, Written
from app.store.changes import ChangeQuery, InboxItem, NewReview
from app.store.facts import Sums, facet
from app.store.sqlite.accounts import note, tell
from app.store.sqlite.classes import say
from app.store.sqlite.dedup import Dedup
from app.store.sqlite.ids import IdTable
from app.store.sqlite.inbox import InboxTables
from app.store.sqlite.repeated_lines import Form, Repeated, keep
from app.store.sqlite.rollup import write
from app.store.sqlite.sketches import Sketches
from app.store.values import LOOKED

DICTIONARY_SIZE = 16 * 1024
TRAIN_AFTER = 1_000  # records to train from
_FORMS = 2_048  # forms whose ids are cached
_LEVEL = 1  # zstd's level: five sixths of the time of 3, for 4 % more bytes


class Writer:
    """Owns the connection that writes."""

    def __init__(self, connection: sqlite3.Connection, key: bytes = b"") -> None:
        self.connection = connection
        self._ids = IdTable(connection)
        self._sketches = Sketches(connection, self._ids, key)
        self._inbox = InboxTables(connection)
        self._dedup = Dedup(connection)
        self._forms: dict[Form, int] = {}
        self._dictionary = 0
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._untrained = 0  # records stored without a dictionary
        self._start()

    def write(self, batch: Sequence[Incoming], told: Sequence[Told] = ()) -> Written:
        """Writes all or nothing of the batch. Raises sqlite3.Error."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            written = self._write(batch)._replace(accounts=tell(self.connection, told))
            self.connection.execute("COMMIT")
        except BaseException:
            self.forget()
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        if not self._dictionary:
            self._untrained += len(written.stored)
        return written

    def heard(self, boots: Sequence[Heard]) -> None:
        """Notes boots that were heard of. Raises sqlite3.Error."""
        with self._step():
            note(self.connection, boots)

    def decide(self, id: int, verdict: NewReview, revision: int | None) -> InboxItem | None:
        """Raises Stale, sqlite3.Error."""
        with self._step():
            return self._inbox.decide(id, verdict, revision)

    def decide_all(self, query: ChangeQuery, verdict: NewReview) -> int:
        """Raises sqlite3.Error."""
        with self._step():
            return self._inbox.decide_all(query, verdict)

    def say_class(self, word: SaidClass) -> bool:
        """Raises sqlite3.Error."""
        with self._step():
            return say(self.connection, word)

    @contextmanager
    def _step(self) -> Iterator[None]:
        """A transaction that adds no record."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            self._inbox.forget()
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def forget(self) -> None:
        """Clears the caches of the file: after a roll-back, and after pruning."""
        self._ids.forget()
        self._sketches.forget()
        self._inbox.forget()
        self._dedup.forget()
        self._forms.clear()

    def train(self) -> None:
        """Trains the dictionary once there are enough records. It holds pieces of (masked) records
        and stays when they are pruned."""
        if self._dictionary or self._untrained < TRAIN_AFTER:
            return
        self._untrained = 0  # if it fails, it waits for as many again
        blobs = self.connection.execute(
            "SELECT record FROM capture WHERE dictionary_id=0 ORDER BY id DESC LIMIT ?",
            (TRAIN_AFTER,),
        )
        plain = zstandard.ZstdDecompressor()
        # A large record's beginning teaches enough, and the rest would take time.
        samples: list[bytes | bytearray | memoryview[int]] = [
            plain.decompress(blob)[:8_192] for (blob,) in blobs
        ]
        try:
            trained = zstandard.train_dictionary(DICTIONARY_SIZE, samples)
        except zstandard.ZstdError:
            return  # the samples are too much alike, or too few
        number = self.connection.execute(
            "INSERT INTO dictionary(data) VALUES (?)", (trained.as_bytes(),)
        ).lastrowid
        self._use(number or 0, trained.as_bytes())

    def _start(self) -> None:
        row = self.connection.execute(
            "SELECT id, data FROM dictionary ORDER BY id DESC LIMIT 1"
        ).fetchone()
        if row:
            self._use(*row)
        else:
            (self._untrained,) = self.connection.execute("SELECT records FROM total").fetchone()

    def _use(self, number: int, data: bytes) -> None:
        self._dictionary = number
        self._compressor = zstandard.ZstdCompressor(
            level=_LEVEL,
            dict_data=zstandard.ZstdCompressionDict(data),
            write_dict_id=False,  # the row holds it
        )

    def _write(self, batch: Sequence[Incoming]) -> Written:
        boots, stored = self._dedup.take(batch)
        sums = Sums()
        (last,) = self.connection.execute("SELECT last FROM total").fetchone()
        forms: dict[Form, tuple[int, int]] = {}  # facet of the form's lines, and the form's id
        rows = []
        groups: set[object] = set()
        chosen: list[Incoming] = []  # the first of each group
        for number, index in enumerate(stored, last + 1):
            one = batch[index]
            record, facts = one.record, one.facts
            group: object
            boot = boots[record.boot]
            if isinstance(one, Repeated):
                group = form = one.form
                known = forms.get(form)
                if known is None:
                    known = forms[form] = self._ids.facet(facet(record)), self._form(form, boot)
                place, form_number = known
                dictionary, kept = -form_number, one.values
            else:
                place = self._ids.facet(facet(record))
                of = record.workload
                group = (
                    place,
                    record.answered_by,
                    of.node,
                    of.image,
                    facts.seen,
                    facts.notes,
                    facts.events,
                )
                dictionary, kept = self._dictionary, self._compressor.compress(one.line)
            sums.add(record, facts, group)
            if len(chosen) < LOOKED and group not in groups:
                groups.add(group)
                chosen.append(one)
            rows.append((number, boot, record.seq, record.time_ns, place, dictionary, kept))
        self.connection.executemany("INSERT INTO capture VALUES (?,?,?,?,?,?,?)", rows)
        self.connection.execute("UPDATE total SET records=records+?1, last=last+?1", (len(stored),))
        news = write(self.connection, self._ids, self._inbox, sums)
        self._sketches.look(chosen)
        duplicates, new_hosts = len(batch) - len(stored), self._ids.new_hosts()
        return Written(
            stored,
            duplicates,
            news.fields,
            new_hosts,
            objected=news.objected,
            turned=tuple(news.turned),
        )

    def _form(self, form: Form, boot: int) -> int:
        number = self._forms.get(form)
        if number is not None:
            return number
        key = (boot, self._dictionary, self._compressor.compress(form.line))
        row: tuple[int] | None = self.connection.execute(
            "SELECT id FROM form WHERE boot_id=? AND dictionary_id=? AND line=?", key
        ).fetchone()
        return keep(self._forms, form, row[0] if row else self._add_form(key), _FORMS)

    def _add_form(self, key: tuple[int, int, bytes]) -> int:
        sql = "INSERT INTO form(boot_id, dictionary_id, line) VALUES (?,?,?)"
        return self.connection.execute(sql, key).lastrowid or 0
