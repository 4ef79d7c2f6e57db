"""The inbox for the command line: of a running app, or of the store on disk, where no app runs.

Called by `app.cli.changes`.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Protocol

import msgspec
from msgspec.structs import asdict, replace

from app.client.source import ApiSource, Source, StoreSource, connect, decoded
from app.contract.names import FILE_STORE, PATH_CHANGES
from app.contract.reviews import State
from app.report.classes import FieldClass, said_of, word_on
from app.settings import Settings
from app.store import LIMIT
from app.store.changes import ChangePage, ChangeQuery, InboxItem, NewReview, os_user
from app.store.sqlite.store import SqliteStore


class GivenReview(msgspec.Struct):
    """A decision as the command line takes it. Without a `name` it is the token's user, or the one
    that runs the app."""

    state: State
    note: str = ""
    name: str = ""


class _GivenClass(msgspec.Struct):
    class_: str = msgspec.field(name="class")
    name: str = ""


class _GivenOnAll(GivenReview):
    until: int = 0
    kind: str | None = None
    profile: str | None = None
    version: str | None = None
    text: str | None = None


class _Decided(msgspec.Struct):
    decided: int


class Inbox(Protocol):
    """Methods raise ClientError, StoreError, QueryError, SettingError; ValueError for a note or
    name that is too long."""

    def page(self, query: ChangeQuery) -> ChangePage: ...

    def item(self, id: int) -> InboxItem | None: ...

    def decide(self, id: int, given: GivenReview) -> InboxItem | None: ...

    def say_class(self, id: int, name: str, who: str) -> FieldClass | None:
        """Says the class of an item's field."""
        ...

    def decide_all(self, query: ChangeQuery, given: GivenReview) -> int:
        """Decides on the open ones of the query up to its `until`."""
        ...


@contextmanager
def inbox(settings: Settings, server: str = "") -> Iterator[Inbox]:
    with connect(settings, server) as source:
        yield _of(source, settings)


def items(inbox: Inbox, query: ChangeQuery, limit: int | None) -> Iterator[InboxItem]:
    """Yields page after page, to the end or to `limit`."""
    left = limit
    while left is None or left > 0:
        page = inbox.page(replace(query, limit=LIMIT if left is None else min(left, LIMIT)))
        yield from page.items
        if page.next is None:
            return
        if left is not None:
            left -= len(page.items)
        query = replace(query, cursor=page.next)


def _of(source: Source, settings: Settings) -> Inbox:
    if isinstance(source, ApiSource):
        return _OfApp(source)
    if isinstance(source, StoreSource):
        return _OfStore(source, settings)
    raise TypeError(source)


class _OfApp:
    def __init__(self, source: ApiSource) -> None:
        self._source = source

    def page(self, query: ChangeQuery) -> ChangePage:
        asked = asdict(query)
        del asked["until"]
        return decoded(self._source.get(PATH_CHANGES, asked), ChangePage)

    def item(self, id: int) -> InboxItem | None:
        found = self._source.found(f"{PATH_CHANGES}/{id}")
        return decoded(found, InboxItem) if found else None

    def decide(self, id: int, given: GivenReview) -> InboxItem | None:
        found = self._source.found(f"{PATH_CHANGES}/{id}", given)
        return decoded(found, InboxItem) if found else None

    def say_class(self, id: int, name: str, who: str) -> FieldClass | None:
        found = self._source.found(f"{PATH_CHANGES}/{id}/class", _GivenClass(name, who))
        return decoded(found, FieldClass) if found else None

    def decide_all(self, query: ChangeQuery, given: GivenReview) -> int:
        body = _GivenOnAll(
            **asdict(given), until=query.until or 0, kind=query.kind, profile=query.profile,
            version=query.version, text=query.text,
        )  # fmt: skip
        return decoded(self._source.post(PATH_CHANGES, body), _Decided).decided


class _OfStore:
    """Reads as everything here does; opens the store for writing for a decision only."""

    def __init__(self, source: StoreSource, settings: Settings) -> None:
        self._store = source.store
        self._path = settings.data / FILE_STORE

    def page(self, query: ChangeQuery) -> ChangePage:
        return self._store.changes(query)

    def item(self, id: int) -> InboxItem | None:
        return self._store.change(id)

    def decide(self, id: int, given: GivenReview) -> InboxItem | None:
        with closing(SqliteStore(self._path)) as store:
            return store.decide(id, _review(given))

    def say_class(self, id: int, name: str, who: str) -> FieldClass | None:
        item = self._store.change(id)
        if item is None:
            return None
        word = word_on(item, name, who or os_user())
        with closing(SqliteStore(self._path)) as store:
            return said_of(word) if store.say_class(word) else None

    def decide_all(self, query: ChangeQuery, given: GivenReview) -> int:
        with closing(SqliteStore(self._path)) as store:
            return store.decide_all(query, _review(given))


def _review(given: GivenReview) -> NewReview:
    return NewReview.by(given.name or os_user(), given.state, given.note)
