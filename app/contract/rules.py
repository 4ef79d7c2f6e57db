"""Compiled profiles and `decide()`: finds the rule that answers a request.

A request is judged as it came and, if it would then go on to the vendor, in all its readings
(`app.contract.canonical`): a rule that keeps it here takes it in any of them.

`app.profiles` compiles the profiles that people write into these types; app and sidecar load them.
"""

from collections.abc import Iterable
from functools import cached_property
from itertools import product
from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from app.contract.actions import DENIED, MOCK, OUTLINED, UNTAKEN, Action, Mode
from app.contract.actions import KEPT_HERE as KEPT_HERE
from app.contract.canonical import (
    authority_of,
    hosts_in,
    lines_in,
    parameters,
    query_in,
    readings,
)
from app.contract.decoding.pairs import found_in, segments
from app.contract.decoding.tree import UNREADABLE as UNREADABLE
from app.contract.decoding.tree import scalars
from app.contract.matching import UNREAD as UNREAD
from app.contract.matching import Host as Host
from app.contract.matching import Match as Match
from app.contract.matching import Path as Path
from app.contract.matching import Seen as Seen
from app.contract.matching import Unmatched as Unmatched
from app.contract.matching import Value as Value
from app.contract.matching import failed_part as failed_part
from app.contract.matching import regex as regex
from app.contract.record import Pair

Part = Literal["query", "header", "body", "path", "any"]


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The client's answer. `body` is static, and also the fall-back if `template`, `sequence` or
    `websocket` need the app."""

    status: int = 200
    headers: tuple[Pair, ...] = ()
    body: bytes = b""
    template: str = ""  # Jinja2, rendered by the app in a sandbox
    delay_ms: int = 0
    fault: Literal["", "reset", "hang", "slow_body"] = ""
    sequence: tuple["Answer", ...] = ()  # given in order; the last one is repeated
    websocket: bool = False

    @property
    def needs_app(self) -> bool:
        return bool(self.template or self.sequence or self.websocket or self.fault or self.delay_ms)


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    id: str
    action: Action
    match: Match = Match()
    route: str = ""  # path as a bounded template: http.route, metric labels, endpoints in reports
    answer: Answer = Answer()
    # rehearsal: by the sidecar, under a fault (app.contract.faults); no profile says so
    answer_at: Literal["app", "sidecar", "rehearsal"] = "app"
    decoders: tuple[str, ...] = ()  # the ways to read the body, see app.contract.decoding


class Sensitive(msgspec.Struct, frozen=True):
    """A field whose value is not kept as it came. `name` is lower case; for a JSON field it is its
    key at any depth, or its dotted path."""

    where: Part
    name: str
    how: Literal["drop", "mask", "token", "keep"]


class Extract(msgspec.Struct, frozen=True, omit_defaults=True):
    """The place of the product's version; the first group of `regex` extracts it. `name` may lead
    into a value (`data.properties.v`); in a path it is a segment's in the rule's route."""

    where: Literal["query", "header", "body", "path"]
    name: str
    regex: str = ""


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One vendor product. Its hosts say what happens to a request that no rule takes."""

    id: str
    title: str
    hosts: tuple[Host, ...]
    rules: tuple[Rule, ...]
    sensitive: tuple[Sensitive, ...] = ()
    safe_query: tuple[str, ...] = ()  # parameters that spans and logs may show
    version_from: tuple[Extract, ...] = ()
    licence_note: str = ""


class RuleSet(msgspec.Struct, frozen=True, dict=True):
    """Every profile in use. `etag` changes when any of them does."""

    profiles: tuple[Profile, ...] = ()
    etag: str = ""

    @cached_property
    def _exact(self) -> dict[str, tuple[Profile, ...]]:
        names = {h.name for p in self.profiles for h in p.hosts if not h.suffix}
        return {
            n: tuple(p for p in self.profiles if any(h.matches(n) for h in p.hosts)) for n in names
        }

    def of_host(self, host: str) -> tuple[Profile, ...]:
        """The profiles that name the host, in order; empty for none."""
        host = host.lower().rstrip(".")
        found = self._exact.get(host)
        if found is not None:
            return found
        return tuple(p for p in self.profiles if any(h.matches(host) for h in p.hosts))

    def rule(self, profile: str, rule: str) -> tuple[Profile, Rule] | None:
        """The profile and rule with these ids, None if there is no such rule."""
        return self._by_id.get((profile, rule))

    def decoders(self, profile: str, rule: str) -> tuple[str, ...]:
        """The decoders of that rule, none if there is no such rule."""
        known = self.rule(profile, rule)
        return known[1].decoders if known else ()

    def denies(self, host: str) -> Profile | None:
        """The first profile that blocks requests to this host that none of its rules takes."""
        host = host.lower().rstrip(".")
        for profile in self.of_host(host):
            if any(h.unmatched == DENIED and h.matches(host) for h in profile.hosts):
                return profile
        return None

    @cached_property
    def ports(self) -> frozenset[int]:
        """All ports that a profile's host names."""
        return frozenset(port for p in self.profiles for h in p.hosts for port in h.ports)

    def ports_of(self, host: str) -> frozenset[int]:
        """The ports of this host that are led to the sidecar besides the web's."""
        host = host.lower().rstrip(".")
        named = (h for p in self.of_host(host) for h in p.hosts if h.matches(host))
        return frozenset(port for h in named for port in h.ports)

    def fails_closed(self, host: str, mode: Mode | None) -> bool:
        """True if this host refuses requests that cannot be judged: some rule keeps requests here,
        or requests that no rule takes are blocked."""
        actions = {action_of(r, mode) for p in self.of_host(host) for r in p.rules}
        return self.denies(host) is not None or not KEPT_HERE.isdisjoint(actions)

    @cached_property
    def _by_id(self) -> dict[tuple[str, str], tuple[Profile, Rule]]:
        return {(p.id, r.id): (p, r) for p in self.profiles for r in p.rules}


# The parts of a request that its rule took in another reading than they came, or unread.
By = Literal["name", "path", "query", "header", "method", "body"]


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """`profile` is None if no profile names the host. `needs_body`: the answer depends on a rule's
    body condition, so decide again once the body was read.

    `by` names the parts that were taken in another reading (`host` and `path` are that reading).
    """

    action: Action
    profile: Profile | None = None
    rule: Rule | None = None
    needs_body: bool = False
    by: tuple[By, ...] = ()
    host: str = ""
    path: str = ""

    @property
    def profile_id(self) -> str:
        return self.profile.id if self.profile else ""

    @property
    def rule_id(self) -> str:
        return self.rule.id if self.rule else ""

    @property
    def route(self) -> str:
        return self.rule.route if self.rule else ""

    @property
    def name(self) -> str:
        """PROFILE/RULE, "" without a rule."""
        return f"{self.profile_id}/{self.rule_id}" if self.rule else ""


PASS = Decision(action=UNTAKEN)
# Checks of rules, over all readings of one request: with more it is unjudgeable, lest others wait.
LOOKS = 20_000


def decide(rules: RuleSet, seen: Seen, mode: Mode | None = None) -> Decision:
    """The first rule that matches the request as it came; if that would let it go on, the first
    one that keeps it here in any other reading.

    `mode` replaces the action of `mock` rules, never another action.
    """
    first = _first(rules, seen, mode)
    if first.action in KEPT_HERE or first.needs_body:
        return first
    return _otherwise(rules, seen, mode, first)


def _methods(seen: Seen) -> dict[str, None]:
    """The method as it came, in upper case, and as headers ask servers to override it."""
    said = [v for n, v in seen.headers if n.lower() in _OVERRIDES]
    return dict.fromkeys((seen.method, *(m.strip().upper() for m in (seen.method, *said[:3]))))


_OVERRIDES = ("x-http-method-override", "x-http-method", "x-method-override")


def _first(rules: RuleSet, seen: Seen, mode: Mode | None) -> Decision:
    profiles = rules.of_host(seen.host)
    for profile in profiles:
        for rule in profile.rules:
            if failed_part(rule.match, seen) is not None:
                continue
            action = action_of(rule, mode)
            if not rule.match.body:
                return Decision(action, profile, rule)
            if seen.json is UNREAD:
                return Decision(UNTAKEN, profile, rule, needs_body=True)
            if seen.json is not UNREADABLE:
                return Decision(action, profile, rule)
            if action in KEPT_HERE:
                return Decision(action, profile, rule, by=("body",))
    if not profiles:
        return PASS
    denying = rules.denies(seen.host)
    return Decision(DENIED, denying) if denying else Decision(UNTAKEN, profiles[0])


def _otherwise(rules: RuleSet, seen: Seen, mode: Mode | None, first: Decision) -> Decision:
    """A decision that keeps the request here, else one that waits for its body, else an `observe`
    if no rule took it as it came, else `first`."""
    names = {name: None for name in names_of(seen) if rules.of_host(name)}
    if not names:
        return first
    paths, methods = readings(seen.path), _methods(seen)
    here = sum(len(p.rules) for name in names for p in rules.of_host(name))
    looks = here * len(paths or ()) * len(methods)
    more: list[Pair] | None = []
    lines: list[Pair] = []
    if looks <= LOOKS:
        matches = [r.match for name in names for p in rules.of_host(name) for r in p.rules]
        if any(m.query for m in matches):
            more = parameters(seen.query)
        if any(m.headers for m in matches):
            lines = lines_in(seen.headers)
        looks *= (1 + bool(more)) * (1 + bool(lines))
    if paths is None or more is None or looks > LOOKS:
        host = next((n for n in names if rules.fails_closed(n, mode)), "")
        by: By = "path" if paths is None else "query" if more is None else "name"
        return Decision(DENIED, rules.of_host(host)[0], by=(by,), host=host) if host else first
    more += query_in(paths)
    alone = len(names) * len(paths) * len(methods) == 1 and seen.host in names
    if alone and not more and not lines:
        return first  # it has no other reading
    queries = [seen.query, (*seen.query, *more)] if more else [seen.query]
    headers = [seen.headers, (*seen.headers, *lines)] if lines else [seen.headers]
    waiting = observed = None
    for host, path, method, query, head in product(names, paths, methods, queries, headers):
        view = replace(seen, host=host, path=path, query=query, method=method, headers=head)
        found = _first(rules, view, mode)
        if found.action in KEPT_HERE:
            return _read_as(found, seen, view)
        if found.needs_body:
            waiting = waiting or _read_as(found, seen, view)
        elif found.action not in OUTLINED and first.rule is None:
            observed = observed or _read_as(found, seen, view)
    return waiting or observed or first


_PARTS: tuple[tuple[By, str], ...] = (
    ("name", "host"),
    ("path", "path"),
    ("query", "query"),
    ("header", "headers"),
    ("method", "method"),
)


def _read_as(found: Decision, seen: Seen, view: Seen) -> Decision:
    by = [part for part, field in _PARTS if getattr(view, field) != getattr(seen, field)]
    if "path" in by and "query" in by:  # the query stands behind a question mark in the path
        by.remove("query")
    return replace(found, by=(*by, *found.by), host=view.host, path=view.path)


def names_of(seen: Seen) -> tuple[str, ...]:
    """Every name that the request carries; first the one that it means."""
    return tuple(dict.fromkeys((seen.host, *seen.names, *hosts_in(authority_of(seen.path)))))


def action_of(rule: Rule, mode: Mode | None) -> Action:
    return mode if mode is not None and rule.action == MOCK else rule.action


def product_version(profile: Profile, seen: Seen, rule: Rule | None = None) -> str:
    """The product's version as the profile extracts it, "" if it is missing."""
    found: Iterable[str]
    for extract in profile.version_from:
        if extract.where == "query":
            found = found_in(seen.query, extract.name)
        elif extract.where == "header":
            found = found_in(((n.lower(), v) for n, v in seen.headers), extract.name)
        elif extract.where == "path":
            found = found_in(segments(seen.path, rule.route if rule else ""), extract.name)
        else:
            found = () if seen.json is UNREAD else scalars(seen.json, extract.name)
        for value in found:
            if not extract.regex:
                return value[:128]
            cut = regex(extract.regex).search(value)
            if cut is not None:
                return str(cut.group(1) if cut.re.groups else cut.group(0))[:128]
    return ""


Key = Annotated[bytes, msgspec.Meta(min_length=16)]


class Bundle(msgspec.Struct, frozen=True):
    """The set that a sidecar fetches: the rules, and the key for tokens (None: all is masked)."""

    rules: RuleSet
    mask_key: Key | None = None
    mask_key_id: str = ""


def dump(bundle: Bundle) -> bytes:
    return msgspec.json.encode(bundle)


def load(data: bytes) -> Bundle:
    """Raises msgspec.ValidationError if the bytes are no bundle of this schema."""
    return msgspec.json.decode(data, type=Bundle)
