"""A report's rows of some namespaces only, from their captures: the store's sums know no namespace.

Made by `app.api.read` for people who may read the captures of these namespaces and no others.
"""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from app.contract.presence import APP
from app.report.coverage import Gap
from app.report.heard import CurrentRows
from app.store import BootRow, Decoders, FieldRow, Scope, Store


class NamespaceRows:
    """Reads the captures when it is made. `gaps` says what was left out. Raises StoreError."""

    def __init__(
        self,
        store: Store | CurrentRows,
        namespaces: Sequence[str],
        scope: Scope,
        decoders: Decoders,
    ) -> None:
        self._namespaces = frozenset(namespaces)
        self._store = store
        part = store.part(namespaces, decoders)
        self.endpoints, self.versions, self.senders = part.endpoints, part.versions, part.senders
        self.notes, self.events = part.notes, part.events
        self._part = part
        self.gaps: list[Gap] = []
        if not part.back_to_ns:
            return
        whole = scope.since_ns is not None and scope.since_ns > part.back_to_ns
        says = f"only the newest {part.read} captures of these namespaces were read"
        if whole:
            says += ": all of the period, but a field may be older than it shows as new"
        self.gaps.append(
            Gap(
                id="not_all_read",
                count=part.read,
                says=says,
                remedy="somebody who may read all captures gets a report of all"
                if whole
                else "ask again, which reads on, or for a shorter time, or somebody who may read "
                "all captures",
                who=sorted(self._namespaces),
            )
        )

    def fields(self, scope: Scope) -> list[FieldRow]:
        return self._part.fields(scope)

    def boots(self) -> list[BootRow]:
        """Of the app's own only when it was there: it tells silent sidecars from unheard ones."""
        none: dict[str, Any] = {"count": 0, "max_seq": 0, "numbered": 0, "missing": 0, "lost": {}}
        rows = self._store.boots()
        return [
            row if row.namespace in self._namespaces else replace(row, **none)
            for row in rows
            if row.namespace in self._namespaces or (row.said.form == APP and not row.pod)
        ]
