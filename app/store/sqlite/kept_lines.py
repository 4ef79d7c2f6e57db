"""Captures' lines, unpacked: by the dictionary, or the form, that they were compressed with.

Used by `reader`.
"""

import sqlite3
from collections.abc import Iterable, Iterator

import zstandard

from app.store.sqlite.repeated_lines import keep, whole

_FORMS = 512  # forms cached, some 2 KB each
_RECORD = "SELECT dictionary_id, record, seq, time_ns FROM capture WHERE id=?"


class KeptLines:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._decompressors: dict[int, zstandard.ZstdDecompressor] = {}
        self._forms: dict[int, bytes] = {}

    def each(self, ids: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Without those that are gone."""
        for id in ids:
            row = self.connection.execute(_RECORD, (id,)).fetchone()
            if row is not None:
                yield id, self.unpacked(*row)

    def of(self, id: int) -> bytes:
        return self.unpacked(*self.connection.execute(_RECORD, (id,)).fetchone())

    def unpacked(self, dictionary: int, record: bytes, seq: int, time_ns: int) -> bytes:
        if dictionary < 0:
            return whole(self._form(-dictionary), seq, time_ns, record)
        line = self._decompressor(dictionary).decompress(record)
        return line if line.isascii() else _repaired(line)

    def _form(self, number: int) -> bytes:
        line = self._forms.get(number)
        if line is None:
            dictionary, packed = self.connection.execute(
                "SELECT dictionary_id, line FROM form WHERE id=?", (number,)
            ).fetchone()
            line = self._decompressor(dictionary).decompress(packed)
            keep(self._forms, number, line, _FORMS)
        return line

    def _decompressor(self, dictionary: int) -> zstandard.ZstdDecompressor:
        found = self._decompressors.get(dictionary)
        if found is None:
            row = self.connection.execute(
                "SELECT data FROM dictionary WHERE id=?", (dictionary,)
            ).fetchone()
            data = zstandard.ZstdCompressionDict(row[0]) if row else None
            found = self._decompressors[dictionary] = zstandard.ZstdDecompressor(data)
        return found


def _repaired(line: bytes) -> bytes:
    """The line as valid UTF-8: until 2026-11-29 invalid fields were stored as they came."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return line.decode("utf-8", "replace").encode()
    return line
