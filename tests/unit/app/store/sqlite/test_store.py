"""The SQLite store keeps every store's promises, and those of its own file."""

import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from app.contract.account import Account
from app.contract.presence import Presence
from app.contract.record import Body
from app.store import (
    CaptureQuery,
    Heard,
    QueryError,
    Scope,
    Store,
    StoreError,
    StoreFull,
    Told,
    filter,
    questions,
)
from app.store.sqlite.store import SqliteStore
from tests.lines import forms_of
from tests.records import BOOT, T0, exchange, incoming
from tests.unit.app.store.suite import StoreSuite

ROOT = Path(__file__).parents[5]


class TestSqliteStore(StoreSuite):
    def open(self, directory: Path) -> Store:
        return SqliteStore(directory / "store.sqlite", b"k" * 32)


def run(code: str, *arguments: str, **how: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-c", code, *arguments], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how,
    )  # fmt: skip


def check(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


WRITER = """
import sys
from pathlib import Path
from app.store.sqlite.store import SqliteStore
from tests.records import exchange, incoming
store = SqliteStore(Path(sys.argv[1]))
for start in range(1, 100_000, 50):
    store.write(incoming(*(exchange(n) for n in range(start, start + 50))))
    print(start + 49, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 7, 23])
def test_killed_while_writing(tmp_path: Path, acknowledged: int) -> None:
    """Every acknowledged record is there, none twice, and the file is whole."""
    path = tmp_path / "store.sqlite"
    with run(WRITER, str(path)) as writer:
        for _ in range(acknowledged):
            assert writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        lines = writer.stdout.read().split()
    last = int(lines[-1]) if lines else 50 * acknowledged
    store = SqliteStore(path)
    try:
        records = store.stats().records
        assert records >= last and records % 50 == 0
        assert (store.boots()[0].count, store.endpoints()[0].count) == (records, records)
        again = store.write(incoming(*(exchange(n) for n in range(1, records + 2))))
        assert again.stored == [records]
    finally:
        store.close()
    assert check(path) == "ok"


def test_full_disk_keeps_nothing_of_the_batch_and_works_again(tmp_path: Path) -> None:
    """The kernel's limit on a file's size stands for the disk's: a write comes back refused."""
    path = tmp_path / "store.sqlite"
    store = SqliteStore(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        store.write(incoming(*(exchange(n) for n in range(1, 11))))
        size = Path(f"{path}-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20_000, limits[1]))
        batch = incoming(*(exchange(n, detail=os.urandom(2_000).hex()) for n in range(11, 111)))
        with pytest.raises(StoreFull, match=r"took no more(.|\n)*hint: "):
            store.write(batch)
        assert store.stats().records == 10
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert len(store.write(batch).stored) == 100
        assert store.endpoints()[0].count == 110
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
        store.close()
    assert check(path) == "ok"


def test_dictionary_makes_records_small_and_old_ones_stay_readable(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = SqliteStore(path)
    for start in range(1, 2_001, 100):
        store.write(incoming(*(exchange(n) for n in range(start, start + 100))))
    store.close()
    connection = sqlite3.connect(path)
    sizes = dict(
        connection.execute(
            "SELECT dictionary_id, avg(length(record)) FROM capture GROUP BY 1"
        ).fetchall()
    )
    connection.close()
    assert len(sizes) == 2 and sizes[1] < sizes[0] / 3
    store = SqliteStore(path)
    try:
        store.write(incoming(exchange(3_000)))
        for n in (1, 1_000, 2_000, 3_000):
            assert f'"seq":{n},'.encode() in (store.capture(f"{BOOT}-{n}") or b"")
    finally:
        store.close()


def test_file_is_its_owners_only(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a" / "store.sqlite")
    store.write(incoming(exchange(1)))
    modes = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "a").iterdir()}
    store.close()
    assert set(modes.values()) == {0o600} and len(modes) == 3


def test_prune_gives_the_disk_back(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = SqliteStore(path)
    for start in range(1, 3_001, 500):
        batch = (exchange(n, detail=os.urandom(500).hex()) for n in range(start, start + 500))
        store.write(incoming(*batch))
    store.close()
    size = path.stat().st_size
    store = SqliteStore(path)
    try:
        assert not store.prune(max_bytes=size // 3).more
        assert path.stat().st_size <= size // 3
        assert 0 < store.stats().records <= 1_500
    finally:
        store.close()


def test_facets_go_with_their_last_capture(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = SqliteStore(path)
    try:
        now = time.time_ns()
        old = [exchange(n, time_ns=n, pod=f"old-{n}") for n in range(1, 6)]
        store.write(incoming(*old, exchange(6, time_ns=1), exchange(7, time_ns=now)))
        assert store.prune(max_age_s=3_600).captures == 6
        assert len(store.captures(CaptureQuery(workload="leader-0")).items) == 1
        # What was remembered of them is not used again.
        store.write(incoming(exchange(8, time_ns=now, pod="old-1"), exchange(9, time_ns=now)))
        assert len(store.captures(CaptureQuery(workload="old-1")).items) == 1
        assert len(store.captures(CaptureQuery(workload="leader-0")).items) == 2
    finally:
        store.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM facet").fetchone() == (2,)
    connection.close()


def test_forms_go_with_the_last_capture_of_their_boot(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = SqliteStore(path)
    try:
        first, second, again = forms_of(1, 600), forms_of(2, 30), forms_of(1, 2000)[1980:]
        store.write(first + second)
        page = store.captures(CaptureQuery(order="arrival", limit=1000))
        assert page.items == [one.line for one in (*first, *second)]
        store.prune(max_bytes=1, steps=1)  # of 500
        assert (store.capture(first[-1].record.id), forms_in(path)) == (first[-1].line, 2)
        store.prune(max_bytes=1)
        assert (store.stats().records, forms_in(path)) == (0, 0)
        store.write(again)  # its number must not be that of a form that readers remember
        assert store.captures(CaptureQuery(order="oldest")).items == [one.line for one in again]
    finally:
        store.close()


def forms_in(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM form").fetchone()[0])
    finally:
        connection.close()


def test_question_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(tmp_path / "store.sqlite")
    try:
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT max(i) FROM n"
        monkeypatch.setattr(questions, "LONGEST_S", 0.1)
        with (
            pytest.raises(QueryError, match=r"took longer(.|\n)*hint: "),
            store._readers.one() as reader,
        ):
            reader.connection.execute(endless)
        monkeypatch.setattr(questions, "LONGEST_S", -1.0)
        with pytest.raises(QueryError, match="took longer"):
            store.captures(CaptureQuery(text="not there"))
        monkeypatch.undo()
        assert store.captures(CaptureQuery(text="not there")).items == []
    finally:
        store.close()


class TestReadOnly:
    def test_beside_a_writer(self, tmp_path: Path) -> None:
        path = tmp_path / "store.sqlite"
        writer = SqliteStore(path)
        reader = SqliteStore.open_readonly(path)
        writer.write(incoming(exchange(1)))
        assert len(reader.captures(CaptureQuery()).items) == 1
        writer.write(incoming(exchange(2)))
        assert reader.stats().records == 2
        with pytest.raises(StoreError, match="reading only"):
            reader.write(incoming(exchange(3)))
        with pytest.raises(StoreError, match="reading only"):
            reader.prune(max_age_s=1)
        reader.close()
        writer.close()

    def test_there_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="there is none"):
            SqliteStore.open_readonly(tmp_path / "store.sqlite")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(os.getuid() != 0, reason="becomes another user, which takes root")
    @pytest.mark.parametrize("crashed", [False, True])
    def test_in_a_directory_that_is_not_writable(self, crashed: bool) -> None:
        """A store at rest, and one whose writer was killed, read by a user who may only read."""
        with tempfile.TemporaryDirectory() as directory:  # pytest's are closed to other users
            Path(directory).chmod(0o755)
            self.read_as_nobody(Path(directory) / "data" / "store.sqlite", crashed)

    def read_as_nobody(self, path: Path, crashed: bool) -> None:
        if crashed:
            with run(WRITER, str(path)) as writer:
                writer.stdout.readline()
                os.kill(writer.pid, signal.SIGKILL)
        else:
            store = SqliteStore(path)
            store.write(incoming(*(exchange(n) for n in range(1, 51))))
            store.close()
        for file in path.parent.iterdir():
            file.chmod(0o644)
        path.parent.chmod(0o555)
        code = """
import os, sys
from pathlib import Path
from app.store.sqlite.store import SqliteStore
os.setgroups([]); os.setgid(65534); os.setuid(65534)
assert not os.access(sys.argv[1], os.W_OK)
store = SqliteStore.open_readonly(Path(sys.argv[1], "store.sqlite"))
print(store.stats().records, len(store.endpoints()))
store.close()
"""
        with run(code, str(path.parent)) as reader:
            out, err = reader.communicate(timeout=30)
        assert reader.returncode == 0, err
        records, endpoints = map(int, out.split())
        assert records >= 50 and endpoints == 1
        if not crashed:
            assert [p.name for p in path.parent.iterdir()] == ["store.sqlite"]


# Tables that grow with captures, or with time: reading one from end to end costs more each day.
GROWING = ("capture", "traffic", "sender", "event", "run", "form")


def test_nothing_reads_a_growing_table_from_end_to_end(tmp_path: Path) -> None:
    """Of every statement of every question, of writing and of pruning; `capture` is read in the
    order of an index only by searches, which end with their page."""
    store = SqliteStore(tmp_path / "store.sqlite")
    said: dict[str, None] = {}
    try:
        _records(store)
        writer = store._writer
        assert writer
        with store._readers.one() as reader:
            pass
        for connection in (writer.connection, reader.connection):
            connection.set_trace_callback(lambda s: said.setdefault(s, None))
        _everything(store)
        for connection in (writer.connection, reader.connection):
            connection.set_trace_callback(None)
        scans: dict[str, set[str]] = {}
        for statement in said:
            if not statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
                continue
            for row in writer.connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall():
                table = re.match(r"SCAN (\w+)(?! VIRTUAL)", row[3])
                if table and table[1] in GROWING:
                    scans.setdefault(row[3], set()).add(statement)
    finally:
        store.close()
    assert len(said) > 60
    in_order = "SCAN capture USING (COVERING )?INDEX capture_time|SCAN capture"
    assert [plan for plan in scans if not re.fullmatch(in_order, plan)] == []
    for statement in {statement for found in scans.values() for statement in found}:
        assert re.search(r"ORDER BY (time_ns|id)\b.* LIMIT ", statement), statement


def _records(store: SqliteStore) -> None:
    for start in range(0, 1_200, 300):
        store.write(
            incoming(*(
                exchange(n, time_ns=T0 + n * 10**9, pod=f"pod-{n % 7}", status=200 + n % 3,
                         host=f"{n % 5}.example", path=f"/{n % 11}")
                for n in range(start + 1, start + 301)
            ))
        )  # fmt: skip


def _everything(store: SqliteStore) -> None:
    boot, told = "cd" * 16, Account(boot="cd" * 16, numbered=3, lost={"spool_full": 1})
    store.heard([Heard(boot, "logs", "pod-1", T0, False, Presence(form="all"))])
    store.write(incoming(exchange(5_000, body=Body(text="{}", size=2))), [Told(told, "", "")])
    for since in (None, T0, T0 + 3_600 * 10**9):
        scope = Scope(since_ns=since, profile=None if since is None else "cribl")
        store.endpoints(scope)
        store.versions(scope)
        store.senders(scope)
        store.fields(scope)
        store.notes(scope)
        store.events(scope)
        store.traffic(scope, ("profile", "kind"), 24 if since else 0)
    store.boots()
    store.stats()
    store.capture(f"{BOOT}-7")
    store.capture(f"{BOOT[:8]}-7")
    orders: tuple[Literal["newest", "oldest", "arrival"], ...] = ("newest", "oldest", "arrival")
    for order in orders:
        for text in ("", "pod:pod-3", "host:1.example", '"pod-6"', "version>=4.16", "-status:2xx",
                     "action:mock", "outcome:failed", "field:lic",
                     "since:2020-01-01 method:PUT"):  # fmt: skip
            query = filter.read(text, CaptureQuery(order=order, limit=20))
            page = store.captures(query)
            store.captures(msgspec.structs.replace(query, cursor=page.next))
    store.prune(max_age_s=1, steps=2)
    store.prune(max_bytes=1, steps=2)
    store.prune(max_age_s=1)
