"""Two captures side by side: the values that the later one added, left out or changed.

Compared with the sender's previous request to the same endpoint, and with a capture that the
address pins. Called by `app.web.captures`.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from app.contract.record import CaptureRecord, decode
from app.store import CaptureQuery, Store, Term
from app.store.facts import facet
from app.web.content import MASKED, MOST, FieldLine, values

_LOOKED = 5  # captures that are looked at for the previous one


class ValueChange(NamedTuple):
    """`kind`: added, gone or changed. `was` and `now` are None where there is none."""

    kind: str
    place: str
    name: str
    was: FieldLine | None
    now: FieldLine | None


class Beside(NamedTuple):
    """`same`: values without a difference; of them `masked` are masked in both, so nobody can tell.
    `more`: there are more values than are compared."""

    id: str
    record: CaptureRecord
    changes: list[ValueChange]
    same: int
    masked: int
    more: bool


def beside(before: CaptureRecord, after: CaptureRecord) -> Beside:
    old, new = _named(before), _named(after)
    changes, same, masked = [], 0, 0
    for key in dict.fromkeys([*old, *new]):
        was, now = old.get(key), new.get(key)
        if was and now and (was.value, was.type) == (now.value, now.type):
            same += 1
            masked += was.hidden.startswith(MASKED)
            continue
        kind = "changed" if was and now else "added" if now else "gone"
        changes.append(ValueChange(kind, key[0], key[1], was, now))
    more = max(len(old), len(new)) > MOST
    return Beside(before.id, before, changes, same, masked, more)


def _named(record: CaptureRecord) -> dict[tuple[str, str, int], FieldLine]:
    """The values by place, name and their number among those of one name."""
    return _numbered([*_head(record), *values(record)])


def _head(record: CaptureRecord) -> Iterable[FieldLine]:
    said = {
        "method": record.request.method if record.request else "",
        "host": record.host,
        "path": record.request.path if record.request else "",
        "version": record.product_version,
        "rule": record.rule,
        "action": record.action,
        "status": str(record.response.status) if record.response else "",
        "image": record.workload.image,
    }
    return [FieldLine("capture", n, value, "string", "") for n, value in said.items() if value]


def _numbered(lines: Iterable[FieldLine]) -> dict[tuple[str, str, int], FieldLine]:
    times: Counter[tuple[str, str]] = Counter()
    found = {}
    for line in lines:
        name = (line.place, line.name)
        times[name] += 1
        found[*name, times[name]] = line
    return found


def previous(
    store: Store, record: CaptureRecord, namespaces: tuple[str, ...] | None
) -> CaptureRecord | None:
    """The sender's request to the same endpoint before this one."""
    if record.request is None:
        return None
    of = facet(record)
    same = ("host", "method", "route", "namespace", "pod")
    names = {name: getattr(of, name) for name in same if getattr(of, name)}
    query = CaptureQuery(
        until_ns=record.time_ns,
        terms=tuple(Term(name, ":", (value,)) for name, value in names.items()),
        namespaces=namespaces,
        limit=_LOOKED,
    )
    for line in store.captures(query).items:
        found = decode(line)
        if all(getattr(facet(found), name) == getattr(of, name) for name in same):
            return found  # a `*` in a name stands for any text in the query
    return None


class Compared(NamedTuple):
    """The captures that one is compared with. `pin` is the pinned one's id, "" without; `pin_url`
    pins this one, `unpin_url` none."""

    previous: Beside | None
    pinned: Beside | None
    pin: str
    pin_url: str
    unpin_url: str


def compared(
    store: Store,
    record: CaptureRecord,
    namespaces: tuple[str, ...] | None,
    pinned: bytes | None,
    pin: str,
    here: Callable[[str], str],
) -> Compared:
    """`here` gives the address of this view with a pin. Raises StoreError, QueryError."""
    before = previous(store, record, namespaces)
    other = decode(pinned) if pinned else None
    return Compared(
        previous=beside(before, record) if before else None,
        pinned=beside(other, record) if other and other.id != record.id else None,
        pin=pin,
        pin_url=here(record.id),
        unpin_url=here(""),
    )
