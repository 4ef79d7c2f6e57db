"""A store's rows as of now: with what the app heard since it last told the store.

Made by `app.runtime` for each question, so that asking writes nothing and yet misses nothing.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from app.contract.account import Account
from app.contract.presence import Presence
from app.store import BootRow, Heard, Store
from app.store.facts import grown, missing


class CurrentRows:
    """`heard` and `account` are not in the store yet, or are there already: both is the same."""

    def __init__(self, store: Store, heard: Iterable[Heard], account: Account) -> None:
        self.part = store.part
        self.endpoints, self.versions = store.endpoints, store.versions
        self.senders, self.fields = store.senders, store.fields
        self.notes, self.events = store.notes, store.events
        self._stored = store.boots
        self._heard = heard
        self._account = account

    def boots(self) -> list[BootRow]:
        rows = {row.boot: row for row in self._stored()}
        for one in self._heard:
            rows[one.boot] = noted(rows.get(one.boot), one)
        if own := rows.get(self._account.boot):
            rows[own.boot] = _accounted(own, self._account)
        return list(rows.values())


def noted(row: BootRow | None, one: Heard) -> BootRow:
    """The boot's row, None for a new one, as `Store.heard` would change it."""
    if row is None:
        row = BootRow(
            boot=one.boot, namespace=one.namespace, pod=one.pod, node="", max_seq=0, count=0,
            numbered=0, missing=0, lost={}, ended=False, first_ns=one.at_ns, last_ns=one.at_ns,
        )  # fmt: skip
    elif one.pod not in ("", row.pod) or one.namespace not in ("", row.namespace):
        return row
    before, said = row.said, one.said
    return replace(
        row,
        heard_ns=max(row.heard_ns, one.at_ns),
        left=row.left or one.left,
        said=Presence(
            form=said.form or before.form,
            mode=said.mode if said.form else before.mode,
            began_ns=said.began_ns or before.began_ns,
            quic_refused=max(said.quic_refused, before.quic_refused),
            unled=said.unled if said.form else before.unled,
        ),
    )


def _accounted(row: BootRow, account: Account) -> BootRow:
    before = Account(boot=row.boot, numbered=row.numbered, lost=row.lost, ended=row.ended)
    after = grown(before, account)
    gone, why = missing(after, row.max_seq, row.count)
    return replace(row, numbered=after.numbered, missing=gone, lost=why)
