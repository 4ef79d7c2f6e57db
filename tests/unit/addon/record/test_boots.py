"""Boots as a spool takes them over and tells of them: who holds which, and what is counted."""

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.record import boots as boots_module
from addon.record import spool as spool_module
from addon.record.segment import SpoolBatch, segment_name
from addon.record.spool import Spool
from app.contract.account import ACCOUNTS, Account
from app.contract.record import decode
from tests.spooling import BOOT, OLD, OLDER, Case, drain, ended, line


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path / "spool")


def told(spool: Spool, stored: int = 0) -> list[Account]:
    """Has the app know all that the spool says; what that was."""
    accounts = spool.accounts()
    spool.tell(accounts, {account.boot: stored for account in accounts})
    return accounts


def numbered(spool: Spool, *seqs: int) -> None:
    """Numbers are given out, and records with them appended."""
    spool.start()
    for seq in seqs:
        assert spool.ledger.reserve() == seq
    spool.append([line(seq, spool.boot) for seq in seqs])


HOLDER = """if True:
    import sys
    from pathlib import Path
    from addon.record.ledger import Ledger
    print(Ledger.left(Path(sys.argv[1]), sys.argv[2]) is not None)
"""


def can_be_taken(directory: Path, boot: str) -> bool:
    """By another process."""
    command = [sys.executable, "-c", HOLDER, str(directory), boot]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"


def test_a_boot_is_held_for_as_long_as_its_process_needs_it(case: Case) -> None:
    first = case.spool(OLD)
    numbered(first, 1, 2)
    assert not can_be_taken(case.directory, OLD)
    first.close()
    assert can_be_taken(case.directory, OLD)
    second = case.spool()
    assert second.adopt() == 2
    assert not can_be_taken(case.directory, OLD)
    drain(second)
    assert second.untold and not can_be_taken(case.directory, OLD)
    told(second)
    assert not second.untold and case.names() == []  # while the process lives on
    second.close()


def test_a_boot_that_is_held_is_let_go_at_the_end(case: Case) -> None:
    case.leave(OLD, ended(line(1, OLD)))
    spool = case.spool()
    spool.adopt()
    assert not can_be_taken(case.directory, OLD)
    spool.close()
    assert can_be_taken(case.directory, OLD)


def test_what_is_told_of_a_boot_that_was_taken_over(case: Case) -> None:
    first = case.spool(OLD)
    numbered(first, 1, 2, 3)
    first.ledger.reserve()  # in flight
    first.lose("queue_full", 1)
    first.close()
    second = case.spool()
    second.adopt()
    assert second.accounts() == [Account(boot=OLD, numbered=4, lost={"queue_full": 1})]
    drain(second)
    assert not case.lost["killed"]
    ended_ = Account(boot=OLD, numbered=4, lost={"queue_full": 1}, ended=True)
    assert told(second, 2) == [ended_]
    assert case.lost == {"queue_full": 1, "killed": 1}
    assert second.accounts() == [] and case.names() == []
    second.close()


def test_an_app_that_does_not_know_accounts_leaves_them_to_the_next_start(case: Case) -> None:
    first = case.spool(OLD)
    numbered(first, 1)
    first.close()
    second = case.spool()
    second.adopt()
    drain(second)
    second.tell(second.accounts(), {})
    assert not second.untold and second.adopt() == 0 and second.accounts() == []
    assert case.names() == [f"{OLD}.lock"]
    third = case.spool(OLDER)
    third.adopt()
    assert third.untold and told(third)[0].boot == OLD and case.names() == []


def test_a_refusal_is_counted_once_though_a_kill_has_the_segment_read_again(case: Case) -> None:
    first = case.spool(OLD)
    numbered(first, 1, 2, 3, 4)
    first.accept(first.read(2, 1 << 20), {1})
    first.close()  # as by a kill: nothing of it is told
    second = case.spool()
    assert second.adopt() == 2
    batch = second.read(500, 1 << 20)
    assert batch.lines == [line(3, OLD), line(4, OLD)]
    second.accept(batch, {0}, "too_large")
    assert told(second, 2) == [
        Account(boot=OLD, numbered=4, lost={"refused": 1, "too_large": 1}, ended=True)
    ]
    assert case.lost == {"refused": 1, "too_large": 1}


def test_records_behind_those_that_were_delivered_are_found(case: Case) -> None:
    """The file of the first is used again for the next."""
    first = case.spool(OLD)
    numbered(first, 1, 2, 3)
    drain(first)
    numbered(first, 4)
    assert [p.name for p in case.directory.glob("*.ndjson")] == [segment_name(OLD, 1)]
    first.close()
    second = case.spool()
    assert second.adopt() == 1 and drain(second) == [line(4, OLD)]
    second.close()


def test_damage_is_counted_for_the_boot_that_it_befell(case: Case) -> None:
    first = case.spool(OLD)
    numbered(first, 1, 2)
    first.close()
    path = case.directory / segment_name(OLD, 1)
    path.write_bytes(path.read_bytes()[:-20])
    second = case.spool()
    numbered(second, 1)
    second.adopt()
    drain(second)
    accounts = {account.boot: account for account in told(second, 1)}
    assert accounts[OLD].lost == {"corrupt": 1} and accounts[BOOT].lost == {}
    assert case.lost == {"corrupt": 1}


def test_segments_that_were_done_with_are_not_sent_again(case: Case) -> None:
    """The kill came between the note and the file's end."""
    first = case.spool(OLD)
    for seq in range(1, 13):
        numbered(first, seq)
        first.append([line(100 + seq, OLD, size=300_000)])
    kept = {p: p.read_bytes() for p in case.directory.glob("*.ndjson")}
    while first.read(1, 1).lines != [line(9, OLD)]:
        first.accept(first.read(1, 1))
    first.close()
    for path, content in kept.items():
        path.write_bytes(content)
    second = case.spool()
    assert second.adopt() == 8 and drain(second)[0] == line(9, OLD)
    assert [n for n in case.names() if n.endswith(".ndjson")] == []


def test_a_start_that_ends_well_leaves_nothing_once_the_app_knows(case: Case) -> None:
    for knows in (True, False):
        spool = case.spool()
        numbered(spool, 1)
        drain(spool)
        accounts = spool.accounts(leaving=True)
        assert accounts == [Account(boot=BOOT, numbered=1, ended=True)]
        spool.tell(accounts, {BOOT: 1} if knows else {})
        spool.close()
        assert case.names() == ([] if knows else [f"{BOOT}.lock"])


def test_a_start_that_lost_something_after_its_farewell_leaves_that_to_the_next(case: Case) -> None:
    spool = case.spool(OLD)
    numbered(spool, 1)
    drain(spool)
    spool.tell(spool.accounts(leaving=True), {OLD: 1})
    spool.ledger.reserve()
    spool.lose("shutdown", 1)
    spool.close()
    successor = case.spool()
    successor.adopt()
    assert told(successor, 1) == [Account(boot=OLD, numbered=2, lost={"shutdown": 1}, ended=True)]


def test_a_start_is_not_over_while_records_wait(case: Case) -> None:
    spool = case.spool()
    numbered(spool, 1)
    assert not spool.accounts(leaving=True)[0].ended
    drain(spool)
    assert spool.accounts(leaving=True)[0].ended and not spool.accounts()[0].ended
    spool.close()


def test_a_kill_before_the_first_record_is_told_too(case: Case) -> None:
    first = case.spool(OLD)
    first.start()
    first.ledger.reserve()
    first.close()
    second = case.spool()
    assert second.adopt() == 0 and second.untold
    assert told(second) == [Account(boot=OLD, numbered=1, ended=True)]
    assert case.lost == {"killed": 1} and case.names() == []


def test_many_boots_are_taken_over_and_told_in_turns(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boots_module, "HELD", 20)
    boots = [f"{n:032x}" for n in range(1, 51)]
    for boot in boots:
        first = case.spool(boot)
        numbered(first, 1)
        first.close()
    spool = case.spool()
    known: list[str] = []
    for turn in range(3):
        assert spool.adopt() == (10 if turn == 2 else 20)
        assert spool.left_over is (turn < 2)
        drain(spool)
        while spool.untold:
            accounts = told(spool, 1)
            assert 0 < len(accounts) <= ACCOUNTS
            known += [account.boot for account in accounts]
    assert sorted(known) == boots and case.names() == [] and not case.lost


def test_a_start_without_a_directory_says_so_and_numbers_are_kept_once_there_is_one(
    case: Case, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "RETRY_S", 0.0)
    case.directory.write_text("a file in its place")
    spool = case.spool()
    numbered(spool, 1, 2)
    assert spool.ledger.error == "File exists" and "would not be counted" in caplog.text
    case.directory.unlink()
    numbered(spool, 3)
    assert spool.ledger.error == "" and can_be_taken(case.directory, BOOT) is False
    spool.ledger.reserve()
    spool.close()
    successor = case.spool(OLD)
    assert successor.adopt() == 3 and successor.accounts() == [Account(boot=BOOT, numbered=4)]
    successor.close()


# Any sequence of steps, with a kill between any two: what is known of every boot in the end.

STEPS = (
    "submit", "submit", "begin", "lose", "deliver", "deliver unnoticed", "refuse", "tell", "kill",
)  # fmt: skip


class World:
    """Sidecars one after the other, and an app. A kill leaves what another process can read: the
    files as they are, of which the next one gets a copy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._starts = 0
        self.stored: dict[str, set[bytes]] = {}
        self.told: dict[str, Account] = {}
        self.numbered: Counter[str] = Counter()
        self.lost: dict[str, Counter[str]] = {}
        self.spool = self._next()

    def _next(self) -> Spool:
        self._starts += 1
        boot = f"{self._starts:032x}"
        self.lost[boot], self.stored[boot] = Counter(), set()
        directory = self._folder / str(self._starts)
        spool = Spool(directory, boot, 64 << 20, lambda *_: None)
        spool._segment_size = 2_000  # some records
        spool.start()
        spool.adopt()
        return spool

    def step(self, what: str, number: int) -> None:
        getattr(self, what.replace(" ", "_"))(number)

    def begin(self, number: int) -> None:
        for _ in range(number):
            self.spool.ledger.reserve()
        self.numbered[self.spool.boot] += number
        self.lost[self.spool.boot]["killed"] += number

    def submit(self, number: int) -> None:
        seqs = [self.spool.ledger.reserve() for _ in range(number)]
        self.numbered[self.spool.boot] += number
        self.spool.append([line(seq, self.spool.boot, size=200 * (seq % 7)) for seq in seqs])

    def lose(self, number: int) -> None:
        self.begin(number)
        self.lost[self.spool.boot]["killed"] -= number
        self.lost[self.spool.boot]["queue_full"] += number
        self.spool.lose("queue_full", number)

    def deliver(self, number: int) -> None:
        self.spool.accept(self.deliver_unnoticed(number))

    def deliver_unnoticed(self, number: int) -> SpoolBatch:
        batch = self.spool.read(number, 1 << 20)
        for one in batch.lines:
            self.stored[decode(one).boot].add(one)
        return batch

    def refuse(self, number: int) -> None:
        """The first of a batch, unless the app has it."""
        batch = self.spool.read(number, 1 << 20)
        boots = [decode(one).boot for one in batch.lines]
        refused = [i for i in range(len(boots))[:1] if batch.lines[i] not in self.stored[boots[i]]]
        for at, (boot, one) in enumerate(zip(boots, batch.lines, strict=True)):
            if at in refused:
                self.lost[boot]["refused"] += 1
            else:
                self.stored[boot].add(one)
        self.spool.accept(batch, refused)

    def tell(self, number: int) -> None:
        accounts = self.spool.accounts()
        self.told |= {account.boot: account for account in accounts}
        self.spool.tell(accounts, {a.boot: len(self.stored[a.boot]) for a in accounts})

    def kill(self, number: int) -> None:
        shutil.copytree(self._folder / str(self._starts), self._folder / str(self._starts + 1))
        killed, self.spool = self.spool, self._next()
        killed.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 9)), min_size=10, max_size=30))
def test_every_number_is_accounted_for_whatever_happens(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for step in steps:
            world.step(*step)
        world.kill(0)
        while world.spool.records:
            world.deliver(500)
        while world.spool.untold:
            world.tell(0)
        for boot, numbered_ in world.numbered.items():
            account, stored = world.told[boot], len(world.stored[boot])
            assert account.ended and account.numbered == numbered_
            lost = Counter(account.lost)
            lost["killed"] = numbered_ - stored - lost.total()
            assert lost == world.lost[boot]
        assert [p.name for p in (Path(folder) / str(world._starts)).iterdir()] == [
            f"{world.spool.boot}.lock"
        ]
        world.spool.close()
