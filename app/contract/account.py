"""A sidecar's account of its records, sent beside them: how many numbers it gave out, and which of
the records it lost.

The store knows which records came, so with this it knows how many did not, those behind the last
one too. Travels in a header of the batch: an app that does not know it takes the records all the
same. Every number only grows, so that accounts may come twice and in any order. The app's receipt
says what became of the records.
"""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from app.contract.record import Boot, Count, Short

ACCOUNTS = 16  # sent at a time, each some 200 bytes

# The REASONS for which a record may be lost, in the order of the ledger's file: append new ones.
LOST = (
    "queue_full", "spool_full", "disk_full", "disk_error", "corrupt", "refused", "too_large",
    "shutdown",
)  # fmt: skip

Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Account(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The account of one start of a sidecar. `lost` counts by id of REASONS; `ended`: no more
    comes, so a record neither stored nor lost for a reason was killed with the sidecar."""

    boot: Boot
    numbered: Number
    lost: Annotated[dict[Short, Number], msgspec.Meta(max_length=32)] = {}
    ended: bool = False


class RefusedRecord(msgspec.Struct, omit_defaults=True):
    """`line` counts from 1; `id` stands where it could be read."""

    line: int
    reason: str
    id: str = ""


class Receipt(msgspec.Struct, omit_defaults=True):
    """The app's answer to a batch. Refused records are not to be sent again; the rest are on disk.
    `accounts`: of each boot whose account was taken, how many of its records are stored."""

    stored: Count
    duplicates: Count
    refused: list[RefusedRecord]
    accounts: dict[str, Count] = {}


_decoder = msgspec.json.Decoder(list[Account])


def encode(accounts: Iterable[Account]) -> str:
    """The value of the header."""
    return msgspec.json.encode(list(accounts)).decode("ascii")


def decode(value: str) -> list[Account]:
    """Empty if it cannot be read: records must not be lost because of their account."""
    try:
        return _decoder.decode(value)[:ACCOUNTS]
    except (ValueError, RecursionError):
        return []
