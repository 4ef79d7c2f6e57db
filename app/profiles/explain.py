"""Explains which rule takes a request, and why the others do not.

Called by `telemock rules explain` and by the API.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from app.contract import body as bodies
from app.contract.actions import DENIED, MOCK, UNTAKEN, Action, Mode
from app.contract.canonical import hosts_in, pairs_of, readings
from app.contract.decoding.read import for_conditions, read
from app.contract.record import Pair, joined, text
from app.contract.rules import (
    KEPT_HERE,
    UNREAD,
    UNREADABLE,
    Decision,
    RuleSet,
    Seen,
    decide,
    failed_part,
    names_of,
)


class Considered(msgspec.Struct, frozen=True):
    """One rule: whether its match holds; if not, the part that failed, what the rule wanted there
    and what the request had."""

    profile: str
    rule: str
    action: Action
    matched: bool
    part: str = ""
    wanted: str = ""
    found: str = ""


class Explanation(msgspec.Struct, frozen=True):
    """`rule` is the one that takes the request, "" when none does. `names` are those that the
    request carries, `paths` those that a server could read in it, each first as it came (no path:
    nobody can tell); `host` and `path` are the ones that decided, and `judged_by` says which parts
    were not read as they came. `considered` are all rules of all profiles that name that host, in
    order; `unmatched` is what the host wants for a request that none of them takes."""

    action: Action
    profile: str
    rule: str
    reason: str
    considered: list[Considered]
    names: list[str] = []
    paths: list[str] = []
    host: str = ""
    path: str = ""
    judged_by: str = ""
    unmatched: str = ""


def explain(rules: RuleSet, seen: Seen, mode: Mode | None = None) -> Explanation:
    """Decides on the request, and judges each rule."""
    if seen.json is UNREAD:  # no body will come: a condition on it does not hold
        seen = msgspec.structs.replace(seen, json=None)
    decision = decide(rules, seen, mode)
    host, path = decision.host or seen.host, decision.path or seen.path
    method = seen.method.strip().upper() if "method" in decision.by else seen.method
    view = msgspec.structs.replace(seen, host=host, path=path, method=method)
    considered = []
    for profile in rules.of_host(host):
        for rule in profile.rules:
            failed = failed_part(rule.match, view)
            judged = Considered(profile.id, rule.id, rule.action, matched=failed is None)
            if failed is not None:
                judged = msgspec.structs.replace(
                    judged, part=failed.part, wanted=failed.wanted, found=failed.found
                )
            elif rule.match.body and seen.json is UNREADABLE and not _keeps(rule.action, mode):
                judged = msgspec.structs.replace(
                    judged, matched=False, part="body", wanted="a readable one", found="unreadable"
                )
            considered.append(judged)
    found = readings(seen.path)
    return Explanation(
        decision.action,
        decision.profile.id if decision.profile else "",
        decision.rule.id if decision.rule else "",
        _reason(decision, path, host, mode, told=found is not None),
        considered,
        names=list(names_of(seen)),
        paths=list(found or ()),
        host=host,
        path=path,
        judged_by=" ".join(decision.by),
        unmatched=(DENIED if rules.denies(host) else UNTAKEN) if decision.profile else "",
    )


def _keeps(action: Action, mode: Mode | None) -> bool:
    return (mode if mode and action == MOCK else action) in KEPT_HERE


def _reason(decision: Decision, path: str, host: str, mode: Mode | None, *, told: bool) -> str:
    how = {
        "name": f"by the name {host}",
        "path": f"with the path read as {path}",
        "method": "with the method in upper case",
        "body": "because the body cannot be read",
    }
    read = ", ".join(how[part] for part in decision.by)
    if decision.profile is None:
        return "no profile names the host, so the connection is not opened"
    if decision.rule is None and decision.action == DENIED:
        if not told:
            return "nobody can tell which path this is, and the host has rules that keep requests"
        why = "no rule matches, and the host blocks what no rule takes"
        return f"{why} ({read})" if read else why
    if decision.rule is None:
        return "no rule matches, so the request is forwarded untouched"
    reason = f"rule {decision.rule.id} matches " + (read or "first")
    if decision.action != decision.rule.action:
        reason += f"; mode {mode} replaces its {decision.rule.action}"
    return reason


def seen_from_url(
    url: str, method: str = "GET", headers: Sequence[Pair] = (), body: bytes | None = None
) -> Seen:
    """Builds a request as `decide` sees it. The client connects to the URL's host; a Host header
    may name another.

    Raises ValueError with a sentence when the URL names no host.
    """
    if "://" not in url:
        url = "https://" + url
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as e:
        raise ValueError(f"{url!r} is not a URL: {e}") from None
    if parts.scheme not in ("http", "https", "ws", "wss") or not host:
        raise ValueError(f"{url!r} is not an http or https URL with a host")
    said = tuple(n for name, value in headers if name.lower() == "host" for n in hosts_in(value))
    kept = bodies.whole(body or b"", joined(headers, "content-encoding"))
    names = said or hosts_in(host)
    return Seen(
        method=method.upper(),
        host=names[0],
        names=(*names, *hosts_in(host)),
        path=parts.path or "/",
        query=pairs_of(text(parts.query)),
        headers=headers,
        json=for_conditions(read(kept, joined(headers, "content-type"))),
    )
