import asyncio
import threading
import time
from pathlib import Path

import pytest

from app.store import BusyError, QueryError, questions
from app.store.sqlite.store import SqliteStore


def test_a_question_of_many_short_ones_ends_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "LONGEST_S", 0.2)
    store = SqliteStore(tmp_path / "store.sqlite")

    def endless() -> None:
        while True:
            store.stats()

    try:
        with pytest.raises(QueryError, match=r"longer than 0\.2 s"):
            asyncio.run(questions.ask(endless))
        asyncio.run(questions.ask(store.stats))  # the next one has its own time
    finally:
        store.close()


def test_the_time_counts_from_when_it_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waited too long for a thread gets no more of the store's time."""
    monkeypatch.setattr(questions, "LONGEST_S", 0.2)
    store = SqliteStore(tmp_path / "store.sqlite")

    async def ask() -> list[object]:
        slow = [questions.ask(lambda: time.sleep(0.4)) for _ in range(questions.THREADS)]
        return await asyncio.gather(*slow, questions.ask(store.stats), return_exceptions=True)

    try:
        assert isinstance(asyncio.run(ask())[-1], QueryError)
    finally:
        store.close()


def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "WAITING", 5)
    go, running = threading.Event(), []

    def question() -> str:
        running.append(threading.current_thread().name)
        go.wait(20)
        return "answer"

    async def ask() -> list[str]:
        asked = [asyncio.create_task(questions.ask(question)) for _ in range(5)]
        await asyncio.sleep(0.1)
        with pytest.raises(BusyError, match=r"5 questions(.|\n)*hint: "):
            await questions.ask(question)
        assert len(running) == questions.THREADS
        go.set()
        found = await asyncio.gather(*asked)
        return [*found, await questions.ask(question)]

    assert asyncio.run(ask()) == ["answer"] * 6
