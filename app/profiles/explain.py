"""Which rule takes a request, and why not the others.

Called by `telemock rules explain` and by the API.
"""

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

import msgspec

from app.contract.record import Action, Mode, Pair
from app.contract.rules import UNREAD, RuleSet, Seen, decide, failed_part


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
    """`rule` is the first that matched, "" when none did. `considered` are all rules of all
    profiles that name the host, in order."""

    action: Action
    profile: str
    rule: str
    reason: str
    considered: list[Considered]


def explain(rules: RuleSet, seen: Seen, mode: Mode | None = None) -> Explanation:
    """What would happen to the request, and the judgement of each rule."""
    if seen.json is UNREAD:  # there is no more to come: a body condition does not hold
        seen = msgspec.structs.replace(seen, json=None)
    decision = decide(rules, seen, mode)
    considered = []
    for profile in rules.of_host(seen.host):
        for rule in profile.rules:
            failed = failed_part(rule.match, seen)
            judged = Considered(profile.id, rule.id, rule.action, matched=failed is None)
            if failed is not None:
                judged = msgspec.structs.replace(
                    judged, part=failed.part, wanted=failed.wanted, found=failed.found
                )
            considered.append(judged)
    profile_id = decision.profile.id if decision.profile else ""
    rule_id = decision.rule.id if decision.rule else ""
    if not profile_id:
        reason = "no profile names the host, so the connection is not opened"
    elif not rule_id:
        reason = "no rule matches, so the request is forwarded untouched"
    elif decision.rule and decision.action != decision.rule.action:
        reason = f"rule {rule_id} matches first; mode {mode} replaces its {decision.rule.action}"
    else:
        reason = f"rule {rule_id} matches first"
    return Explanation(decision.action, profile_id, rule_id, reason, considered)


def seen_from_url(
    url: str, method: str = "GET", headers: Sequence[Pair] = (), body: bytes | None = None
) -> Seen:
    """A request as `decide` looks at it; a `body` that is not JSON counts as none.

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
    json = None
    if body is not None:
        try:
            json = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            json = None
    return Seen(
        method=method.upper(),
        host=host,
        path=parts.path or "/",
        query=parse_qsl(parts.query, keep_blank_values=True),
        headers=headers,
        json=json,
    )
