"""addon/arrive/turns.py: that others have their turn."""

import asyncio
import time

from addon.arrive.turns import SLICE_S, Turns


async def test_all_is_done_in_order_and_others_are_served_between() -> None:
    turns, done = Turns(), list[int]()

    def step(number: int) -> None:
        end = time.monotonic() + SLICE_S / 4
        while time.monotonic() < end:
            pass
        done.append(number)

    for number in range(100):
        turns.later(lambda number=number: step(number))  # type: ignore[misc]
    between = 0
    while len(done) < 100:
        await asyncio.sleep(0)
        between += 1
    assert done == list(range(100))
    assert between >= 20


async def test_a_step_may_ask_for_another() -> None:
    turns, done = Turns(), list[int]()

    def step() -> None:
        done.append(1)
        if len(done) < 5:
            turns.later(step)

    turns.later(step)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(done) == 5
