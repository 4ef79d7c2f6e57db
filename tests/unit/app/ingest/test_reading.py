import gzip
import threading

import pytest
import zstandard

from app.auth import Pod
from app.contract.record import CaptureRecord, encode
from app.ingest.batch import BatchError, ReadBatch, read_batch
from app.ingest.reading import read
from tests.records import decoded

LINE = encode(CaptureRecord(boot="feedfeedfeedfeed", seq=1, kind="exchange", time_ns=1))
PACKED = zstandard.compress(LINE)
UNSIZED = zstandard.ZstdCompressor(write_content_size=False)
LYING = b"\x28\xb5\x2f\xfd\x20\x64\x02\x1a\x0ca"  # a frame of 100 bytes, with 213,824 in it


@pytest.mark.parametrize(
    ("body", "encoding", "in_thread"),
    [
        (PACKED, "zstd", False),
        (zstandard.compress(b"\n".join([LINE] * 4)), "zstd", False),
        (zstandard.compress(b""), "zstd", False),
        (zstandard.compress(b"{\n" * 5), "zstd", True),
        (zstandard.compress(b" " * (9 << 10)), "zstd", True),
        (UNSIZED.compress(LINE), "zstd", True),
        (PACKED + b"x" * (9 << 10), "zstd", True),
        (PACKED + b"x", "zstd", True),
        (PACKED[:-1], "zstd", True),
        (LYING, "zstd", True),
        (b"", "zstd", True),
        (LINE, "", True),
        (gzip.compress(LINE), "gzip", True),
    ],
    ids=[
        "one", "few", "none", "lines", "bytes", "unsized", "large", "more", "cut", "lying", "empty",
        "plain", "gzip",
    ],
)  # fmt: skip
async def test_only_a_few_records_are_read_in_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, body: bytes, encoding: str, in_thread: bool
) -> None:
    threads = []

    def watched(*given: object) -> ReadBatch:
        threads.append(threading.current_thread())
        return read_batch(*given)  # type: ignore[arg-type]

    monkeypatch.setattr("app.ingest.reading.read_batch", watched)
    try:
        expected: object = read_batch(body, encoding, decoded)
    except BatchError as e:
        with pytest.raises(BatchError) as caught:
            await read(body, encoding, None, decoded)
        assert (caught.value.status, str(caught.value)) == (e.status, str(e))
    else:
        assert await read(body, encoding, None, decoded) == (expected, 0)
    assert [t is not threading.current_thread() for t in threads] == [in_thread]


@pytest.mark.parametrize("records", [1, 5])
async def test_records_are_bound_to_their_pod(records: int) -> None:
    body = zstandard.compress(b"\n".join([LINE] * records))
    batch, bound = await read(body, "zstd", Pod("ns", "pod", "uid"), decoded)
    assert bound == records
    assert {i.record.workload.pod for i in batch.records} == {"pod"}
