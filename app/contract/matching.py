"""Which part of a rule's match a request does not fulfil.

Used by `app.contract.rules` in `decide`, and by `rules explain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from app.contract.body import UNREADABLE, json_values
from app.contract.record import Pair

if TYPE_CHECKING:
    from app.contract.rules import Match, Seen, Value


class Unmatched(msgspec.Struct, frozen=True):
    """Why a rule did not take a request: the part of its match that failed, and what was there."""

    part: str
    wanted: str
    found: str


def failed_part(match: Match, seen: Seen) -> Unmatched | None:
    """The first part of the match that does not hold; None when all do.

    Body conditions count as holding while the body is UNREAD, and where it is UNREADABLE.
    """
    if match.methods and seen.method not in match.methods:
        return Unmatched("method", " or ".join(match.methods), seen.method)
    if match.hosts:
        host = seen.host.lower().rstrip(".")
        if not any(h.matches(host) for h in match.hosts):
            wanted = " or ".join(("." if h.suffix else "") + h.name for h in match.hosts)
            return Unmatched("host", wanted, host)
    if match.paths and not any(p.matches(seen.path) for p in match.paths):
        return Unmatched("path", " or ".join(f"{p.kind} {p.value}" for p in match.paths), seen.path)
    if match.query and (bad := _unmatched("query", match.query, seen.query)):
        return bad
    if match.headers:
        lower = [(n.lower(), v) for n, v in seen.headers]
        if bad := _unmatched("header", match.headers, lower):
            return bad
    if match.body and seen.json is not msgspec.UNSET and seen.json is not UNREADABLE:
        for want in match.body:
            found = json_values(seen.json, want.name)
            if not want.matches(found):
                return _missed("body", want, found)
    return None


def _missed(part: str, want: Value, found: Sequence[str]) -> Unmatched:
    wanted = f"{want.op} {want.value}".strip()
    return Unmatched(f"{part} {want.name}", wanted, ", ".join(found[:3]))


def _unmatched(part: str, wanted: Iterable[Value], pairs: Sequence[Pair]) -> Unmatched | None:
    for want in wanted:
        found = [v for n, v in pairs if n == want.name]
        if not want.matches(found):
            return _missed(part, want, found)
    return None
