"""Makes routes of paths that were seen: what varies has a name, also where only several paths tell.

Called by `app.learn.draft`.
"""

import re
from collections import Counter
from collections.abc import Sequence

import re2

from app.contract.matching import Path
from app.contract.record import Request
from app.contract.route_template import SEGMENTS, segments

FEW = 3  # numbered names (`shard-1`) that are one
# Names of collections, and of one of them: what follows in the path is a name.
COLLECTIONS = {
    plural: plural.removesuffix("s")
    for plural in (
        "users", "accounts", "orgs", "organizations", "organisations", "tenants", "workspaces",
        "projects", "teams", "customers", "machines", "devices", "hosts", "nodes", "clusters",
        "instances", "installations", "members", "groups", "repos", "namespaces",
    )
}  # fmt: skip
_PEOPLE = frozenset(("{user}", "{account}", "{customer}", "{member}"))  # one is enough
_NO_NAME = frozenset(
    ("me", "self", "current", "search", "count", "batch", "bulk", "new", "all", "login", "default",
     "register", "status", "sync", "events", "report", "ping", "heartbeat", "track", "metrics",
     "telemetry", "usage", "stats", "analytics", "config", "health", "info", "version")
)  # fmt: skip
_DIGITS = re.compile(r"\d+")
_API = re.compile(r"v\d+\w{0,6}|[a-z]+\d", re.I)  # v2, oauth2

Steps = tuple[str, ...]


def routes_of(asked: Sequence[Request]) -> list[Steps]:
    """The segments of each path, those that vary as names."""
    found = [segments(one.path) for one in asked]
    masks = [
        (one.host, one.method, tuple(_kind(steps, at) or step for at, step in enumerate(steps)))
        for one, steps in zip(asked, found, strict=True)
    ]
    seen: dict[tuple[str, str, Steps], list[set[str]]] = {}
    for mask, steps in zip(masks, found, strict=True):
        values = seen.setdefault(mask, [set() for _ in steps])
        for at, step in enumerate(steps):
            values[at].add(step)
    return [
        tuple(
            step if kind == step or len(values) < _enough(kind)
            else kind if is_name(kind)
            else "{id}"
            for step, kind, values in zip(steps, mask[2], seen[mask], strict=True)
        )
        for mask, steps in zip(masks, found, strict=True)
    ]  # fmt: skip


def _enough(kind: str) -> int:
    return 1 if kind in _PEOPLE else 2 if is_name(kind) else FEW


def _kind(steps: Steps, at: int) -> str:
    """The name that a segment would have, or what it has in common with others; "" for a word."""
    if at >= len(steps) or is_name(step := steps[at]) or step == "*":
        return ""
    before = steps[at - 1].lower() if at else ""
    if before in COLLECTIONS and at + 1 < len(steps) and step.lower() not in _NO_NAME:
        return f"{{{COLLECTIONS[before]}}}"
    return _DIGITS.sub("#", step) if _DIGITS.search(step) and not _API.fullmatch(step) else ""


def is_name(step: str) -> bool:
    return step[:1] == "{" and step[-1:] == "}"


def named(steps: tuple[str, ...]) -> tuple[str, ...]:
    """With a name of its own for each segment that varies: id, id2."""
    seen: Counter[str] = Counter()
    found = []
    for step in steps:
        if is_name(step):
            seen[step] += 1
            step = step if seen[step] == 1 else f"{step[:-1]}{seen[step]}}}"
        found.append(step)
    return tuple(found)


def condition(route: str, steps: Sequence[str], seen: set[str]) -> Path | None:
    """The narrowest condition that takes all paths that were seen; None without one."""
    if seen == {route}:
        return Path("exact", route)
    for start, parameters in (("/", ""), ("/+", "(;[^/]*)?")):  # `//a;x=1/b`
        parts = [
            "[^/]+" if is_name(step)
            else ".*" if step == "*" and at == SEGMENTS
            else re2.escape(step).replace(r"\-", "-") + parameters
            for at, step in enumerate(steps)
        ]  # fmt: skip
        path = Path("regex", start + "/".join(parts))
        if all(map(path.matches, seen)):
            return path
    return None
