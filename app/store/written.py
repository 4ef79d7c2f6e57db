"""Types of what a store is told beside records, and of its answer to a write.

The rest of the app imports them from `app.store`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from app.contract.account import Account
from app.contract.presence import Presence
from app.store.changes import Objected


class NewField(msgspec.Struct, frozen=True):
    """A field that an endpoint had never sent before, in any version."""

    profile: str
    host: str
    method: str
    route: str
    version: str
    path: str
    type: str
    class_: str = ""


class SaidClass(NamedTuple):
    """The class that a person gave a field; "" takes it back."""

    profile: str
    host: str
    method: str
    route: str
    path: str
    class_: str
    who: str
    at_ns: int


class NewHost(NamedTuple):
    """A host that the store had never seen in this profile ("" for hosts without one)."""

    profile: str
    host: str


class Told(NamedTuple):
    """A boot's account, and its sender's pod, "" without one."""

    account: Account
    namespace: str
    pod: str


class Heard(NamedTuple):
    """A boot that was heard of, with its sender's pod, "" without one. `left`: it took leave."""

    boot: str
    namespace: str
    pod: str
    at_ns: int
    left: bool
    said: Presence


class Written(NamedTuple):
    """The result of a write. `stored` are indexes into the batch; the rest were `duplicates`.
    `new_hosts` leaves out profiles that have their most endpoints. `accounts`: for each boot
    whose account was accepted, the number of its stored records. `objected`: things of the batch
    that somebody had objected to. `turned`: known fields whose values are of a class about a person
    or a secret for the first time, unless a person said what class they have."""

    stored: list[int]
    duplicates: int
    new_fields: list[NewField]
    new_hosts: Sequence[NewHost] = ()
    accounts: Mapping[str, int] = MappingProxyType({})
    objected: Sequence[Objected] = ()
    turned: Sequence[NewField] = ()
