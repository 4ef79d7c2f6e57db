import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.contract.account import Account
from app.contract.masking.masker import Masker
from app.contract.record import CaptureRecord, Log, Request, Response, encode
from app.ingest import writer
from app.ingest.writer import RecordWriter
from app.logs.files import LogFiles
from app.otel import settings as otel
from app.otel.export import Exporter
from app.otel.metrics import Metrics
from app.profiles import load_profiles
from app.store import CaptureQuery, Incoming, StoreError, StoreFull, Told, Written
from app.store.sqlite.store import SqliteStore
from tests.lines import no_decoders
from tests.records import decoded
from tests.threads import in_threads
from tests.waiting import until, wait_for

SIDECAR = "feedfeedfeedfeed"
SECRET = "canary-lic-0123456789"


class Fussy(SqliteStore):
    """The real store; fails like a full disk while `full`, and like a bug on a poisoned record."""

    full = False
    writes = 0

    def write(self, batch: Sequence[Incoming], told: Sequence[Told] = ()) -> Written:
        self.writes += 1
        if self.full:
            raise StoreFull("the disk is full\n\nhint: make room")
        if any(i.record.reason == "poison" for i in batch):
            raise ZeroDivisionError
        return super().write(batch, told)


class Bench:
    def __init__(self, folder: Path) -> None:
        rules = load_profiles(["cribl"])
        self.store = Fussy(folder / "store.sqlite")
        self.metrics = Metrics("app")
        self.logs = folder / "logs"
        masker = Masker(rules, b"k" * 32, "id")
        self.files = LogFiles(self.logs)
        exporter = Exporter(otel.read({}, service="t", version="0", resource={}), self.metrics)
        self.lacking = ""
        self.writer = RecordWriter(
            self.store,
            lambda: masker,
            no_decoders,
            self.files,
            self.metrics,
            exporter,
            "0" * 32,
            lambda: self.lacking,
        )

    def record(self, **changes: object) -> CaptureRecord:
        request = Request(method="GET", host="cdn.cribl.io", query=[("lic", SECRET), ("v", "1")])
        return CaptureRecord(
            boot=self.writer.boot,
            seq=self.writer.reserve(),
            kind="exchange",
            time_ns=1,
            profile="cribl",
            rule="telemetry",
            action="mock",
            request=request,
            response=Response(status=200),
            **changes,  # type: ignore[arg-type]
        )

    def stored(self) -> list[bytes]:
        return self.store.captures(CaptureQuery(order="arrival", limit=1000)).items

    def metric(self, line: str) -> bool:
        return line in self.metrics.render().decode()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    if bench.writer._thread.is_alive():
        bench.writer.close(10)
    bench.store.close()
    bench.files.close()


def incoming(*seqs: int, **changes: object) -> list[Incoming]:
    made = []
    for seq in seqs:
        record = CaptureRecord(boot=SIDECAR, seq=seq, kind="exchange", time_ns=1, **changes)  # type: ignore[arg-type]
        made.append(decoded(encode(record), record))
    return made


def test_own_records_are_masked_stored_logged_and_counted(bench: Bench) -> None:
    bench.writer.start()
    assert bench.writer.add(bench.record())
    wait_for(lambda: len(bench.stored()) == 1)
    assert bench.writer.close(10) == 0
    line = (bench.logs / "telemetry_requests.log").read_text()
    assert json.loads(line)["query_params"]["v"] == "1"
    assert SECRET not in line + bench.stored()[0].decode()
    assert bench.metric(
        'telemock_captures_total{telemock_action="mock",telemock_kind="exchange",'
        'telemock_profile="cribl",telemock_rule="telemetry",telemock_status_class="2xx"} 1.0'
    )


def test_sidecar_lines_go_to_their_file(bench: Bench) -> None:
    bench.writer.start()
    log = Log(level="WARNING", message="something", logger="addon")
    record = CaptureRecord(boot=SIDECAR, seq=1, kind="log", time_ns=1, log=log)
    asyncio.run(bench.writer.write([decoded(encode(record), record)]))
    assert bench.writer.close(10) == 0
    assert "WARNING" in (bench.logs / "mitmproxy.log").read_text()
    assert not (bench.logs / "telemetry_requests.log").exists()


async def test_each_sender_hears_of_the_boots_that_it_told_of(bench: Bench) -> None:
    boots = [f"{n:032x}" for n in (1, 2)]
    told = [[Told(Account(boot=boot, numbered=5), "", "")] for boot in boots]
    waiting = [asyncio.create_task(bench.writer.write([], t)) for t in (*told, [])]
    await asyncio.sleep(0)
    bench.writer.start()
    written = await asyncio.gather(*waiting)
    assert [w.accounts for w in written] == [{boots[0]: 0}, {boots[1]: 0}, {}]
    assert bench.store.writes == 1 and {b.numbered for b in bench.store.boots()} == {5}
    assert bench.writer.close(10) == 0


async def test_batches_that_wait_share_a_transaction_and_each_gets_its_own_receipt(
    bench: Bench,
) -> None:
    waits = [
        asyncio.create_task(bench.writer.write(b))
        for b in (incoming(1, 2), incoming(2, 3, 3), incoming(), incoming(4))
    ]
    bench.writer.add(bench.record())
    await asyncio.sleep(0)
    bench.writer.start()
    first, second, none, last = await asyncio.gather(*waits)
    assert (first.stored, first.duplicates) == ([0, 1], 0)
    assert (second.stored, second.duplicates) == ([1], 2)
    assert (none.stored, none.duplicates) == ([], 0)
    assert last.stored == [0]
    assert bench.store.writes == 1
    assert len(bench.stored()) == 5


async def test_a_full_disk_is_told_to_senders_and_own_records_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.05)
    bench.store.full = True
    bench.writer.start()
    bench.writer.add(bench.record())
    with pytest.raises(StoreFull):
        await bench.writer.write(incoming(1))
    assert bench.writer.waiting == 1
    assert bench.writer.problem == "the disk is full"
    assert bench.metric("telemock_store_failing 1.0")
    bench.store.full = False
    await until(lambda: len(bench.stored()) == 1)
    # Masked once: a second time would make the token of a token.
    token = json.loads(bench.stored()[0])["request"]["query"][0][1]
    assert token == "***"
    assert bench.writer.problem == ""
    assert bench.metric("telemock_store_failing 0.0")
    assert (await bench.writer.write(incoming(1))).stored == [0]


async def test_a_record_that_breaks_the_store_takes_no_other_with_it(bench: Bench) -> None:
    good, bad = (
        asyncio.create_task(bench.writer.write(b))
        for b in (incoming(1), incoming(2, reason="poison"))
    )
    bench.writer.add(bench.record(reason="poison"))
    bench.writer.add(bench.record())
    await asyncio.sleep(0)
    bench.writer.start()
    assert (await good).stored == [0]
    with pytest.raises(StoreError):
        await bad
    await until(lambda: len(bench.stored()) == 2)
    assert bench.writer.dropped == {"app_error": 1}
    assert bench.metric('telemock_capture_dropped_total{telemock_reason="app_error"} 1.0')


def test_the_queue_is_bounded_by_number_and_bytes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "QUEUE_CAP", 3)
    assert [bench.writer.add(bench.record()) for _ in range(5)] == [True] * 3 + [False] * 2
    monkeypatch.setattr(writer, "QUEUE_BYTES", 1)
    monkeypatch.setattr(writer, "QUEUE_CAP", 100)
    assert not bench.writer.add(bench.record())
    assert bench.writer.dropped == {"queue_full": 3}
    bench.writer.start()
    wait_for(lambda: len(bench.stored()) == 3)
    # What was dropped shows as missing: its number was given away.
    monkeypatch.undo()
    bench.writer.add(bench.record())
    wait_for(lambda: len(bench.stored()) == 4)
    assert [json.loads(s)["seq"] for s in bench.stored()] == [1, 2, 3, 7]
    assert bench.store.boots()[0].missing == 3


def test_close_writes_what_waits(bench: Bench) -> None:
    for _ in range(500):
        bench.writer.add(bench.record())
    bench.writer.start()
    assert bench.writer.close(20) == 0
    assert len(bench.stored()) == 500
    assert not bench.writer.add(bench.record())
    with pytest.raises(StoreError, match="shutting down"):
        asyncio.run(bench.writer.write(incoming(1)))


def test_close_counts_what_could_not_be_written(bench: Bench) -> None:
    bench.store.full = True
    bench.writer.add(bench.record())
    bench.writer.start()
    assert bench.writer.close(10) == 1
    assert bench.writer.dropped == {"disk_full": 1}


async def test_room_is_looked_for_though_nothing_comes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    bench.store.full = True
    bench.lacking = "full"
    bench.writer.start()
    with pytest.raises(StoreFull):
        await bench.writer.write(incoming(1))
    bench.store.full = False
    before = bench.store.writes
    await until(lambda: bench.store.writes > before + 2)
    assert bench.writer.problem  # a small batch is written, and yet there is no room
    bench.lacking = ""
    await until(lambda: not bench.writer.problem)
    assert bench.stored() == []


def test_what_finds_no_room_in_the_queue_says_that_the_disk_is_full(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    monkeypatch.setattr(writer, "QUEUE_CAP", 1)
    bench.store.full = True
    bench.writer.start()
    bench.writer.add(bench.record())
    wait_for(lambda: bool(bench.writer.problem) and bench.writer.waiting == 1)
    for _ in range(5):
        bench.writer.add(bench.record())
    assert bench.writer.dropped.keys() == {"disk_full"}
    bench.store.full = False
    wait_for(lambda: len(bench.stored()) == 6 - bench.writer.dropped["disk_full"])


def test_adding_from_many_threads_leaves_no_gap(bench: Bench) -> None:
    bench.writer.start()

    def add(number: int) -> None:
        for _ in range(number):
            bench.writer.add(bench.record())

    in_threads(add, [100] * 4)
    assert bench.writer.close(20) == 0
    assert sorted(json.loads(s)["seq"] for s in bench.stored()) == list(range(1, 401))
