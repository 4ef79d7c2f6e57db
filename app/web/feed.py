"""Tells open live lists what arrives: one reader of the store for all of them.

While any is open, it reads twice a second what was stored since, once, and matches it with each
filter. A list gets a few rows each time, and the number that it got them from.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from app.contract.printable import place as place_of
from app.contract.record import CaptureRecord, decode
from app.store import LIMIT, CaptureQuery, QueryError, Store, StoreError, Term, filter
from app.store.cursors import cursor, read
from app.store.facts import Facet, facet
from app.store.filter import FROM_RECORDS
from app.web.lines import CaptureLine, arrived, drawn

TICK_S = 0.5
SHOWN = 15  # rows of one tick that a list gets
READ = 2_000  # captures of one tick that are read: the newest
STREAMS = 32  # open at a time
_WAITING = 4  # ticks that a slow list is behind, before they are told as one number

log = logging.getLogger(__name__)


class FullError(Exception):
    """As many live lists are open as may be."""


class News(NamedTuple):
    """`of`: the captures that fit, of which `rows` shows some, as HTML; `unread`: more arrived, and
    were not looked at. `cursor` is the place in the order of arrival."""

    rows: str
    shown: int
    of: int
    unread: int
    cursor: str


class Follower:
    """One live list of the filter `q`. `after` is where it begins, in the order of arrival."""

    def __init__(self, q: str, query: CaptureQuery, after: str) -> None:
        self.asked = q, query
        self.after = after
        self.ready = False  # it has had what was stored before it came
        self._news: asyncio.Queue[News | None] = asyncio.Queue(_WAITING)
        self._missed = 0

    async def news(self) -> News | None:
        """None when there will be none any more."""
        return await self._news.get()

    def tell(self, news: News | None) -> None:
        if self._news.full():
            late = self._news.get_nowait()
            self._missed += late.of + late.unread if late else 0
        if news is not None:
            news = news._replace(unread=news.unread + self._missed)
            self._missed = 0
        self._news.put_nowait(news)


class _Arrived(NamedTuple):
    found: list[tuple[CaptureLine, Facet, bytes]]
    unread: int
    last: int


class Feed:
    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._followers: set[Follower] = set()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def following(self, q: str, query: CaptureQuery, after: str = "") -> Iterator[Follower]:
        """`after` is a cursor of the order `arrival`, "" for now. Raises FullError, QueryError."""
        if len(self._followers) >= STREAMS:
            raise FullError
        if after:
            read(after, "arrival")
        follower = Follower(q, query, after)
        self._followers.add(follower)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    async def _run(self) -> None:
        try:
            at = await asyncio.to_thread(self._last)
            while self._followers:
                try:
                    at, told = await asyncio.to_thread(self._tick, at, list(self._followers))
                    for follower, news in told:
                        follower.tell(news)
                except (StoreError, QueryError) as e:  # full, broken or slow: /ready reports it
                    log.info("live lists wait for the store: %s", str(e).partition("\n")[0])
                await asyncio.sleep(TICK_S)
        except Exception as e:
            log.error("live lists ended: %s", place_of(e))
        finally:
            for follower in self._followers:
                follower.tell(None)

    def _last(self) -> int:
        return read(self._store().stats().arrival, "arrival")[1]

    def _tick(self, at: int, followers: list[Follower]) -> tuple[int, list[tuple[Follower, News]]]:
        """In a thread."""
        last = self._last()
        new = self._arrived(at, last)
        known: dict[tuple[str, CaptureQuery], News] = {}
        told = []
        for follower in followers:
            if not follower.ready:
                since = read(follower.after, "arrival")[1] if follower.after else last
                news = _matching(*follower.asked, self._arrived(since, last))
                follower.ready = True
            elif follower.asked in known:
                news = known[follower.asked]
            else:
                news = known[follower.asked] = _matching(*follower.asked, new)
            if news.of or news.unread:
                told.append((follower, news))
        return last, told

    def _arrived(self, at: int, last: int) -> _Arrived:
        unread = max(0, last - at - READ)
        after, found = at + unread, []
        while after < last:
            query = CaptureQuery(
                order="arrival", cursor=cursor("arrival", 0, after), limit=min(LIMIT, last - after)
            )
            page = self._store().captures(query)
            for line, place in zip(page.items, page.places, strict=True):
                made = arrived(line, place)
                found.append((made, facet(made.record), line))
            if page.next is None or page.last is None:
                break
            after = read(page.last, "arrival")[1]
        return _Arrived(found, unread, last)


def _matching(q: str, query: CaptureQuery, new: _Arrived) -> News:
    """Facets are few, so each is matched once."""
    known: dict[Facet, bool] = {}
    quick = tuple(term for term in query.terms if term.name not in FROM_RECORDS)
    slow = tuple(term for term in query.terms if term.name in FROM_RECORDS)
    rows = []
    for made, of, line in new.found:
        fits = known.get(of)
        if fits is None:
            named = of._asdict()
            fits = known[of] = (
                query.namespaces is None or of.namespace in query.namespaces
            ) and all(filter.fits(term, named) != term.negated for term in quick)
        if fits and _in_time(query, made.record) and (not slow or _holds(slow, line)):
            rows.append(made)
    some = _some(rows)
    behind = cursor("arrival", 0, new.last)
    return News(drawn(reversed(some), q), len(some), len(rows), new.unread, behind)


def _holds(terms: tuple[Term, ...], line: bytes) -> bool:
    record = decode(line)
    return all(filter.holds(term, record) for term in terms)


def _in_time(query: CaptureQuery, record: CaptureRecord) -> bool:
    since, until = query.since_ns, query.until_ns
    return (since is None or record.time_ns >= since) and (until is None or record.time_ns < until)


def _some(rows: list[CaptureLine]) -> list[CaptureLine]:
    """Evenly chosen; the last one always."""
    if len(rows) <= SHOWN:
        return rows
    return [rows[-1 - n * len(rows) // SHOWN] for n in range(SHOWN)][::-1]
