"""A report's rows of some namespaces only, from their captures: the store's sums know no namespace.

Made by `app.api.read` for people who may read the captures of these namespaces and no others.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from app.analysis.rows import LogRows
from app.contract.presence import APP
from app.contract.record import decode
from app.report.coverage import Gap
from app.report.heard import CurrentRows
from app.store import (
    LIMIT,
    BootRow,
    CaptureQuery,
    EndpointRow,
    EventRow,
    FieldRow,
    NoteRow,
    Scope,
    SenderRow,
    Store,
    VersionRow,
)
from app.store.facts import facts

MOST = 100_000  # captures that are read for one report; the newest
LONGEST_S = 5.0  # of reading: each takes a twentieth of a millisecond of the app's one processor


class NamespaceRows:
    """Reads the captures when it is made. `gaps` says what was left out. Raises StoreError."""

    def __init__(
        self,
        store: Store | CurrentRows,
        namespaces: Sequence[str],
        scope: Scope,
        decoders: Callable[[str, str], Sequence[str]],
    ) -> None:
        self._namespaces = frozenset(namespaces)
        self._store = store
        self._within, self._ever = LogRows(), LogRows()
        self.gaps: list[Gap] = []
        query = CaptureQuery(
            profile=scope.profile, namespaces=tuple(sorted(namespaces)), limit=LIMIT
        )
        read, oldest, until = 0, 0, time.monotonic() + LONGEST_S
        while True:
            page = store.captures(query)
            for line in page.items:
                record = decode(line)
                oldest = record.time_ns
                if record.kind == "log":
                    continue
                known = facts(record, decoders(record.profile, record.rule))
                self._ever.count(record, known)
                if _within(record.time_ns, scope):
                    self._within.count(record, known)
            read += len(page.items)
            if page.next is None:
                return
            if read >= MOST or time.monotonic() > until:
                break
            query = CaptureQuery(
                profile=query.profile, namespaces=query.namespaces, cursor=page.next, limit=LIMIT
            )
        whole = scope.since_ns is not None and scope.since_ns > oldest
        says = f"only the newest {read} captures of these namespaces were read"
        if whole:
            says += ": all of the period, but a field may be older than it shows as new"
        self.gaps.append(
            Gap(
                id="not_all_read",
                count=read,
                says=says,
                remedy="somebody who may read all captures gets a report of all"
                if whole
                else "ask for a shorter time, or somebody who may read all captures",
                who=sorted(self._namespaces),
            )
        )

    def endpoints(self, scope: Scope) -> list[EndpointRow]:
        return self._within.endpoints(scope)

    def versions(self, scope: Scope) -> list[VersionRow]:
        return self._within.versions(scope)

    def senders(self, scope: Scope) -> list[SenderRow]:
        return self._within.senders(scope)

    def fields(self, scope: Scope) -> list[FieldRow]:
        ever = scope.since_ns is None and scope.until_ns is None
        return (self._ever if ever else self._within).fields(scope)

    def notes(self, scope: Scope) -> list[NoteRow]:
        return self._ever.notes(scope)

    def events(self, scope: Scope) -> list[EventRow]:
        return self._within.events(scope)

    def boots(self) -> list[BootRow]:
        """Of the app's own only when it was there: it tells silent sidecars from unheard ones."""
        none: dict[str, Any] = {"count": 0, "max_seq": 0, "numbered": 0, "missing": 0, "lost": {}}
        rows = self._store.boots()
        return [
            row if row.namespace in self._namespaces else replace(row, **none)
            for row in rows
            if row.namespace in self._namespaces or (row.said.form == APP and not row.pod)
        ]


def _within(time_ns: int, scope: Scope) -> bool:
    since, until = scope.since_ns, scope.until_ns
    return (since is None or time_ns >= since) and (until is None or time_ns < until)
