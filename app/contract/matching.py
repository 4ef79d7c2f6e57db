"""The conditions of a rule, and the first one that a request fails.

Used by `app.contract.rules` in `decide`, and by `rules explain`.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec
import re2

from app.contract.actions import UNTAKEN, HostAction
from app.contract.decoding.tree import UNREADABLE, values
from app.contract.record import Pair


class Host(msgspec.Struct, frozen=True, omit_defaults=True):
    """`name` itself, or with `suffix` every name that ends in `.name`. Lower case. `unmatched`: the
    action of a profile's host for requests that no rule takes. `ports`: those that are led to the
    sidecar besides the web's."""

    name: str
    suffix: bool = False
    unmatched: HostAction = UNTAKEN
    ports: tuple[int, ...] = ()

    def matches(self, host: str) -> bool:
        return host.endswith("." + self.name) if self.suffix else host == self.name

    def covers(self, other: "Host") -> bool:
        """True if every name of the other one is one of this."""
        same = (self.name, self.suffix) == (other.name, other.suffix)
        return same or (self.suffix and self.matches(other.name))


class Path(msgspec.Struct, frozen=True):
    """`regex` is RE2 (linear time) and matches the whole raw path."""

    kind: Literal["exact", "prefix", "regex"]
    value: str

    def matches(self, path: str) -> bool:
        if self.kind == "exact":
            return path == self.value
        if self.kind == "prefix":
            return path.startswith(self.value)
        return regex(self.value).fullmatch(path) is not None


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """A condition on one query parameter, header or JSON field.

    `name` of a header is lower case; of a JSON field it is a dotted path (`a.b.0.c`).
    """

    name: str
    op: Literal["present", "absent", "equals", "prefix", "contains", "regex"] = "present"
    value: str = ""

    def matches(self, found: Sequence[str]) -> bool:
        """True if one of the values under the name fits (`absent`: there is none)."""
        if self.op == "absent":
            return not found
        if self.op == "present":
            return bool(found)
        if self.op == "equals":
            return self.value in found
        if self.op == "prefix":
            return any(v.startswith(self.value) for v in found)
        if self.op == "contains":
            return any(self.value in v for v in found)
        pattern = regex(self.value)
        return any(pattern.search(v) is not None for v in found)


class Match(msgspec.Struct, frozen=True, omit_defaults=True):
    """Empty means any. All parts must hold; of `methods`, `hosts` and `paths` one each suffices."""

    methods: tuple[str, ...] = ()
    hosts: tuple[Host, ...] = ()
    paths: tuple[Path, ...] = ()
    query: tuple[Value, ...] = ()
    headers: tuple[Value, ...] = ()
    body: tuple[Value, ...] = ()

    @property
    def is_bare(self) -> bool:
        """True without a condition that only a request can meet."""
        return not (self.methods or self.paths or self.query or self.headers or self.body)

    def takes_lines(self, host: str) -> bool:
        return self.is_bare and (not self.hosts or any(h.matches(host) for h in self.hosts))


class Seen(msgspec.Struct, kw_only=True):
    """A request as `decide` sees it. `host` is the name that it means, without port; `names` are
    the others that it or its connection carries; `path` raw; `headers` in order, any case.

    `json` is the decoded body, UNREAD until it was read, UNREADABLE if it cannot be, and None if it
    is empty or has no fields.
    """

    method: str
    host: str
    path: str
    names: Sequence[str] = ()
    query: Sequence[Pair] = ()
    headers: Sequence[Pair] = ()
    json: Any = None


UNREAD = msgspec.UNSET


class Unmatched(msgspec.Struct, frozen=True):
    """The part of a rule's match that a request failed, with the wanted and the found value."""

    part: str
    wanted: str
    found: str


def failed_part(match: Match, seen: Seen) -> Unmatched | None:
    """The first part of the match that does not hold; None if all hold.

    Body conditions count as holding while the body is UNREAD, or if it is UNREADABLE.
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
    if match.body and seen.json is not UNREAD and seen.json is not UNREADABLE:
        for want in match.body:
            found = values(seen.json, want.name)
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


@lru_cache(maxsize=1024)
def regex(pattern: str) -> Any:
    return re2.compile(pattern)
