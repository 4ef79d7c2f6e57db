"""What a report says of boots before and after the store is told is the same."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from app.contract.account import Account
from app.contract.presence import Presence
from app.report.heard import CurrentRows
from app.store import BootRow, Heard, Told
from app.store.sqlite.store import SqliteStore
from tests.records import BOOT, exchange, incoming

NEW = "ab" * 16
SAID = Presence(form="hosts", mode="observe", began_ns=5, quic_refused=3, unled="a:1")


def heard(boot: str, at_ns: int, **more: object) -> Heard:
    given = {"namespace": "logs", "pod": "leader-0", "left": False, "said": SAID} | more
    return Heard(boot=boot, at_ns=at_ns, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "notes",
    [
        [heard(NEW, 7)],
        [heard(BOOT, 7), heard(BOOT, 9, said=Presence(), left=True)],
        [heard(BOOT, 9, left=True), heard(BOOT, 7, said=Presence(form="all", quic_refused=1))],
        [heard(BOOT, 7, pod="another")],
        [heard(BOOT, 7, namespace="", pod="")],
        [heard(NEW, 7), heard(NEW, 8, namespace="elsewhere")],
        [heard(BOOT, 7), heard(NEW, 8), heard(NEW, 7, said=Presence(mode="mock", began_ns=9))],
        [],
    ],
)
def test_boots_are_what_they_will_be_once_the_store_is_told(
    tmp_path: Path, notes: Sequence[Heard]
) -> None:
    store = SqliteStore(tmp_path / "store")
    try:
        store.write(incoming(exchange(1), exchange(4)))
        account = Account(boot=BOOT, numbered=6, lost={"spool_full": 1})
        current = CurrentRows(store, notes, account).boots()
        store.heard(notes)
        store.write([], [Told(account, "", "")])
        assert by_boot(current) == by_boot(store.boots())
        # Told already: nothing changes.
        assert by_boot(CurrentRows(store, notes, account).boots()) == by_boot(store.boots())
    finally:
        store.close()


def by_boot(rows: Sequence[BootRow]) -> dict[str, BootRow]:
    return {row.boot: row for row in rows}
