"""Tells open live lists what arrives: one reader of the store for all of them.

While any is open, it reads twice a second what was stored since, once, and matches it with each
filter. A list gets a few rows each time, and the number that it got them from.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from app.contract.printable import place as place_of
from app.contract.record import CaptureRecord, decode
from app.store import CaptureQuery, QueryError, Store, StoreError, Term, filter
from app.store.classes import NO_WORDS, ClassWords
from app.store.cursors import cursor, read
from app.store.facts import Facet, facet
from app.store.filter import FROM_RECORDS
from app.web.lines import CaptureLine, arrived, drawn

TICK_S = 0.5
SHOWN = 15  # rows of one tick that a list gets
READ = 2_000  # captures of one tick that are read: the newest
READ_BYTES = 8 << 20
_PORTION = 100  # captures that are read at a time
STREAMS = 32  # open at a time
EACH = 4  # of one visitor: browsers open six connections to an app, and pages need some
BEHIND_S = 60.0  # a list that took nothing for so long is ended
_LOOK_S = 0.05  # of one tick for one list whose filter needs the captures' content
_REST = 2  # times as long as a tick took, at least, before the next
_WAITING = 4  # ticks that a slow list is behind, before they are told as one number

log = logging.getLogger(__name__)


class FullError(Exception):
    """As many live lists are open as may be. The text is meant for people."""


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

    def __init__(
        self, q: str, query: CaptureQuery, after: str = "", who: str = "", session: str = ""
    ) -> None:
        self.asked = q, query
        self.after = after
        self.who, self.session = who, session
        self.ready = False  # it has had what was stored before it came
        self._news: asyncio.Queue[News | None] = asyncio.Queue(_WAITING)
        self._missed = 0
        self._took = time.monotonic()

    @property
    def is_stuck(self) -> bool:
        return self._news.full() and time.monotonic() - self._took > BEHIND_S

    async def news(self) -> News | None:
        """None when there will be none any more."""
        found = await self._news.get()
        self._took = time.monotonic()
        return found

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
    def following(
        self, q: str, query: CaptureQuery, after: str = "", who: str = "", session: str = ""
    ) -> Iterator[Follower]:
        """`after` is a cursor of the order `arrival`, "" for now. Raises FullError, QueryError."""
        if len(self._followers) >= STREAMS:
            raise FullError(f"{STREAMS} lists follow live already, and no more may.")
        if sum(one.who == who for one in self._followers) >= EACH:
            raise FullError(f"{EACH} of your lists follow live already, and no more may.")
        if after:
            read(after, "arrival")
        follower = Follower(q, query, after, who, session)
        self._followers.add(follower)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    def end(self, session: str) -> None:
        """Ends the lists of a session; their browsers come again, as whoever they are then."""
        for follower in self._followers:
            if follower.session == session:
                follower.tell(None)

    async def _run(self) -> None:
        try:
            at = await asyncio.to_thread(self._last)
            while self._followers:
                began = time.monotonic()
                try:
                    at, told = await asyncio.to_thread(self._tick, at, list(self._followers))
                    for follower, news in told:
                        follower.tell(news)
                except (StoreError, QueryError) as e:  # full, broken or slow: /ready reports it
                    log.info("live lists wait for the store: %s", str(e).partition("\n")[0])
                for stuck in [one for one in self._followers if one.is_stuck]:
                    stuck.tell(None)
                    self._followers.discard(stuck)
                await asyncio.sleep(max(TICK_S, _REST * (time.monotonic() - began)))
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
        words = self._store().words() if any(map(_by_class, followers)) else NO_WORDS
        for follower in followers:
            if not follower.ready:
                since = read(follower.after, "arrival")[1] if follower.after else last
                news = _matching(*follower.asked, self._arrived(since, last), words)
                follower.ready = True
            elif follower.asked in known:
                news = known[follower.asked]
            else:
                news = known[follower.asked] = _matching(*follower.asked, new, words)
            if news.of or news.unread:
                told.append((follower, news))
        return last, told

    def _arrived(self, at: int, last: int) -> _Arrived:
        after, size, found = max(at, last - READ), 0, []
        unread = after - at
        while after < last:
            query = CaptureQuery(
                order="arrival",
                cursor=cursor("arrival", 0, after),
                limit=min(_PORTION, last - after),
            )
            page = self._store().captures(query)
            for line, place in zip(page.items, page.places, strict=True):
                made = arrived(line, place)
                found.append((made, facet(made.record), line))
                size += len(line)
            if page.next is None or page.last is None:
                break
            after = read(page.last, "arrival")[1]
            if size > READ_BYTES:
                unread += last - after
                break
        return _Arrived(found, unread, last)


def _by_class(follower: Follower) -> bool:
    return any(term.name == "class" for term in follower.asked[1].terms)


def _matching(q: str, query: CaptureQuery, new: _Arrived, words: ClassWords) -> News:
    """Facets are few, so each is matched once."""
    known: dict[Facet, bool] = {}
    quick = tuple(term for term in query.terms if term.name not in FROM_RECORDS)
    slow = tuple(term for term in query.terms if term.name in FROM_RECORDS)
    rows = []
    unread, until = new.unread, time.monotonic() + _LOOK_S
    for n, (made, of, line) in enumerate(reversed(new.found)):
        fits = known.get(of)
        if fits is None:
            named = of._asdict()
            fits = known[of] = (
                query.namespaces is None or of.namespace in query.namespaces
            ) and all(filter.fits(term, named) != term.negated for term in quick)
        if not fits or not _in_time(query, made.record):
            continue
        if slow and time.monotonic() > until:
            unread += len(new.found) - n
            break
        if not slow or _holds(slow, line, words):
            rows.append(made)
    some = rows if len(rows) <= SHOWN else [rows[n * len(rows) // SHOWN] for n in range(SHOWN)]
    behind = cursor("arrival", 0, new.last)
    return News(drawn(some, q), len(some), len(rows), unread, behind)


def _holds(terms: tuple[Term, ...], line: bytes, words: ClassWords) -> bool:
    record = decode(line)
    return all(filter.holds(term, record, words) for term in terms)


def _in_time(query: CaptureQuery, record: CaptureRecord) -> bool:
    since, until = query.since_ns, query.until_ns
    return (since is None or record.time_ns >= since) and (until is None or record.time_ns < until)
