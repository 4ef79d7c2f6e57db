import asyncio
import gzip

import msgspec
import pytest
import zstandard

from app.auth import Pod
from app.contract.account import Account
from app.contract.account import encode as encode_accounts
from app.contract.record import CaptureRecord, Workload, decode, encode
from app.ingest.admission import Arriving
from app.ingest.batch import (
    BATCH_CAP,
    LINES_CAP,
    WIRE_CAP,
    BatchError,
    Budget,
    ReadBatch,
    bind,
    plain_size,
    read_batch,
    read_body,
    receipt,
    told_by,
)
from app.store import Told, Written
from tests.records import decoded

BOOT = "0123456789abcdef"


def line(seq: int) -> bytes:
    return encode(CaptureRecord(boot=BOOT, seq=seq, kind="exchange", time_ns=1))


TWO = line(1) + b"\n" + line(2) + b"\n"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (TWO, ""),
        (TWO, "identity"),
        (gzip.compress(TWO, mtime=0), "gzip"),
        (zstandard.compress(TWO), " ZSTD "),
        (TWO.replace(b"\n", b"\r\n\n"), ""),
        (TWO.strip(), ""),
    ],
)
def test_every_encoding_gives_the_records(body: bytes, encoding: str) -> None:
    batch = read_batch(body, encoding, decoded)
    assert [i.record.seq for i in batch.records] == [1, 2]
    assert [i.line for i in batch.records] == [line(1), line(2)]
    assert batch.refused == []


def test_a_line_that_is_no_record_is_refused_alone() -> None:
    named = msgspec.json.encode({"boot": BOOT, "seq": 7, "kind": "nonsense", "time_ns": 1})
    newer = line(8).replace(b'"schema":1', b'"schema":99') if b'"schema"' in line(8) else b"x"
    batch = read_batch(b"\n".join([line(1), b"{", named, b"\xff\xfe", newer, line(2)]), "", decoded)
    assert [i.record.seq for i in batch.records] == [1, 2]
    assert [(r.line, r.id) for r in batch.refused][:3] == [(2, ""), (3, f"{BOOT}-7"), (4, "")]
    assert all(r.reason for r in batch.refused)


def test_unknown_fields_stay_in_the_line() -> None:
    newer = line(1)[:-1] + b',"invented":{"a":[1]}}'
    assert read_batch(newer, "", decoded).records[0].line == newer


def windowed(log: int) -> bytes:
    """TWO, with a window of that many bytes that whoever reads it has to keep."""
    given = zstandard.ZstdCompressionParameters(window_log=log)
    packer = zstandard.ZstdCompressor(compression_params=given).compressobj()
    return packer.compress(TWO) + packer.flush()


def test_a_window_within_the_limit_is_read() -> None:
    assert len(read_batch(windowed(26), "zstd", decoded).records) == 2


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (TWO, "gzip", 400),
        (TWO, "zstd", 400),
        (gzip.compress(TWO)[:-9], "gzip", 400),
        (zstandard.compress(TWO)[:-3], "zstd", 400),
        (gzip.compress(TWO) * 2, "gzip", 400),
        (zstandard.compress(TWO) * 2, "zstd", 400),
        (b"", "gzip", 400),
        (TWO, "br", 415),
        (gzip.compress(bytes(BATCH_CAP + 1)), "gzip", 413),
        (zstandard.compress(bytes(BATCH_CAP + 1)), "zstd", 413),
        (windowed(27), "zstd", 400),
        (b"x\n" * (LINES_CAP + 1), "", 413),
        (b"x\n" * LINES_CAP + b"x", "", 413),
        (b"\n" * (LINES_CAP + 1), "", 413),
    ],
    ids=lambda v: str(v)[:12],
)
def test_a_batch_that_cannot_be_read(body: bytes, encoding: str, status: int) -> None:
    with pytest.raises(BatchError) as caught:
        read_batch(body, encoding, decoded)
    assert caught.value.status == status
    assert caught.value.hint


def test_as_many_lines_as_allowed() -> None:
    assert len(read_batch(b"x\n" * LINES_CAP, "", decoded).refused) == LINES_CAP
    assert [r.line for r in read_batch(b"\n x\r\n\n" + b"x\rx\x0bx\x85", "", decoded).refused] == [
        2,
        4,
    ]


async def test_the_wire_is_bounded() -> None:
    async def chunks(size: int):  # type: ignore[no-untyped-def]
        for _ in range(size >> 20):
            yield bytes(1 << 20)

    arriving = Arriving(lambda _: None)
    async with arriving.place("a") as place:
        assert len(await read_body(chunks(WIRE_CAP), place)) == WIRE_CAP == arriving.held
        assert place.arrived
    assert arriving.held == 0
    with pytest.raises(BatchError) as caught:
        async with arriving.place("a") as place:
            await read_body(chunks(WIRE_CAP + (1 << 20)), place)
    assert caught.value.status == 413


def test_what_a_batch_takes_is_known_before_it_is_decompressed() -> None:
    assert plain_size(TWO, "") == plain_size(zstandard.compress(TWO), "ZSTD ") == len(TWO)
    streamed = zstandard.ZstdCompressor().compressobj()
    unknown = streamed.compress(TWO) + streamed.flush()
    for body, encoding in ((gzip.compress(TWO), "gzip"), (unknown, "zstd"), (b"x", "zstd")):
        assert plain_size(body, encoding) == BATCH_CAP
    assert read_batch(unknown, "zstd", decoded).records


def test_receipt_counts() -> None:
    done = receipt(ReadBatch([], []), Written([0, 2], 1, []))
    assert (done.stored, done.duplicates, done.refused) == (2, 1, [])


def test_accounts_are_bound_to_the_pod_of_their_sender() -> None:
    account = Account(boot="ab" * 16, numbered=7, lost={"spool_full": 2})
    headers = {"telemock-accounts": encode_accounts([account])}
    assert told_by(headers, Pod("logs", "leader-0", "u-1")) == [Told(account, "logs", "leader-0")]
    assert told_by(headers, None) == [Told(account, "", "")]
    for value in ({}, {"telemock-accounts": "no JSON"}):
        assert told_by(value, None) == []


def test_records_are_bound_to_the_pod_of_their_sender() -> None:
    pod = Pod("logs", "leader-0", "u-1")
    mine = Workload(namespace="logs", pod="leader-0", uid="u-1", node="n")
    others = [
        Workload(),
        Workload(namespace="logs", pod="leader-1", uid="u-1", image="i"),
        Workload(namespace="logs", pod="leader-0", uid="u-2"),
    ]
    lines = [
        encode(CaptureRecord(boot=BOOT, seq=n, kind="exchange", time_ns=1, workload=workload))
        for n, workload in enumerate([mine, *others], 1)
    ]
    lines[2] = lines[2][:-1] + b',"newer":{"a":[1]}}'
    batch = read_batch(b"\n".join(lines), "", decoded)
    assert bind(batch, pod, decoded) == 3
    for kept in batch.records:
        assert kept.record == decode(kept.line)
        assert Pod(*(getattr(kept.record.workload, n) for n in ("namespace", "pod", "uid"))) == pod
    assert batch.records[0].line == lines[0]
    assert batch.records[2].record.workload.image == "i"
    assert b'"newer":{"a":[1]}' in batch.records[2].line
    assert bind(batch, pod, decoded) == 0


async def test_what_waits_for_the_disk_is_bounded() -> None:
    budget = Budget(10)
    assert [await budget.take(6), await budget.take(4)] == [6, 4]
    third = asyncio.create_task(budget.take(3))
    larger = asyncio.create_task(budget.take(99))  # than all of it: alone
    await asyncio.sleep(0)
    budget.give(4)
    assert await third == 3 and not larger.done()
    budget.give(6)
    await asyncio.sleep(0)
    assert not larger.done()
    budget.give(3)
    assert await larger == 10
