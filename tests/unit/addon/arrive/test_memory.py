"""addon/arrive/memory.py: who leaves when there are too many, or when they hold too much."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from addon.arrive import memory
from addon.arrive.memory import LIGHT, Memory
from addon.bounds import DEFAULTS, Bounds
from addon.exchange.conversation import Stage
from app.otel.metrics import Metrics


class Guest:
    def __init__(self, active: float = 0, *, served: bool = False, size: int = 0) -> None:
        self.active, self.served, self.size = active, served, size
        self.at_work = False
        self.receiving: dict[Stage, int] = {}
        self.evicted = ""

    def busy(self) -> bool:
        return self.at_work

    def held(self) -> int:
        return self.size

    def stages(self) -> dict[Stage, int]:
        return self.receiving

    def evict(self, bound: str) -> None:
        self.evicted = bound


class Case:
    def __init__(self, **bounds: float) -> None:
        self.now = 100.0
        self.metrics = Metrics("sidecar")
        self.memory = Memory(made(**bounds), self.metrics, lambda: self.now)

    def filled(self, *guests: Guest) -> "Case":
        assert all(map(self.memory.enter, guests))
        return self

    def refused(self, bound: str) -> float:
        return self.metrics.total("telemock.bounds.exceeded")


def made(**bounds: float) -> Bounds:
    return replace(DEFAULTS, **bounds)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
async def loop() -> None:
    """It sweeps in the event loop."""


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(memory.resource, "getrlimit", lambda which: (94, 94))
    yield


async def test_one_more_closes_the_idlest_that_never_had_an_answer() -> None:
    served, idle, idler, new = Guest(1, served=True), Guest(5), Guest(3), Guest(9)
    case = Case(connections=3).filled(served, idle, idler)
    assert case.memory.enter(new)
    assert [x.evicted for x in (served, idle, idler)] == ["", "", "connections"]
    assert len(case.memory) == 3
    assert case.memory.enter(Guest(10)) and idle.evicted
    # Only where there is no other one goes who had an answer.
    assert case.memory.enter(Guest(11)) and new.evicted and not served.evicted


async def test_who_waits_for_an_answer_stays_and_the_newest_is_refused() -> None:
    one, two = Guest(1), Guest(2)
    case = Case(connections=2).filled(one, two)
    one.at_work = two.at_work = True
    assert not case.memory.enter(Guest(3))
    assert not one.evicted and not two.evicted
    assert case.refused("connections") == 1


@pytest.mark.usefixtures("few")
async def test_there_are_no_more_connections_than_files() -> None:
    case = Case(connections=400).filled(*(Guest(n) for n in range(10)))
    case.memory.enter(Guest(99))
    assert len(case.memory) == 10


async def test_over_the_bytes_who_holds_most_of_what_does_not_move_leaves() -> None:
    slow, fresh, light = Guest(90, size=100_000), Guest(100, size=400_000), Guest(1, size=LIGHT)
    case = Case(held=510_000).filled(slow, fresh, light)
    for guest in (slow, fresh):
        case.memory.weigh(guest)
    assert case.memory.held == 500_000
    case.memory.weigh(light)
    assert (slow.evicted, fresh.evicted, light.evicted) == ("held", "", "")
    assert case.memory.held == 400_000 + LIGHT


async def test_the_light_stay_whatever_the_others_do() -> None:
    light = [Guest(1, size=LIGHT) for _ in range(10)]
    case = Case(held=LIGHT * 5).filled(*light)
    for guest in light:
        case.memory.weigh(guest)
    assert not any(x.evicted for x in light)


async def test_what_left_weighs_nothing() -> None:
    guest = Guest(size=1000)
    case = Case().filled(guest)
    case.memory.weigh(guest)
    case.memory.leave(guest)
    case.memory.leave(guest)
    case.memory.weigh(guest)
    assert (case.memory.held, len(case.memory)) == (0, 0)


@pytest.mark.parametrize("kind", ["head", "body"])
async def test_a_stage_that_makes_no_progress_ends_in_time(kind: str) -> None:
    stuck, moving, other = Guest(), Guest(), Guest()
    case = Case(head=20.0, body=20.0).filled(stuck, moving, other)
    for second in range(25):
        case.now += 1
        stuck.receiving = {(kind, 1): 0}  # type: ignore[dict-item]
        moving.receiving = {(kind, 1): second}  # type: ignore[dict-item]
        other.receiving = {(kind, second): 0}  # type: ignore[dict-item]
        case.memory.sweep()
    assert (stuck.evicted, moving.evicted, other.evicted) == (kind, "", "")
    assert len(case.memory) == 2


async def test_a_sweep_weighs_all() -> None:
    guest = Guest()
    case = Case().filled(guest)
    guest.size = 7
    case.memory.sweep()
    assert case.memory.held == 7


async def test_memory_is_given_back_now_and_then_and_at_once_after_many_evictions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What evicted connections held counts until then, and comes as fast as clients like."""
    given: list[float] = []
    case = Case(held=1 << 20)
    monkeypatch.setattr(memory, "_give_back", lambda: given.append(case.now))

    def left(number: int, size: int) -> None:
        for _ in range(number):
            guest = Guest(size=size)
            case.filled(guest)
            case.memory.weigh(guest)
            case.memory.leave(guest)
        case.now += 1
        case.memory.sweep()

    left(memory.LEFT + 1, size=0)
    left(memory.LEFT + 1, size=0)
    assert len(given) == 1  # not again so soon
    left(memory.LEFT + 1, size=2 << 20)
    left(memory.LEFT + 1, size=2 << 20)
    assert len(given) == 3
