"""The inbox of the store in memory: `app.store.sightings` says all that it needs to know."""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Container, Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from app import store
from app.contract.classes import CLASSES
from app.store import sightings
from app.store.changes import (
    ChangePage,
    ChangeQuery,
    InboxCounts,
    InboxItem,
    NewReview,
    Objected,
    Review,
    Stale,
    Thing,
)
from app.store.facts import Sums


class MemoryInbox(ABC):
    @abstractmethod
    def _open(self) -> AbstractContextManager[Any]: ...

    def _note(
        self, items: dict[Thing, InboxItem], sums: Sums, turned: Container[tuple[str, ...]]
    ) -> Sequence[Objected]:
        batch = sightings.Batch(sums.traffic(), sums.senders(), sums.observed())
        objected: dict[Thing, int] = {}
        seen = sorted(
            sightings.sightings(batch), key=lambda s: (s.thing.kind == "class", s.sum.first)
        )
        for thing, version, sum, what in seen:
            found = items.get(thing)
            if found is None:
                field = items.get(thing._replace(kind="field", what=""))
                if thing.kind == "class" and field and field.what.endswith(f" {thing.what}"):
                    continue
                if thing.what in CLASSES and thing[1:] not in turned:
                    continue
                items[thing] = InboxItem(
                    id=len(items) + 1, **thing._asdict() | {"what": thing.what or what},
                    version=version, first_ns=sum.first, state="open", revision=0, again=0,
                    last_ns=0, who="", note="", at_ns=0,
                )  # fmt: skip
            elif found.state in ("watched", "objected") and sum.last >= found.at_ns:
                count = sum.count if sum.first >= found.at_ns else 1
                found.again += count
                found.last_ns = max(found.last_ns, sum.last)
                if found.state == "objected":
                    objected[thing] = objected.get(thing, 0) + count
        return tuple(Objected(thing.kind, thing.profile, n) for thing, n in objected.items())

    def inbox(self, profile: str | None = None, after: int = 0) -> InboxCounts:
        with self._open() as held:
            every = held.changes.values()
            rows = [row for row in every if profile in (None, row.profile) and row.id > after]
            states = Counter(row.state for row in rows)
            again = sum(row.state == "objected" and row.again > 0 for row in rows)
            return InboxCounts(**states, again=again, last=len(every))

    def changes(self, query: ChangeQuery) -> ChangePage:
        cursor = "changes.999999999" if query.cursor is None else query.cursor
        after = re.fullmatch(r"changes\.(\d{1,18})", cursor)
        if after is None:
            raise store.QueryError("cursor")
        with self._open() as held:
            rows = [r for r in self._rows(held.changes, query) if r.id < int(after[1])]
            items = [msgspec.structs.replace(row, history=[]) for row in rows[: query.limit]]
            return ChangePage(items, f"changes.{items[-1].id}" if rows[len(items) :] else None)

    def _rows(self, items: dict[Thing, InboxItem], query: ChangeQuery) -> list[InboxItem]:
        def fits(row: InboxItem) -> bool:
            names = (row.profile, row.host, row.method, row.route, row.name, row.what, row.version)
            return (
                all(
                    getattr(query, name) in (None, getattr(row, name))
                    for name in ("state", "kind", "profile", "version")
                )
                and (query.after or 0) < row.id <= (query.until or 1 << 63)
                and (query.text or "").lower() in " ".join(names).lower()
            )

        return sorted((r for r in items.values() if fits(r)), key=lambda row: -row.id)

    def change(self, id: int) -> InboxItem | None:
        with self._open() as held:
            row = next((row for row in held.changes.values() if row.id == id), None)
            if row and row.history:
                row.history[-1].again = row.again
            return row and msgspec.structs.replace(row, history=list(row.history))

    def decide(self, id: int, verdict: NewReview, revision: int | None = None) -> InboxItem | None:
        before = self.change(id)
        if before is None:
            return None
        if revision not in (None, before.revision):
            raise Stale(before)
        with self._open() as held:
            self._decide(next(row for row in held.changes.values() if row.id == id), verdict)
        return self.change(id)

    def _decide(self, row: InboxItem, verdict: NewReview) -> None:
        row.state, row.who, row.note, row.at_ns = verdict
        row.revision += 1
        row.again = row.last_ns = 0
        row.history.append(Review(**verdict._asdict(), again=0))

    def decide_all(self, query: ChangeQuery, verdict: NewReview) -> int:
        with self._open() as held:
            rows = [row for row in self._rows(held.changes, query) if row.state == "open"]
            for row in rows:
                self._decide(row, verdict)
            return len(rows)
