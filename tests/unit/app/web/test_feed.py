import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from app.store import CaptureQuery, QueryError, SaidClass, Store, filter
from app.web.feed import EACH, READ, SHOWN, STREAMS, Feed, Follower, FullError, News
from tests.records import T0, exchange, incoming
from tests.unit.app.store.memory import MemoryStore
from tests.waiting import until


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr("app.web.feed.TICK_S", 0.01)
    return MemoryStore(tmp_path)


def asked(q: str = "", **given: Any) -> tuple[str, CaptureQuery]:
    return q, filter.read(q, CaptureQuery(**given))


def write(store: Store, first: int, number: int = 1, **given: Any) -> None:
    store.write(incoming(*(exchange(n, **given) for n in range(first, first + number))))


def seqs(news: News) -> list[int]:
    return [int(n) for n in re.findall(r'<tr data-id="\w+-(\d+)"', news.rows)]


async def told(follower: Follower) -> News:
    async with asyncio.timeout(10):
        news = await follower.news()
    assert news is not None
    return news


def test_each_list_gets_what_fits(store: Store) -> None:
    async def follow() -> None:
        feed = Feed(lambda: store)
        now = store.stats().arrival
        with (
            feed.following(*asked(), now) as every,
            feed.following(*asked("method:POST field:os since:1970-01-02"), now) as posts,
            feed.following(*asked(namespaces=("edge",)), now) as edge,
        ):
            write(store, 1, method="POST")
            write(store, 2)
            write(store, 3, namespace="edge")
            write(store, 4, method="POST", time_ns=1)
            seen: list[int] = []
            while len(seen) < 4:
                seen += seqs(await told(every))[::-1]
            assert seen == [1, 2, 3, 4]
            assert seqs(await told(posts)) == [1]
            news = await told(edge)
            assert (seqs(news), news.of, news.unread) == ([3], 1, 0)

    asyncio.run(follow())


def test_one_reader_for_all_and_none_for_nobody(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    captures = store.captures

    def counted(query: CaptureQuery) -> Any:
        nonlocal reads
        reads += 1
        return captures(query)

    monkeypatch.setattr(store, "captures", counted)

    async def follow() -> None:
        feed = Feed(lambda: store)
        with feed.following(*asked()) as one, feed.following(*asked()) as two:
            await until(lambda: one.ready and two.ready)
            assert reads == 0
            write(store, 1, 3)
            assert [(await told(f)).of for f in (one, two)] == [3, 3]
            assert reads == 1
        task = feed._task
        assert task is not None
        await until(task.done)
        with feed.following(*asked()) as again:
            await until(lambda: again.ready)
            write(store, 9)
            assert seqs(await told(again)) == [9]

    asyncio.run(follow())


def test_a_list_of_a_class_follows_what_people_say(store: Store) -> None:
    write(store, 1)
    said = SaidClass("cribl", "cdn.cribl.io", "GET", "/telemetry/index.html", "query.os",
                     "licence", "Ada", T0)  # fmt: skip

    async def follow() -> None:
        feed = Feed(lambda: store)
        with feed.following(*asked("class:licence")) as follower:
            await until(lambda: follower.ready)
            assert store.say_class(said)
            write(store, 2)
            assert seqs(await told(follower)) == [2]

    asyncio.run(follow())


def test_a_list_begins_where_it_was(store: Store) -> None:
    write(store, 1, 2)
    was = store.stats().arrival
    write(store, 3, 2)

    async def follow() -> None:
        feed = Feed(lambda: store)
        with feed.following(*asked("-host:other"), was) as follower:
            news = await told(follower)
            assert seqs(news) == [4, 3]
            write(store, 5)
            after = await told(follower)
            assert seqs(after) == [5]
        with feed.following(*asked(), after.cursor) as follower:
            write(store, 6)
            assert seqs(await told(follower)) == [6]

    asyncio.run(follow())


def test_many_are_sampled_evenly_and_more_are_not_read(store: Store) -> None:
    async def follow() -> None:
        feed = Feed(lambda: store)
        with feed.following(*asked()) as follower:
            await until(lambda: follower.ready)
            write(store, 1, 600)
            news = await told(follower)
            assert (len(seqs(news)), news.shown, news.of, news.unread) == (SHOWN, SHOWN, 600, 0)
            assert seqs(news) == list(range(600, 0, -40))
            write(store, 1_001, READ + 500)
            news = await told(follower)
            assert (news.of, news.unread) == (READ, 500)
            assert seqs(news)[0] == 1_000 + READ + 500

    asyncio.run(follow())


def test_a_slow_list_loses_rows_but_not_their_number() -> None:
    follower = Follower(*asked(), "")

    async def follow() -> list[News]:
        for n in range(10):
            follower.tell(News("", 0, 5, 0, str(n)))
        return [await told(follower) for _ in range(4)]

    news = asyncio.run(follow())
    assert news[-1].cursor == "9"
    assert sum(one.of + one.unread for one in news) == 50


def test_lists_are_bounded(store: Store) -> None:
    async def follow() -> None:
        feed = Feed(lambda: store)
        opened = [feed.following(*asked(), who=str(n // EACH)) for n in range(STREAMS - 1)]
        for one in opened:
            one.__enter__()
        with pytest.raises(FullError, match="of your lists"):
            feed.following(*asked(), who="0").__enter__()
        opened.append(feed.following(*asked(), who="another"))
        opened[-1].__enter__()
        with pytest.raises(FullError, match="lists follow"):
            feed.following(*asked(), who="one more").__enter__()
        for one in opened:
            one.__exit__(None, None, None)
        with feed.following(*asked()):
            pass
        with pytest.raises(QueryError), feed.following(*asked(), "newest.1.1"):
            pass

    asyncio.run(follow())


def test_a_store_that_fails_for_a_while(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:

    async def follow() -> None:
        feed = Feed(lambda: store)
        with feed.following(*asked()) as follower:
            await until(lambda: follower.ready)

            def failing(query: CaptureQuery) -> Any:
                raise QueryError("the question took longer than 30 s")

            with monkeypatch.context() as broken:
                broken.setattr(store, "captures", failing)
                write(store, 1, time_ns=T0)
                await asyncio.sleep(0.1)
            assert seqs(await told(follower)) == [1]

    asyncio.run(follow())


def test_large_captures_are_bounded_by_their_bytes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.feed.READ_BYTES", 50_000)

    async def follow() -> None:
        feed = Feed(lambda: store)
        with feed.following(*asked()) as follower:
            await until(lambda: follower.ready)
            write(store, 1, 500)
            news = await told(follower)
            assert news.of + news.unread == 500
            assert news.of <= 200

    asyncio.run(follow())


def test_a_slow_filter_has_its_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.feed._LOOK_S", 0.0)

    async def follow() -> None:
        feed = Feed(lambda: store)
        now = store.stats().arrival
        with (
            feed.following(*asked("field:os pod:leader-1"), now) as slow,
            feed.following(*asked("pod:leader-1"), now) as quick,
        ):
            write(store, 1, 50, pod="leader-1")
            news = await told(slow)
            assert (news.of, news.unread) == (0, 50)
            assert (await told(quick)).of == 50

    asyncio.run(follow())


def test_a_list_that_takes_nothing_is_ended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.feed.BEHIND_S", 0.05)

    async def follow() -> None:
        feed = Feed(lambda: store)
        with feed.following(*asked()) as follower:
            await until(lambda: follower.ready)
            for n in range(1, 7):
                write(store, n)
                await asyncio.sleep(0.05)
            await until(lambda: not feed._followers)
            news: News | None = await told(follower)
            while news is not None:
                news = await follower.news()

    asyncio.run(follow())


def test_a_session_that_is_left_ends_its_lists(store: Store) -> None:
    async def follow() -> None:
        feed = Feed(lambda: store)
        with (
            feed.following(*asked(), session="left") as left,
            feed.following(*asked(), session="kept") as kept,
        ):
            await until(lambda: left.ready and kept.ready)
            feed.end("left")
            async with asyncio.timeout(10):
                assert await left.news() is None
            write(store, 1)
            assert (await told(kept)).of == 1

    asyncio.run(follow())


def test_an_error_ends_the_lists(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def follow() -> None:
        feed = Feed(lambda: store)
        with feed.following(*asked()) as follower:
            await until(lambda: follower.ready)
            monkeypatch.setattr("app.web.feed.arrived", lambda *_: 1 / 0)
            write(store, 1)
            async with asyncio.timeout(10):
                assert await follower.news() is None  # the browser comes again

    asyncio.run(follow())
