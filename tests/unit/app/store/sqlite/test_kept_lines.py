"""app/store/sqlite/kept_lines.py: what was kept comes back as it came."""

from contextlib import closing
from pathlib import Path

import msgspec

from app.contract.record import CaptureRecord, decode, encode
from app.store import CaptureQuery
from app.store.sqlite.kept_lines import KeptLines
from app.store.sqlite.schema import open_reader
from app.store.sqlite.store import SqliteStore
from tests.records import BOOT, decoded, exchange, incoming


def test_what_an_older_version_kept_comes_back_as_json(tmp_path: Path) -> None:
    """That version looked at no text of fields that it did not know."""
    with closing(SqliteStore(tmp_path / "store.sqlite")) as store:
        line = encode(exchange(7))[:-1] + b',"z\xff":"\xed\xa0\xbd","fine":"\xc3\xa9"}'
        store.write([decoded(line, exchange(7)), *incoming(exchange(8))])
        kept = store.capture(f"{BOOT}-7")
        assert kept is not None
        assert msgspec.json.decode(kept)["fine"] == "é"
        assert msgspec.json.decode(kept, type=CaptureRecord) == exchange(7)
        assert kept in store.captures(CaptureQuery()).items


def test_those_that_are_gone_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with closing(SqliteStore(path)) as store:
        store.write(incoming(*(exchange(n) for n in range(1, 4))))
    with closing(open_reader(path)) as connection:
        ids = [id for (id,) in connection.execute("SELECT id FROM capture ORDER BY id")]
        found = dict(KeptLines(connection).each([ids[0], ids[-1] + 1, ids[2]]))
    assert {id: decode(line).seq for id, line in found.items()} == {ids[0]: 1, ids[2]: 3}
