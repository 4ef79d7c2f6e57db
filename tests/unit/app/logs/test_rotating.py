"""Whole lines only, rotated, packed, bounded; a full disk is counted and passes."""

import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard

from app.logs.rotating import RotatingFile


def everything(file: RotatingFile) -> list[bytes]:
    """Lines of all files, oldest first."""
    data = b""
    for path in [*file.rotated(), *([file.path] if file.path.exists() else [])]:
        data += (
            zstandard.decompress(path.read_bytes()) if path.suffix == ".zst" else path.read_bytes()
        )
    assert data == b"" or data.endswith(b"\n")
    return data.split(b"\n")[:-1]


@contextmanager
def room(bytes: int) -> Iterator[None]:
    """The kernel's limit on a file's size stands for a full disk: a write is cut short there."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_rotates_by_size_packs_and_tells(tmp_path: Path) -> None:
    told: list[int] = []
    path = tmp_path / "logs" / "a.log"
    file = RotatingFile(path, max_bytes=1_000, rotated=lambda: told.append(len(file.rotated())))
    sent = [b"%04d" % n + b"x" * 96 for n in range(30)]
    for line in sent:
        assert file.append(line)
    file.turn()  # packs what came while the last packing ended
    file.close()
    assert len(file.rotated()) == 3 and {p.suffix for p in file.rotated()} == {".zst"}
    assert file.path.stat().st_size <= 1_000
    assert everything(file) == sent
    assert len(told) == 3
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in path.parent.iterdir()} == {0o600}


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has no priority of its own")
def test_packing_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_priority, given = os.setpriority, []
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def watched(which: int, who: int, priority: int) -> None:
        set_priority(which, who, priority)
        given.append((which, who != threading.main_thread().native_id, priority))

    monkeypatch.setattr(os, "setpriority", watched)
    file = RotatingFile(tmp_path / "a.log", max_bytes=10)
    for line in (b"a line", b"another"):
        file.append(line)
    file.close()
    assert given == [(os.PRIO_PROCESS, True, 19)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_packed_file_is_as_old_as_its_lines(tmp_path: Path) -> None:
    old = tmp_path / "a.log.2026-01-01T00-00-00.000000Z"
    old.write_bytes(b"old\n")
    os.utime(old, (1e9, 1e9))
    file = RotatingFile(tmp_path / "a.log", max_bytes=100)
    file.turn()
    file.close()
    assert [(p.suffix, p.stat().st_mtime) for p in file.rotated()] == [(".zst", 1e9)]


def test_appends_to_what_is_there(tmp_path: Path) -> None:
    for line in (b"one", b"two"):
        file = RotatingFile(tmp_path / "a.log", max_bytes=100)
        file.append(line)
        file.close()
    assert file.path.read_bytes() == b"one\ntwo\n"


def test_rotates_when_the_day_ends(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a.log", max_bytes=1_000)
    file.append(b"yesterday")
    file.close()
    day_ago = file.path.stat().st_mtime - 86_400
    os.utime(file.path, (day_ago, day_ago))
    file.append(b"today")
    file.append(b"today")
    file.close()
    assert file.path.read_bytes() == b"today\ntoday\n"
    assert everything(file) == [b"yesterday", b"today", b"today"]


def test_quiet_file_turns_when_its_day_is_over(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a.log", max_bytes=1_000)
    file.turn()
    assert not file.path.exists()  # nothing is made for it
    file.append(b"yesterday")
    file.turn()
    assert file.rotated() == []
    file.close()
    day_ago = file.path.stat().st_mtime - 86_400
    os.utime(file.path, (day_ago, day_ago))
    file.turn()
    file.close()
    assert everything(file) == [b"yesterday"]
    assert not file.path.exists() and file.rotated()[0].suffix == ".zst"


def test_file_that_was_moved_or_removed_is_made_again(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a.log", max_bytes=1_000)
    file.append(b"one")
    file.path.rename(tmp_path / "moved")
    file.append(b"two")
    assert file.path.read_bytes() == b"two\n"
    file.path.unlink()
    file.append(b"three")
    assert file.path.read_bytes() == b"three\n"
    file.close()


def test_full_disk_leaves_no_half_line_and_passes(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a.log", max_bytes=10_000)
    assert file.append(b"a" * 99)
    with room(150):
        assert not file.append(b"b" * 99)
        assert not file.append(b"c" * 99)
        assert file.error
        assert file.append(b"d" * 9)
    assert file.append(b"e" * 99)
    assert not file.error
    file.close()
    assert file.failed == 2
    assert everything(file) == [b"a" * 99, b"d" * 9, b"e" * 99]


def test_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = RotatingFile(tmp_path / "file" / "a.log", max_bytes=100)
    assert not file.append(b"one")
    (tmp_path / "file").unlink()
    assert file.append(b"two")
    file.close()
    assert file.failed == 1


def test_what_a_crash_left_unpacked_is_packed_next_time(tmp_path: Path) -> None:
    (tmp_path / "a.log.2026-01-01T00-00-00.000000Z").write_bytes(b"old\n")
    (tmp_path / "a.log.2026-01-01T00-00-00.000000Z.zst.tmp").write_bytes(b"half")
    file = RotatingFile(tmp_path / "a.log", max_bytes=10)
    file.append(b"0123456")
    file.append(b"0123456")
    file.close()
    assert [p.suffix for p in file.rotated()] == [".zst", ".zst"]
    assert everything(file) == [b"old", b"0123456", b"0123456"]
    assert list(tmp_path.glob("*.tmp")) == []


@pytest.mark.parametrize("threads", [4])
def test_lines_of_threads_do_not_mix(tmp_path: Path, threads: int) -> None:
    file = RotatingFile(tmp_path / "a.log", max_bytes=20_000)
    work = [
        threading.Thread(target=lambda n=n: [file.append(b"%d" % n * 200) for _ in range(200)])
        for n in range(threads)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    file.close()
    lines = everything(file)
    assert len(lines) == threads * 200
    assert {(len(line), len(set(line))) for line in lines} == {(200, 1)}
