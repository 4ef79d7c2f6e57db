"""Waiting for what happens, not for time: it fails when that does not happen within the seconds,
which only a busy machine needs."""

import asyncio
import time
from collections.abc import Callable


def wait_for[T](look: Callable[[], T], seconds: float = 10) -> T:
    """Waits until `look` gives something true; returns that."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s")
        time.sleep(0.01)
    return found


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """The same while the event loop goes on."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - of other threads and the kernel, too
            await asyncio.sleep(0.001)
