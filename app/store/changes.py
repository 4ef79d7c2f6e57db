"""The inbox: things that were seen for the first time, and what people decided on each.

A store adds an item in the transaction that sees the thing (`app.store.sightings`), and keeps it
when its captures go. Senders choose names, so items are bounded; what does not fit is counted in
one item of the kind `unlisted`.
"""

import getpass
import os
import time
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from app.contract.reviews import Kind, State

# What the inventory knows of values that concern a person, a place or a secret.
SENSITIVE: Mapping[str, str] = {
    "masked": "a masked value",
    "token": "a value kept as a token",
    "email": "an e-mail address",
    "ip": "an IP address",
    "guid": "a unique id",
    "mac": "a MAC address",
    "credentials": "a URL with credentials",
    "home": "a home directory",
    "host": "a host's name",
    "phone": "a telephone number",
    "place": "a place or time zone",
    "account": "an account of a cloud",
    "repository": "the address of a repository",
}

CHANGES = 10_000  # items in all
OF_PROFILE = 2_000  # of one profile; the accepted ones that were seen first make room
HISTORY = 100  # decisions on one item, the last ones
NOTE = 2_000  # characters
NAME = 200  # characters of who decided


class Thing(NamedTuple):
    """The subject of an item. `name` is a field's path, a version, or `namespace/workload`; `what`
    the shape of a `class`, or its class where no shape tells it."""

    kind: Kind
    profile: str
    host: str = ""
    method: str = ""
    route: str = ""
    name: str = ""
    what: str = ""


class NewReview(NamedTuple):
    """A decision, as somebody takes it. `open` takes an earlier one back."""

    state: State
    who: str
    note: str
    at_ns: int

    @classmethod
    def by(cls, who: str, state: State, note: str) -> "NewReview":
        """A decision of now. Raises ValueError, a sentence and a hint, for a text that is too
        long."""
        for what, text, cap in (("note", note, NOTE), ("name", who, NAME)):
            if len(text) > cap:
                raise ValueError(
                    f"{what} has {len(text)} characters\n\nhint: at most {cap} are kept; a link "
                    "leads to more"
                )
        # A command's arguments may be any bytes; no store takes halves of a character.
        who, note = (t.encode("utf-8", "replace").decode().strip() for t in (who, note))
        return cls(state, who, note, time.time_ns())


def os_user() -> str:
    """The user that runs this process: on a laptop, the person who decides."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user {os.getuid()}"


class Review(msgspec.Struct, kw_only=True):
    """A decision that was taken, and how often the thing was seen until the next one (of what is
    `accepted` nobody counts)."""

    state: State
    who: str
    note: str
    at_ns: int
    again: int


class InboxItem(msgspec.Struct, kw_only=True):
    """An item. `version` sent it first; `what` is also a new field's type and shape.

    `again` counts the records with it since the last decision, of what is watched or objected to
    (of `unlisted` the things), and `last_ns` is the last one's time. `revision` counts decisions:
    who decides on what they read names it. `history` is oldest first, and left out of lists."""

    id: int
    kind: Kind
    profile: str
    host: str
    method: str
    route: str
    name: str
    what: str
    version: str
    first_ns: int
    state: State
    revision: int
    again: int
    last_ns: int
    who: str
    note: str
    at_ns: int
    history: list[Review] = []


class ChangeQuery(msgspec.Struct, frozen=True, kw_only=True):
    """None means any. `text` is searched, ignoring the case of ASCII letters, in all names; ids
    are above `after` and not above `until`. Newest first."""

    state: State | None = None
    kind: Kind | None = None
    profile: str | None = None
    version: str | None = None
    text: str | None = None
    after: int | None = None
    until: int | None = None
    cursor: str | None = None
    limit: int = 100


class ChangePage(msgspec.Struct, frozen=True):
    """`next` asks for the following page, None on the last."""

    items: list[InboxItem]
    next: str | None


class InboxCounts(msgspec.Struct, kw_only=True):
    """Items by state; `again` are those objected to that were seen again; `last` is the highest
    id that was ever given."""

    open: int = 0
    accepted: int = 0
    watched: int = 0
    objected: int = 0
    again: int = 0
    last: int = 0


class Objected(NamedTuple):
    """A thing of a written batch that somebody had objected to, and the records with it."""

    kind: Kind
    profile: str
    records: int


class Stale(Exception):
    """Somebody else decided on the item meanwhile; `change` is how it is now."""

    def __init__(self, change: InboxItem) -> None:
        super().__init__(f"change {change.id} was decided on meanwhile")
        self.change = change
