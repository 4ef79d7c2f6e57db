import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from addon.record import ledger as ledger_module
from addon.record.ledger import Ledger, boots_in
from app.contract.account import LOST, Account
from app.contract.record import REASONS
from tests.threads import in_threads

BOOT, OLD = "ab" * 16, "cd" * 16


def claimed(directory: Path, boot: str = BOOT) -> Ledger:
    ledger = Ledger(boot)
    ledger.claim(directory)
    assert ledger.error == ""
    return ledger


def left(directory: Path, boot: str = BOOT) -> Ledger:
    ledger = Ledger.left(directory, boot)
    assert ledger is not None
    return ledger


def test_every_reason_has_a_sentence_and_a_place() -> None:
    assert set(LOST) <= REASONS.keys() and len(set(LOST)) == len(LOST) <= 16


def test_numbers_are_gapless_from_one_in_every_thread(tmp_path: Path) -> None:
    ledger = claimed(tmp_path)
    numbers: list[int] = []
    in_threads(lambda many: numbers.extend([ledger.reserve() for _ in range(many)]), [1000] * 4)
    assert sorted(numbers) == list(range(1, 4001))
    ledger.close(remove=False)
    assert left(tmp_path).numbered == 4000


def test_the_next_owner_knows_all_that_the_last_one_did(tmp_path: Path) -> None:
    ledger = Ledger(BOOT)
    ledger.reserve()  # before there is a file
    ledger.lose("queue_full", 1)
    ledger.claim(tmp_path)
    ledger.reserve()
    ledger.lose("spool_full", 3)
    ledger.accept(2, 700, {"refused": 1, "corrupt": 2})
    told = Account(
        boot=BOOT, numbered=2, lost={"queue_full": 1, "spool_full": 3, "corrupt": 2, "refused": 1}
    )
    assert ledger.account(ended=False) == told
    ledger.close(remove=False)
    for _ in range(2):  # and so does the one after that
        found = left(tmp_path)
        assert found.account(ended=False) == told and found.position == (2, 700) and found.says
        found.close(remove=False)
    found = left(tmp_path)
    found.accept(3, 9, {"refused": 4})
    found.close(remove=False)
    again = left(tmp_path)
    assert again.position == (3, 9) and again.account(ended=True).lost["refused"] == 5
    again.close(remove=True)
    assert list(tmp_path.iterdir()) == []


# Gives out numbers and says each; and after each moves one step on with a loss that belongs to it.
OWNER = """if True:
    import os, sys
    from pathlib import Path
    from addon.record.ledger import Ledger
    ledger = Ledger(sys.argv[2])
    ledger.claim(Path(sys.argv[1]))
    while True:
        number = ledger.reserve()
        os.write(1, b"%d\\n" % number)
        ledger.accept(number, 10 * number, {"refused": 1, "corrupt": 2})
"""


def test_a_kill_at_any_moment_loses_no_number_and_tears_no_step(tmp_path: Path) -> None:
    chance = random.Random(12)
    for _ in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", OWNER, str(tmp_path), BOOT], stdout=subprocess.PIPE
        ) as owner:
            assert owner.stdout is not None
            for _ in range(chance.randrange(1, 4000)):
                said = owner.stdout.readline()
            assert Ledger.left(tmp_path, BOOT) is None  # its owner lives
            owner.kill()
            said = (owner.stdout.read().splitlines() or [said])[-1]
        found = left(tmp_path)
        assert 0 <= found.numbered - int(said) <= 1
        step = found.position[0]
        assert found.numbered - 1 <= step <= found.numbered
        lost = found.account(ended=True).lost
        assert (found.position[1], lost["refused"], lost["corrupt"]) == (10 * step, step, 2 * step)
        found.close(remove=True)


class HalfWritten:
    """What a kill in the middle of a step leaves in memory."""

    size = 18 * 8

    def __init__(self, whole: struct.Struct) -> None:
        self.unpack_from = whole.unpack_from

    def pack_into(self, words: memoryview, at: int, *values: int) -> None:
        struct.pack_into("=5Q", words, at, *values[:5])
        raise KeyboardInterrupt


def test_a_step_that_was_not_finished_was_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = claimed(tmp_path)
    for step in (1, 2, 3):
        ledger.accept(step, step, {"refused": 1, "corrupt": 1})
        before = ledger.position, ledger.account(ended=False)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(ledger_module, "_STATE", HalfWritten(ledger_module._STATE))
            ledger.accept(9, 9, {"refused": 9, "corrupt": 9})
        ledger.close(remove=False)
        ledger = left(tmp_path)
        assert (ledger.position, ledger.account(ended=False)) == before
    ledger.close(remove=True)


@pytest.mark.parametrize(
    "content", [b"", b"x" * 100, bytes(512), b"\xff" * 512, b"tmledgr9" + bytes(504)]
)
def test_what_is_no_ledger_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"{BOOT}.lock").write_bytes(content)
    found = left(tmp_path)
    assert not found.says and found.position == (0, 0)
    found.accept(1, 2, {"corrupt": 1})
    assert not found.says
    found.close(remove=True)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_tried_again_and_numbers_go_on(tmp_path: Path) -> None:
    """RLIMIT_FSIZE is the kernel's own full disk."""
    program = """if True:
        import resource, signal, sys
        from pathlib import Path
        from addon.record.ledger import Ledger
        directory = Path(sys.argv[1])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        ledger = Ledger(sys.argv[2])
        for limit in (0, 100):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            ledger.claim(directory)
            assert ledger.error in ("File too large", "it was cut"), ledger.error
            ledger.reserve(); ledger.lose("disk_full", 1); ledger.accept(1, 5, {})
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        ledger.claim(directory)
        assert ledger.error == "" and ledger.reserve() == 3
        ledger.close(remove=False)
    """
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), BOOT],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = left(tmp_path)
    assert found.account(ended=False) == Account(boot=BOOT, numbered=3, lost={"disk_full": 2})
    assert found.position == (1, 5)


def test_a_directory_that_is_gone_costs_no_number(tmp_path: Path) -> None:
    ledger = Ledger(BOOT)
    with pytest.raises(FileNotFoundError):
        ledger.claim(tmp_path / "none")
    assert ledger.reserve() == 1
    ledger.close(remove=True)
    (tmp_path / "spool").mkdir()
    taken = claimed(tmp_path / "spool")
    (tmp_path / "spool" / f"{BOOT}.lock").unlink()
    (tmp_path / "spool").rmdir()
    assert taken.reserve() == 1
    taken.accept(1, 1, {"refused": 1})
    taken.close(remove=True)


def test_a_file_system_that_cannot_be_mapped_has_it_with_each_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_IN_PLACE", frozenset())
    ledger = claimed(tmp_path)
    path = tmp_path / f"{BOOT}.lock"

    def on_disk() -> tuple[int, int]:
        words = memoryview(path.read_bytes()).cast("Q")
        return words[0], words[1]

    before = on_disk()
    ledger.reserve()
    assert on_disk() == before  # no system call for a number
    ledger.save()
    assert on_disk() == (before[0], 1)
    ledger.reserve()
    ledger.accept(1, 2, {"refused": 1})
    assert on_disk() == (before[0], 2)
    ledger.reserve()
    ledger.close(remove=False)
    found = left(tmp_path)
    assert found.numbered == 3 and found.position == (1, 2)
    found.accept(2, 2, {"refused": 1})
    found.close(remove=False)
    assert left(tmp_path).account(ended=True).lost == {"refused": 2}


def test_it_is_private_and_small_and_no_link_is_followed(tmp_path: Path) -> None:
    claimed(tmp_path).close(remove=False)
    state = (tmp_path / f"{BOOT}.lock").stat()
    assert state.st_mode & 0o777 == 0o600 and state.st_size == 512
    (tmp_path / f"{OLD}.lock").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic link"):
        Ledger.left(tmp_path, OLD)
    assert not (tmp_path / "target").exists()


def test_its_file_is_let_go(tmp_path: Path) -> None:
    """Neither a descriptor nor the map stays: a volume could not be unmounted."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for remove in (False, True):
        ledger = claimed(tmp_path)
        ledger.reserve()
        ledger.close(remove=remove)
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        assert str(tmp_path) not in Path("/proc/self/maps").read_text()
        assert ledger.reserve() == 2  # in memory


def test_files_of_other_names_are_nobodys_business(tmp_path: Path) -> None:
    for name in (f"{BOOT}.lock", "x.lock", f"{'Z' * 32}.lock", f"{OLD}.txt", f"{OLD}0.lock"):
        (tmp_path / name).touch()
    assert boots_in(tmp_path) == {BOOT}
