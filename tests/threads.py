"""The same in several threads, which begin together. One that fails fails the test."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor


def in_threads[T](do: Callable[[T], object], arguments: Iterable[T]) -> None:
    """One thread for each argument; returns when all have ended."""
    given = list(arguments)
    together = threading.Barrier(len(given))

    def one(argument: T) -> None:
        together.wait(10)
        do(argument)

    with ThreadPoolExecutor(len(given)) as pool:
        list(pool.map(one, given))
