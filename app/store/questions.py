"""Asks the store for people: in a few threads of its own, and within a time.

Heavy questions so keep neither ingest nor the mock nor health waiting: those have the event loop's
threads, and one of the store's connections. Called by `app.api` and `app.web`; a store heeds
`deadline`.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

from app.store import BusyError

THREADS = 3  # fewer than a store's connections
WAITING = 60  # questions, those in hand included
LONGEST_S = 30.0  # from asking to the answer: a search may have to scan much
SOON_S = 0.2  # of reading, for somebody who looks at a page

_threads = ThreadPoolExecutor(THREADS, "telemock-question")
_waiting: set[asyncio.Future[Any]] = set()
_deadline: ContextVar[float] = ContextVar("deadline")
_soon: ContextVar[bool] = ContextVar("soon", default=False)


async def ask[T](question: Callable[[], T], *, soon: bool = False) -> T:
    """`soon`: rather a part of the answer than the whole one later, where the store can do so.
    Raises what the question raises, and BusyError."""
    if len(_waiting) >= WAITING:
        raise BusyError(
            f"{WAITING} questions to the store wait for their answers\n\nhint: ask again later"
        )
    until = time.monotonic() + LONGEST_S
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(_threads, _within, question, until, soon)
    _waiting.add(future)
    future.add_done_callback(_waiting.discard)
    return await future


def _within[T](question: Callable[[], T], until: float, soon: bool) -> T:
    tokens = _deadline.set(until), _soon.set(soon)
    try:
        return question()
    finally:
        _deadline.reset(tokens[0])
        _soon.reset(tokens[1])


def soon() -> bool:
    """True if the question that this thread answers is asked with `soon`."""
    return _soon.get()


def deadline() -> float:
    """The time (monotonic) by which the question that this thread answers must be done."""
    return _deadline.get(time.monotonic() + LONGEST_S)
