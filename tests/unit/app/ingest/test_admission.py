import asyncio
import time
from collections.abc import Iterator

import pytest

from app.ingest import admission as module
from app.ingest.admission import Arriving, Slow
from tests.waiting import until


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "GRACE_S", 0.2)
    monkeypatch.setattr(module, "_YOUNG_S", 0.05)
    yield


async def slow(arriving: Arriving, sender: str, held: int = 1) -> str:
    """A body that begins and goes on with nothing; why it was ended."""
    try:
        async with arriving.place(sender) as place:
            await place.more(held, held)
            await asyncio.Event().wait()
    except Slow as e:
        return str(e)
    return "never"


async def quick(arriving: Arriving, sender: str, held: int) -> float:
    """A body that is there at once; the seconds that it took."""
    began = time.monotonic()
    async with arriving.place(sender) as place:
        await place.more(held, held)
        place.whole()
    return time.monotonic() - began


async def aged(arriving: Arriving, count: int) -> None:
    """Makes so many bodies older than the young ones, once they have begun."""
    await until(lambda: len(arriving._places) == count)
    for place in arriving._places:
        place.began -= 2 * module._YOUNG_S


async def test_a_body_that_stops_is_ended_and_gives_back_what_it_held(impatient: None) -> None:
    told: list[str] = []
    arriving = Arriving(told.append)
    said = await asyncio.wait_for(slow(arriving, "a", 100), 5)
    assert "took too long" in said
    assert (told, arriving.held) == (["slow"], 0)


async def test_a_body_that_goes_on_gets_the_time_that_its_rate_earns(impatient: None) -> None:
    arriving = Arriving(lambda _: None)
    began = time.monotonic()
    async with arriving.place("a") as place:
        while time.monotonic() < began + 0.6:  # three times the grace
            await place.more(module.RATE // 10, 1)
            await asyncio.sleep(0.02)
        place.whole()
        assert place._limit.when() is None  # what follows has no limit of ours


async def test_a_whole_body_in_time(impatient: None) -> None:
    arriving = Arriving(lambda _: None)
    with pytest.raises(Slow):
        async with arriving.place("a", 0.3) as place:
            while True:
                await place.more(1 << 20, 0)
                await asyncio.sleep(0.01)


async def test_over_the_bytes_the_slowest_is_ended_and_the_new_one_served(impatient: None) -> None:
    told: list[str] = []
    arriving = Arriving(told.append, size=100)
    held = [asyncio.create_task(slow(arriving, f"s{n}", n)) for n in (40, 30, 20)]
    await aged(arriving, 3)
    assert await asyncio.wait_for(quick(arriving, "good", 30), 5) < 0.15
    done, rest = await asyncio.wait(held, timeout=0)
    assert [t.result() for t in done] == [module.ENDED["crowded"]]
    assert told == ["crowded"] and held[2] in done and len(rest) == 2
    await asyncio.wait(rest)


async def test_a_body_that_has_just_begun_is_not_ended_for_another(impatient: None) -> None:
    tries = []

    class Watched(Arriving):
        def _end_slowest(self, sender: str = "") -> None:
            tries.append(sender)
            super()._end_slowest(sender)

    arriving = Watched(lambda _: None, size=100)
    async with arriving.place("young") as young:
        await young.more(80, 80)
        second = asyncio.create_task(quick(arriving, "second", 80))
        await until(lambda: tries)
        assert not second.done()
        young.whole()  # and now it cannot be ended at all
        await until(lambda: len(tries) > 2)  # each after the time of the young
        assert not second.done()
    await asyncio.wait_for(second, 5)


async def test_bodies_that_wait_for_each_other_do_not_wait_for_ever(impatient: None) -> None:
    arriving = Arriving(lambda _: None, size=100)

    async def halves(sender: str) -> str:
        try:
            async with arriving.place(sender) as place:
                await place.more(30, 30)
                await asyncio.sleep(0)
                await place.more(30, 30)
                place.whole()
        except Slow as e:
            return str(e)
        return "whole"

    ends = await asyncio.wait_for(asyncio.gather(*(halves(f"s{n}") for n in range(3))), 5)
    assert ends == ["whole", "whole", module.ENDED["crowded"]]


async def test_more_than_all_goes_alone() -> None:
    assert await quick(Arriving(lambda _: None, size=100), "a", 500) < 1


async def test_a_sender_that_holds_its_share_loses_its_slowest(impatient: None) -> None:
    arriving = Arriving(lambda _: None, each=2)
    mine = [asyncio.create_task(slow(arriving, "a", n)) for n in (1, 50)]
    other = asyncio.create_task(slow(arriving, "b", 1))
    await aged(arriving, 3)
    assert await quick(arriving, "a", 1) < 0.1
    done, _ = await asyncio.wait([*mine, other], return_when=asyncio.FIRST_COMPLETED)
    assert [t.result() for t in done] == [module.ENDED["crowded"]] and mine[0] in done
    await asyncio.wait([*mine, other])
    assert (arriving.held, dict(arriving._senders)) == (0, {})


async def test_an_error_of_what_is_done_inside_stays_itself() -> None:
    with pytest.raises(TimeoutError):
        async with Arriving(lambda _: None).place("a"):
            raise TimeoutError


async def test_the_end_of_the_app_does_not_wait_as_long_as_a_slow_body_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.2)
    arriving = Arriving(lambda _: None)

    async def slow() -> None:
        async with arriving.place("a") as place:
            while True:
                await place.more(1, 1)
                await asyncio.sleep(0.01)

    before = asyncio.create_task(slow())
    await until(lambda: arriving.held)
    began = time.monotonic()
    arriving.stop()
    after = asyncio.create_task(slow())
    for task in (before, after):
        with pytest.raises(Slow):
            await task
    assert 0.1 < time.monotonic() - began < 2
