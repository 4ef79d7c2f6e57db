"""Completes the filter as it is typed: names, operators, and values that were captured.

Values come from roll-ups and the inventory, most frequent first, and are kept for some seconds.
Who may read some namespaces only gets no value that was captured elsewhere: names, fixed values and
their namespaces.
"""

import re
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from fastapi import APIRouter, Request, Response
from msgspec.json import encode

from app.api.common import Run
from app.store import OTHER, Dimension, Scope, Store, Term, filter
from app.web.page import HEADERS, Lists, ask
from app.web.show import number

MOST = 12  # listed at a time
_LONGEST = 300  # characters of a value
_KEEP_S = 20.0
_AGES = {"1h": "an hour ago", "24h": "a day ago", "7d": "a week ago", "30d": "30 days ago"}
_CLASSES = ("2xx", "3xx", "4xx", "5xx")
_SUMMED: tuple[Dimension, ...] = (
    "host", "profile", "version", "method", "status", "rule", "route", "reason", "kind", "action",
)  # fmt: skip
_WORD = re.compile(
    r'(?:^|(?<=\s))-?(?:(?P<name>[a-z]+)(?P<op>>=|<=|>|<|:|=))?'
    r'(?P<rest>(?:"(?:[^"\\]|\\.)*"|[^\s"])*(?:"(?:[^"\\]|\\.)*)?)$'
)  # fmt: skip
_LAST = re.compile(r'(?:"(?:[^"\\]|\\.)*"?|[^,"])*$')  # of several values

routes = APIRouter(include_in_schema=False)


class Offer(NamedTuple):
    """`text` takes the place of what stands from `begin` to the caret; `says` explains it."""

    text: str
    says: str


class KnownValues:
    """Values by name, each with what to say of it; kept for some seconds."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, dict[str, str]]] = {}

    def values(self, store: Store, name: str) -> dict[str, str]:
        until, found = self._kept.get(name, (0.0, {}))
        if time.monotonic() > until:
            found = _values(store, name)
            self._kept[name] = time.monotonic() + _KEEP_S, found
        return found


def _values(store: Store, name: str) -> dict[str, str]:
    counts: Counter[str] = Counter()
    if name in _SUMMED:
        for row in store.traffic(Scope(), (name,)):
            counts[str(row.by[0])] += row.count
    elif name == "field":
        return dict.fromkeys(
            sorted({v for row in store.fields() if _fits(v := row.path)} - {OTHER}), ""
        )
    elif name in ("namespace", "pod"):
        for sender in store.senders():
            counts[getattr(sender, name)] += sender.count
    of = {v: number(n) for v, n in counts.most_common() if v != OTHER and _fits(v)}
    if name == "status":
        return {**dict.fromkeys(_CLASSES, "a class"), **{v: n for v, n in of.items() if v != "0"}}
    return of


def _fits(value: str) -> bool:
    """True for what the field shows as it is."""
    return 0 < len(value) <= _LONGEST and value.isprintable()


def offers(
    text: str, known: KnownValues, store: Store, namespaces: tuple[str, ...] | None
) -> tuple[int, list[Offer]]:
    """Completes the end of `text`. The number is where the completed part begins."""
    found = _WORD.search(text)
    if found is None:
        return len(text), []
    name, rest = found["name"], found["rest"]
    if name is None:
        if rest.startswith('"'):
            return len(text), []
        return len(text) - len(rest), _names(rest)
    if name not in filter.NAMES:
        return len(text), []
    typed = _LAST.search(rest)
    value = typed[0] if typed else ""
    values = _of(name, known, store, namespaces)
    said = [
        Offer(filter.word(Term(name, ":", (v,))).partition(":")[2], says)
        for v, says in _fitting(values, value.strip('"'))
    ]
    return len(text) - len(value), said


def _of(
    name: str, known: KnownValues, store: Store, namespaces: tuple[str, ...] | None
) -> dict[str, str]:
    if name in ("since", "until"):
        return _AGES
    fixed = filter.NAMES[name].values
    if namespaces is not None:
        if name == "namespace":
            return dict.fromkeys(namespaces, "")
        return dict.fromkeys(_CLASSES if name == "status" else fixed, "")
    counted = known.values(store, name)
    return {v: counted.get(v, "") for v in fixed} if fixed else counted


def _names(typed: str) -> list[Offer]:
    found = []
    for name, of in filter.NAMES.items():
        if not name.startswith(typed.lower()):
            continue
        found.append(Offer(f"{name}:", of.help))
        if of.ordered and typed.lower() == name:
            found += [Offer(f"{name}{op}", "compares") for op in filter.ORDERED]
    return found[: MOST * 2]


def _fitting(values: dict[str, str], typed: str) -> Iterable[tuple[str, str]]:
    """Those that begin so first, then those that hold it."""
    low = typed.lower()
    begin = [v for v in values if v.lower().startswith(low)]
    hold = [v for v in values if low in v.lower() and not v.lower().startswith(low)]
    return [(v, values[v]) for v in [*begin, *hold][:MOST]]


@routes.get("/captures/words")
async def words(request: Request, visitor: Lists, runtime: Run, q: str = "") -> Response:
    """`q` is the filter up to the caret."""
    state: Any = request.app.state
    if not hasattr(state, "known"):
        state.known = KnownValues()
    known: KnownValues = state.known
    text = q if len(q) <= filter.LONGEST else '"'
    begin, found = await ask(lambda: offers(text, known, runtime.store, visitor.namespaces))
    said = {"begin": begin, "offers": [offer._asdict() for offer in found]}
    return Response(encode(said), media_type="application/json", headers=HEADERS)
