"""What the store in memory holds."""

import time
from dataclasses import dataclass, field
from typing import NamedTuple

from app import store
from app.contract.account import Account
from app.contract.presence import Presence
from app.store import facts
from app.store.changes import InboxItem, Thing
from app.store.facts import Happened, Route, Sender, Sum, Traffic
from app.store.inventory import Field
from app.store.values import Sketch


class Capture(NamedTuple):
    time_ns: int
    facet: facts.Facet
    id: str
    line: bytes


@dataclass
class Boot:
    account: Account
    who: tuple[str, str, str]  # namespace, pod, node
    first_ns: int = field(default_factory=time.time_ns)
    last_ns: int = 0
    heard_ns: int = 0
    left: bool = False
    said: Presence = field(default_factory=Presence)
    numbers: set[int] = field(default_factory=set)


@dataclass
class Directory:
    last: int = 0
    captures: dict[int, Capture] = field(default_factory=dict)
    boots: dict[str, Boot] = field(default_factory=dict)
    traffic: dict[Traffic, Sum] = field(default_factory=dict)
    senders: dict[Sender, Sum] = field(default_factory=dict)
    notes: dict[tuple[Route, store.Note], Sum] = field(default_factory=dict)
    events: dict[Happened, Sum] = field(default_factory=dict)
    requests: dict[tuple[Route, str], Sum] = field(default_factory=dict)
    fields: dict[tuple[Route, str, Field], Sum] = field(default_factory=dict)
    sketches: dict[tuple[Route, str], Sketch] = field(default_factory=dict)
    names: set[tuple[object, ...]] = field(default_factory=set)  # hosts and fields that were told
    classes: dict[tuple[Route, str], store.SaidClass] = field(default_factory=dict)
    changes: dict[Thing, InboxItem] = field(default_factory=dict)
    turned: set[tuple[str, ...]] = field(default_factory=set)  # fields with their new class

    def boot(self, name: str, *who: str) -> Boot:
        return self.boots.setdefault(name, Boot(Account(boot=name, numbered=0), who))  # type: ignore[arg-type]

    def is_new(self, *name: object) -> bool:
        return name not in self.names and not self.names.add(name)
