import os
from pathlib import Path

import pytest

from addon.record.segment import Segment, count_lines, cut, segment_name, segments_in
from app.contract.record import LINE_CAP, CaptureRecord, encode

BOOT = "ab" * 16


def line(seq: int) -> bytes:
    return encode(CaptureRecord(boot=BOOT, seq=seq, kind="exchange", time_ns=1))


def written(path: Path, data: bytes) -> Segment:
    path.write_bytes(data)
    return Segment(path, BOOT, len(data), count_lines(path))


def test_segments_are_found_by_name_in_order(tmp_path: Path) -> None:
    for name in (segment_name(BOOT, 2), segment_name(BOOT, 1), segment_name("cd" * 16, 1)):
        (tmp_path / name).touch()
    for name in ("notes.txt", f"{BOOT}.lock", f"{BOOT}-1.ndjson", "x" + segment_name(BOOT, 3)):
        (tmp_path / name).touch()
    assert {b: [p.name for p in paths] for b, paths in segments_in(tmp_path).items()} == {
        BOOT: [segment_name(BOOT, 1), segment_name(BOOT, 2)],
        "cd" * 16: [segment_name("cd" * 16, 1)],
    }


def test_records_are_cut_by_count_and_size(tmp_path: Path) -> None:
    lines = [line(n) for n in range(1, 6)]
    data = b"".join(x + b"\n" for x in lines)
    segment = written(tmp_path / "s", data)
    assert cut(segment, 0, len(data), 2, 1 << 20).lines == lines[:2]
    first = cut(segment, 0, len(data), 100, len(lines[0]) + 10)
    assert first.lines == lines[:1] and first.length == len(lines[0]) + 1
    rest = cut(segment, first.length, len(data), 100, 1 << 20)
    assert rest.lines == lines[1:] and first.length + rest.length == len(data)


def test_a_record_larger_than_asked_for_comes_whole(tmp_path: Path) -> None:
    record = CaptureRecord(boot=BOOT, seq=1, kind="exchange", time_ns=1, detail="x" * 100_000)
    data = encode(record) + b"\n"
    assert cut(written(tmp_path / "s", data), 0, len(data), 5, 100).lines == [data[:-1]]


def damaged(seq: int) -> bytes:
    flipped = bytearray(line(seq))
    flipped[3] ^= 0x80
    return bytes(flipped)


@pytest.mark.parametrize(
    ("data", "good", "corrupt"),
    [
        pytest.param(line(1) + b"\n" + line(2)[:20], [1], 1, id="torn"),
        pytest.param(line(1) + b"\n" + bytes(9000), [1], 1, id="zero-filled"),
        pytest.param(line(1) + b"\n" + damaged(2) + b"\n" + line(3) + b"\n", [1, 3], 1, id="bit"),
        pytest.param(damaged(1) + b"\n" + damaged(2) + b"\n", [], 2, id="nothing good"),
        pytest.param(b"\n\n" + line(1) + b"\n", [1], 2, id="empty lines"),
        pytest.param(b"[" * 100_000 + b"\n" + line(2) + b"\n", [2], 1, id="nested"),
        pytest.param(b"\xff" * 300 + b"\n" + line(2) + b"\n", [2], 1, id="not text"),
        pytest.param(bytes(LINE_CAP + 5) + b"\n" + line(2) + b"\n", [2], 1, id="endless line"),
        pytest.param(bytes(LINE_CAP + 5), [], 1, id="endless file"),
        pytest.param(line(1).replace(b'"kind"', b'"king"') + b"\n", [], 1, id="no record"),
    ],
)
def test_damage_is_counted_and_skipped(
    tmp_path: Path, data: bytes, good: list[int], corrupt: int
) -> None:
    segment = written(tmp_path / "s", data)
    position = counted = 0
    found: list[bytes] = []
    while position < segment.size:
        batch = cut(segment, position, segment.size, 500, 1 << 20)
        found += batch.lines
        counted += batch.corrupt
        position += batch.length
    assert found == [line(n) for n in good]
    assert counted == corrupt
    assert segment.records == len(good) + corrupt


def test_a_file_that_became_shorter_is_an_error(tmp_path: Path) -> None:
    segment = written(tmp_path / "s", line(1) + b"\n")
    os.truncate(segment.path, 0)
    with pytest.raises(OSError, match="shorter"):
        cut(segment, 0, segment.size, 500, 1 << 20)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(line(1) + b"\n")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError):
        cut(Segment(tmp_path / "link", BOOT, 10, 1), 0, 10, 1, 100)
