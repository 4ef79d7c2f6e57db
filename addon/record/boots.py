"""Holds this process' ledgers, of its own boot and those adopted from processes that are gone, and
makes the accounts of them for the app.

A part of `addon.record.spool`, which holds its lock around every call but `found`.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from addon.record.ledger import Ledger, boots_in
from addon.record.segment import segments_in
from app.contract.account import ACCOUNTS, Account

HELD = 64  # boots that are adopted at a time, each with an open file

log = logging.getLogger(__name__)


class Boots:
    """`waiting`: boots with records on disk; a boot of another process without any has ended."""

    def __init__(self, directory: Path, boot: str, lost: Callable[[str, int], None]) -> None:
        self.own = Ledger(boot)
        self.left_over = False  # there are more boots than are adopted at a time
        self._directory = directory
        self._lost = lost
        self._others: dict[str, Ledger] = {}
        self._told: Account | None = None  # our own account, as the app knows it
        self._unknown: set[str] = set()  # boots whose account the app did not take

    def start(self) -> None:
        """Keeps our own ledger on disk from now on, so that a kill loses no number."""
        try:
            self.claim()
        except OSError as e:  # tried again with the first record
            self.own.error = e.strerror or type(e).__name__
        if self.own.error:
            log.warning(
                "numbers cannot be kept on disk, so what a kill loses now would not be counted: %s",
                self.own.error,
            )

    def claim(self) -> None:
        """Claims the ledger of our own boot in the directory. Raises OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.own.claim(self._directory)

    def found(self) -> tuple[list[Ledger], OSError | None]:
        """Locks the ledgers that nobody holds; also returns why some could not be read."""
        ledgers: list[Ledger] = []
        error: OSError | None = None
        boots = segments_in(self._directory).keys() | boots_in(self._directory)
        for boot in sorted(boots - self._others.keys() - self._unknown - {self.own.boot}):
            if len(self._others) + len(ledgers) >= HELD:
                break
            try:
                if ledger := Ledger.left(self._directory, boot):
                    ledgers.append(ledger)
            except OSError as e:
                error = e
        self.left_over = len(self._others) + len(ledgers) >= HELD
        return ledgers, error

    def take(self, ledgers: Iterable[Ledger], waiting: Collection[str]) -> None:
        """Adopts them, except those with nothing to send and nothing to account for."""
        for ledger in ledgers:
            self._others[ledger.boot] = ledger
            self.finished(ledger.boot, waiting)

    def finished(self, boot: str, waiting: Collection[str]) -> None:
        """Drops an adopted boot that has no waiting record and nothing to account for."""
        ledger = self._others.get(boot)
        if ledger is not None and boot not in waiting and not ledger.says:
            self._others.pop(boot).close(remove=True)

    def of(self, boot: str) -> Ledger:
        return self.own if boot == self.own.boot else self._others[boot]

    def accounts(self, waiting: Collection[str], *, leaving: bool) -> list[Account]:
        """The accounts for the app: of our own boot, ended if it is `leaving`, and of the adopted
        ones, the ended ones first."""
        return list(self._accounts(waiting, leaving))[:ACCOUNTS]

    def _accounts(self, waiting: Collection[str], leaving: bool) -> Iterator[Account]:
        if self.own.says:
            yield self.own.account(ended=leaving and self.own.boot not in waiting)
        for boot in sorted(self._others, key=lambda boot: boot in waiting):
            if self._others[boot].says:
                yield self._others[boot].account(ended=boot not in waiting)

    def untold(self, waiting: Collection[str]) -> bool:
        """True if an adopted boot has ended, and the app was not told yet."""
        return any(boot not in waiting for boot in self._others)

    def tell(self, accounts: Iterable[Account], known: Mapping[str, int]) -> None:
        """Told that the app got these accounts; `known` counts its records by boot. Boots missing
        there are left for the next start, and perhaps a newer app."""
        for account in accounts:
            stored = known.get(account.boot)
            if account.boot == self.own.boot:
                self._told = account if stored is not None else None
            elif account.ended:
                self._others.pop(account.boot).close(remove=stored is not None)
                if stored is None:
                    self._unknown.add(account.boot)
            if account.ended and stored is not None:
                self._ended(account, stored)

    def _ended(self, account: Account, stored: int) -> None:
        killed = account.numbered - stored - sum(account.lost.values())
        if killed > 0:
            log.warning("%d records of start %s went with its end", killed, account.boot)
            self._lost("killed", killed)

    def close(self, waiting: Collection[str]) -> None:
        """Leaves what the app does not know to the next start."""
        told = not self.own.says or self._told == self.own.account(ended=True)
        self.own.close(remove=told and self.own.boot not in waiting)
        for ledger in self._others.values():
            ledger.close(remove=False)
        self._others.clear()
