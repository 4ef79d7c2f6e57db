"""How accounts merge in the file; what they mean is in the suite."""

import sqlite3
from itertools import permutations

from app.contract.account import Account
from app.store import Told
from app.store.sqlite.accounts import account_of, tell

BOOT = "ab" * 16


def row(connection: sqlite3.Connection) -> Account:
    return account_of(
        *connection.execute("SELECT boot, numbered, lost, ended FROM boot").fetchone()
    )


def test_any_order_ends_the_same(connection: sqlite3.Connection) -> None:
    accounts = [
        Account(boot=BOOT, numbered=10),
        Account(boot=BOOT, numbered=20, lost={"spool_full": 1}),
        Account(boot=BOOT, numbered=30, lost={"spool_full": 4, "shutdown": 2}, ended=True),
    ]
    for order in permutations(accounts):
        connection.execute("DELETE FROM boot")
        for account in (*order, order[0]):
            assert tell(connection, [Told(account, "", "")]) == {BOOT: 0}
        assert row(connection) == Account(
            boot=BOOT, numbered=30, lost={"shutdown": 2, "spool_full": 4}, ended=True
        )


def test_what_is_known_is_not_written_again(connection: sqlite3.Connection) -> None:
    told = [Told(Account(boot=BOOT, numbered=10, lost={"shutdown": 1, "corrupt": 2}), "", "")]
    tell(connection, told)
    before = connection.total_changes
    tell(connection, told)
    assert connection.total_changes == before
