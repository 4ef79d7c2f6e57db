"""Stores sidecars' accounts of their numbers (`app.contract.account`) beside their boots, and when
they were heard of (`app.contract.presence`).

Called by `app.store.sqlite.writer`, inside its transaction, and by `app.store.sqlite.reader`.
"""

import sqlite3
import time
from collections.abc import Sequence

import msgspec

from app.contract.account import Account
from app.store import Heard, Told
from app.store.facts import grown

_decoder = msgspec.json.Decoder(dict[str, int])


def tell(connection: sqlite3.Connection, told: Sequence[Told]) -> dict[str, int]:
    """Stores accounts; counts their boots' stored records. Skips another pod's boot."""
    known: dict[str, int] = {}
    for account, namespace, pod in told:
        row = connection.execute(
            "SELECT namespace, pod, count, numbered, lost, ended FROM boot WHERE boot=?",
            (account.boot,),
        ).fetchone()
        if row is None:
            _add(connection, account, namespace, pod)
            known[account.boot] = 0
        elif pod in ("", row[1]) and namespace in ("", row[0]):
            known[account.boot] = row[2]
            before = account_of(account.boot, *row[3:])
            if (after := grown(before, account)) != before:
                connection.execute(
                    "UPDATE boot SET numbered=?, lost=?, ended=? WHERE boot=?",
                    (after.numbered, _column(after.lost), after.ended, account.boot),
                )
    return known


def note(connection: sqlite3.Connection, heard: Sequence[Heard]) -> None:
    """Stores when boots were heard of. Skips another pod's boot."""
    connection.executemany(
        "INSERT INTO boot(boot, namespace, pod, node, max_seq, count, first_ns, last_ns, heard_ns,"
        " gone, form, mode, began_ns, quic_refused, unled) VALUES (?,?,?,'',0,0,?,?,?,?,?,?,?,?,?)"
        " ON CONFLICT (boot) DO UPDATE SET heard_ns=max(heard_ns, excluded.heard_ns),"
        " gone=max(gone, excluded.gone), form=iif(excluded.form='', form, excluded.form),"
        " mode=iif(excluded.form='', mode, excluded.mode),"
        " began_ns=iif(excluded.began_ns=0, began_ns, excluded.began_ns),"
        " quic_refused=max(quic_refused, excluded.quic_refused),"
        " unled=iif(excluded.form='', unled, excluded.unled)"
        " WHERE excluded.pod IN ('', pod) AND excluded.namespace IN ('', namespace)",
        [
            (h.boot, h.namespace, h.pod, h.at_ns, h.at_ns, h.at_ns, h.left, h.said.form,
             h.said.mode, h.said.began_ns, h.said.quic_refused, h.said.unled)
            for h in heard
        ],
    )  # fmt: skip


def account_of(boot: str, numbered: int, lost: str, ended: int) -> Account:
    """Builds an account from its columns."""
    reasons = {} if lost == "{}" else _decoder.decode(lost)
    return Account(boot=boot, numbered=numbered, lost=reasons, ended=bool(ended))


def _add(connection: sqlite3.Connection, account: Account, namespace: str, pod: str) -> None:
    now = time.time_ns()
    connection.execute(
        "INSERT INTO boot(boot, namespace, pod, node, max_seq, count, first_ns, last_ns, numbered,"
        " lost, ended) VALUES (?,?,?,'',0,0,?,?,?,?,?)",
        (account.boot, namespace, pod, now, now, account.numbered, _column(account.lost),
         account.ended),
    )  # fmt: skip


def _column(lost: dict[str, int]) -> str:
    return msgspec.json.encode(lost, order="sorted").decode()
