import subprocess
import sys
from pathlib import Path

import pytest

from addon.record import spool as spool_module
from addon.record.segment import segment_name
from tests.spooling import BOOT, OLD, OLDER, Case, drain, ended, line


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path / "spool")


def test_records_come_back_in_order_and_leave_no_file(case: Case) -> None:
    spool = case.spool()
    lines = [line(n) for n in range(1, 1001)]
    for start in range(0, 1000, 10):
        spool.append(lines[start : start + 10])
    assert spool.records == 1000 and spool.size == len(ended(*lines))
    assert drain(spool, 7) == lines
    assert (spool.records, spool.size) == (0, 0)
    spool.append([line(1001)])
    assert drain(spool) == [line(1001)]
    spool.close()
    assert case.names() == [] and not case.lost


def test_what_is_appended_is_with_the_kernel_at_once_and_private(case: Case) -> None:
    spool = case.spool()
    spool.append([line(1), line(2)])
    path = case.directory / segment_name(BOOT, 1)
    assert path.read_bytes() == ended(line(1), line(2))
    assert path.stat().st_mode & 0o777 == 0o600
    assert case.directory.stat().st_mode & 0o777 == 0o700
    spool.close()


def test_segments_rotate_and_go_one_by_one(case: Case) -> None:
    spool = case.spool()
    lines = [line(n, size=300_000) for n in range(1, 13)]
    for x in lines:
        spool.append([x])
    assert len([n for n in case.names() if n.endswith(".ndjson")]) == 3
    batch = spool.read(4, 4 << 20)
    spool.accept(batch)
    assert len([n for n in case.names() if n.endswith(".ndjson")]) == 2
    assert batch.lines + drain(spool) == lines
    spool.close()
    assert case.names() == []


def test_a_batch_that_is_not_accepted_comes_again(case: Case) -> None:
    spool = case.spool()
    spool.append([line(1), line(2)])
    assert spool.read(500, 1 << 20) == spool.read(500, 1 << 20)
    spool.append([line(3)])
    assert drain(spool) == [line(1), line(2), line(3)]
    spool.close()


def test_a_full_spool_refuses_the_newest_and_takes_again_when_there_is_room(case: Case) -> None:
    size = len(line(1)) + 1
    spool = case.spool(limit=10 * size)
    spool.append([line(n) for n in range(1, 10)])
    spool.append([line(10, size=200), line(2), line(3)])  # too large; fits; over
    assert case.lost == {"spool_full": 2} and spool.size <= 10 * size
    assert len(drain(spool)) == 10
    spool.append([line(11)])
    assert drain(spool) == [line(11)] and case.lost == {"spool_full": 2}
    spool.close()


def test_earlier_starts_come_first_oldest_first(case: Case) -> None:
    case.leave(OLD, ended(line(1, OLD)), ended(line(2, OLD)), age=10)
    case.leave(OLDER, ended(line(1, OLDER)), age=20)
    spool = case.spool()
    spool.append([line(1)])
    assert spool.adopt() == 3
    assert drain(spool) == [line(1, OLDER), line(1, OLD), line(2, OLD), line(1)]
    spool.close()
    assert case.names() == []


def test_damage_of_earlier_starts_is_counted_and_the_rest_delivered(case: Case) -> None:
    case.leave(OLD, ended(line(1, OLD), b"{", line(2, OLD)) + line(3, OLD)[:9], b"", bytes(100))
    spool = case.spool()
    assert spool.adopt() == 5
    assert drain(spool) == [line(1, OLD), line(2, OLD)]
    assert case.lost == {"corrupt": 3} and spool.records == 0
    spool.close()
    assert case.names() == []


def test_foreign_files_stay(case: Case) -> None:
    case.leave(OLD, ended(line(1, OLD)))
    (case.directory / "notes.txt").write_text("mine")
    (case.directory / segment_name(OLDER, 1)).symlink_to("/etc/passwd")
    (case.directory / segment_name(OLDER, 2)).mkdir()
    spool = case.spool()
    spool.adopt()
    assert drain(spool) == [line(1, OLD)]
    spool.close()
    left = ["notes.txt", segment_name(OLDER, 1), segment_name(OLDER, 2)]
    assert sorted(left) == case.names() and not case.lost


def test_a_living_process_keeps_its_segments(case: Case) -> None:
    program = """if True:
        import sys
        from pathlib import Path
        from addon.record.spool import Spool
        spool = Spool(Path(sys.argv[1]), sys.argv[2], 1 << 20, print)
        spool.append([sys.argv[3].encode()])
        print("ready", flush=True)
        sys.stdin.read()
    """
    command = [sys.executable, "-c", program, str(case.directory), OLD, line(1, OLD).decode()]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "ready\n"
        spool = case.spool()
        assert spool.adopt() == 0
        spool.append([line(1)])
        assert drain(spool) == [line(1)]
        spool.close()
        other.kill()
    successor = case.spool(OLDER)
    assert successor.adopt() == 1
    assert drain(successor) == [line(1, OLD)]
    successor.close()
    assert case.names() == []


def test_what_waits_at_the_end_is_taken_over_by_the_next_start(case: Case) -> None:
    first = case.spool(OLD)
    first.append([line(1, OLD), line(2, OLD)])
    first.accept(first.read(1, 1 << 20))
    first.close()
    second = case.spool()
    second.adopt()
    assert line(2, OLD) in drain(second)  # the first again: the store knows it
    second.close()
    assert case.names() == []


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "RETRY_S", 0.0)


def test_a_directory_that_cannot_be_made_leaves_records_in_memory(
    case: Case, full_disk: None
) -> None:
    case.directory.write_text("a file in its place")
    spool = case.spool()
    assert spool.adopt() == 0
    spool.append([line(1), line(2)])
    assert spool.error == "File exists" and spool.records == 2
    assert drain(spool, 1) == [line(1), line(2)]
    case.directory.unlink()
    spool.append([line(3)])
    assert spool.error == "" and (case.directory / segment_name(BOOT, 1)).exists()
    assert drain(spool) == [line(3)] and not case.lost
    spool.close()


def test_memory_is_bounded_and_reaches_the_disk_when_it_works_again(
    case: Case, full_disk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "HELD_SIZE", 2 * len(line(1)))
    case.directory.write_text("a file in its place")
    spool = case.spool()
    spool.append([line(1), line(2), line(3)])
    assert case.lost == {"disk_error": 1} and spool.records == 2
    case.directory.unlink()
    spool.close()
    assert (case.directory / segment_name(BOOT, 1)).read_bytes() == ended(line(1), line(2))
    assert case.lost == {"disk_error": 1}


def test_memory_goes_to_disk_with_the_next_record_though_a_batch_of_it_is_under_way(
    case: Case, full_disk: None
) -> None:
    case.directory.write_text("a file in its place")
    spool = case.spool()
    spool.append([line(1), line(2)])
    batch = spool.read(500, 1 << 20)
    case.directory.unlink()
    spool.append([line(3)])
    assert (case.directory / segment_name(BOOT, 1)).read_bytes() == ended(*map(line, (1, 2, 3)))
    spool.accept(batch)  # sent once more, from the disk: the store knows them
    assert drain(spool) == [line(1), line(2), line(3)] and not case.lost
    spool.close()


def test_records_in_memory_at_the_end_are_counted(case: Case) -> None:
    case.directory.write_text("a file in its place")
    spool = case.spool()
    spool.append([line(1), line(2)])
    spool.close()
    assert case.lost == {"disk_error": 2} and spool.records == 0


def test_a_limit_in_the_middle_of_a_write_tears_nothing(tmp_path: Path) -> None:
    """RLIMIT_FSIZE is the kernel's own full disk: it takes a part of a write, then none."""
    program = """if True:
        import resource, sys
        from pathlib import Path
        from addon.record import spool as module
        from addon.record.spool import Spool
        from tests.spooling import BOOT, drain, line
        module.RETRY_S = 0.0
        lost = []
        spool = Spool(Path(sys.argv[1]), BOOT, 64 << 20, lambda *a: lost.append(a))
        lines = [line(n, size=400) for n in range(1, 61)]
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
        for start in range(0, 40, 20):
            spool.append(lines[start:start + 20])
        assert spool.error == "File too large", spool.error
        files = sorted(Path(sys.argv[1]).glob("*.ndjson"))
        assert len(files) == 2 and all(f.read_bytes().endswith(b"}\\n") for f in files), files
        assert spool.records == 40
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        spool.append(lines[40:])
        assert spool.error == ""
        assert sorted(drain(spool)) == sorted(lines) and not lost
        spool.close()
        assert not list(Path(sys.argv[1]).iterdir())
    """
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "spool")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_directory_that_is_taken_away_costs_only_what_was_in_it(case: Case) -> None:
    spool = case.spool()
    spool.append([line(1), line(2)])
    for path in case.directory.iterdir():
        path.unlink()
    case.directory.rmdir()
    assert drain(spool) == [] and case.lost == {"corrupt": 2}
    spool.append([line(3)])
    assert drain(spool) == [line(3)]
    spool.close()


def test_what_lies_behind_a_batch_can_be_looked_at(case: Case, full_disk: None) -> None:
    case.leave(OLD, ended(line(1, OLD)), ended(b"{", line(2, OLD)))
    spool = case.spool()
    spool.adopt()
    spool.append([line(1), line(2)])
    batch = spool.read(1, 1 << 20)
    assert spool.behind(batch, 500, 1 << 20) == [line(2, OLD)]
    spool.accept(batch)
    batch = spool.read(500, 1 << 20)
    assert spool.behind(batch, 500, 1 << 20) == [line(1), line(2)]
    assert spool.behind(batch, 1, 1 << 20) == [line(1)]
    spool.accept(batch)
    assert spool.behind(spool.read(1, 1 << 20), 500, 1 << 20) == [line(2)]
    assert spool.behind(spool.read(2, 1 << 20), 500, 1 << 20) == []
    assert len(drain(spool)) == 2
    spool.close()


def test_records_in_memory_can_be_looked_at_and_refused_once(case: Case, full_disk: None) -> None:
    case.directory.write_text("a file in its place")
    spool = case.spool()
    spool.append([line(1), line(2), line(3)])
    batch = spool.read(1, 1 << 20)
    assert spool.behind(batch, 500, 1 << 20) == [line(2), line(3)]
    spool.accept(batch, {0})
    assert case.lost == {"refused": 1}
    batch = spool.read(500, 1 << 20)
    case.directory.unlink()
    spool.append([line(4)])  # the disk takes them too
    spool.accept(batch, {0, 1})
    assert case.lost == {"refused": 1}  # they come again, and are refused then
    assert drain(spool) == [line(2), line(3), line(4)]
    spool.close()
