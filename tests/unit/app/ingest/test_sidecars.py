from app.auth import Pod
from app.contract import presence
from app.contract.presence import Presence
from app.ingest import sidecars
from app.ingest.sidecars import LATELY_S, REMEMBERED_S, Counts, Sidecars

A, B = Pod("logs", "a", "1"), Pod("logs", "b", "2")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_seen_then_silent_then_forgotten() -> None:
    clock = Clock()
    known = Sidecars(clock)
    known.heard(A, "", leaving=False)
    known.heard(B, "", leaving=False)
    assert known.counts() == Counts(seen=2, silent=0)
    clock.now = LATELY_S - 1
    known.heard(A, "another start", leaving=False)
    assert known.counts() == (2, 0)
    clock.now = LATELY_S
    assert known.counts() == Counts(seen=1, silent=1)
    known.heard(B, "", leaving=False)
    assert known.counts() == (2, 0)
    clock.now += REMEMBERED_S
    assert known.counts() == (0, 0)


def test_who_takes_leave_is_not_missed() -> None:
    clock = Clock()
    known = Sidecars(clock)
    known.heard(A, "", leaving=False)
    known.heard(A, "", leaving=True)
    known.heard(B, "", leaving=True)
    clock.now = LATELY_S
    assert known.counts() == (0, 0)


def test_a_laptop_tells_starts_apart_and_ignores_people() -> None:
    known = Sidecars()
    for name in ("one", "two", "one", "", "", "x" * 64 + "1", "x" * 64 + "2"):
        known.heard(None, name, leaving=False)
    assert known.counts().seen == 3


def test_is_bounded() -> None:
    known = Sidecars()
    for number in range(sidecars.MOST + 5):
        known.heard(None, str(number), leaving=False)
    assert known.counts().seen == sidecars.MOST


def test_in_a_large_fleet_each_is_to_ask_less_often() -> None:
    known = Sidecars()
    assert known.again_s() == 0
    for number in range(30 * sidecars.QUESTIONS_S):
        known.heard(None, str(number), leaving=False)
    assert known.again_s() == 30


def test_what_was_heard_waits_until_the_store_is_told() -> None:
    said = presence.encode(Presence(form="hosts", mode="observe"))
    known = Sidecars()
    known.heard(A, "ab" * 16, leaving=False, said=said)
    known.heard(A, "ab" * 16, leaving=True, said=said)
    known.heard(A, "cd" * 16, leaving=False)
    known.heard(None, "ef" * 16, leaving=False, said="no JSON")
    known.heard(A, "not a boot", leaving=False)
    taken = known.untold()
    found = {(h.boot[:2], h.namespace, h.pod, h.left, h.said.form) for h in taken}
    assert found == {
        ("ab", "logs", "a", True, "hosts"), ("cd", "logs", "a", False, ""),
        ("ef", "", "", False, ""),
    }  # fmt: skip
    assert known.untold() == taken
    known.heard(A, "cd" * 16, leaving=True)  # while the store is being told
    known.told(taken)
    assert [(h.boot[:2], h.left) for h in known.untold()] == [("cd", True)]
