"""Drafts a profile from requests that were seen: endpoints, answers, version, sensitive fields, and
what could not be told. Called by `telemock learn`; `app.learn.yaml_text` writes it down.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from app.contract.decoding.tree import Opaque
from app.contract.instant import iso
from app.contract.matching import Path
from app.contract.names import REDIRECTED_PORTS
from app.contract.record import CaptureRecord, Request
from app.contract.route_template import TELLING
from app.learn.answers import DraftAnswer, accepted, reply
from app.learn.fields import (
    Hidden,
    Look,
    VersionSource,
    beside_rows,
    kept_as_tokens,
    look,
    sensitive,
    version_of,
    versions,
)
from app.learn.messages import Spoken, greetings, opens, spoken
from app.learn.routes import COLLECTIONS, Steps, condition, is_name, named, routes_of
from app.profiles.schema import MOST_PORTS

REQUESTS = 2_000  # that are read
HOSTS = 50
RULES = 100  # of a draft; further endpoints fall to its last rule
UNKNOWN = 40  # sentences
_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[?[0-9a-f:]+\]?)")
_METHOD = re.compile(r"[A-Z0-9!#$%&'*+.^_`|~-]{1,32}")
_URL_HOST = re.compile(r"https?:\\?/\\?/([A-Za-z0-9.-]{1,253})")
_SLUG = re.compile(r"[^a-z0-9]+")
_SECOND_LEVEL = frozenset(("co", "com", "org", "net", "ac", "gov", "edu"))
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


@dataclass
class DraftRule:
    """One rule of the draft; `seen` is a sentence."""

    id: str
    method: str
    host: str
    route: str
    path: Path
    reply: DraftAnswer
    seen: str
    looks: list[Look] = field(default_factory=list, repr=False)


@dataclass
class Draft:
    id: str
    hosts: list[str]
    ports: dict[str, list[int]]  # of a host, besides 80 and 443
    endpoints: list[DraftRule]
    seen: str
    day: str  # of the last request
    versions: list[VersionSource] = field(default_factory=list)  # the first that is there counts
    other_versions: list[VersionSource] = field(default_factory=list)
    sensitive: list[Hidden] = field(default_factory=list)
    masked: list[str] = field(default_factory=list)  # what is masked without a row, in words
    every: str = ""
    unknown: list[str] = field(default_factory=list)


class NothingToLearn(ValueError):
    """No record holds a request that was read."""


def draft(
    records: Iterable[CaptureRecord],
    id: str = "",
    taken: frozenset[str] = frozenset(),
    left_out: Sequence[str] = (),
    room: int | None = None,
) -> Draft:
    """`taken` are ids of other profiles, `left_out` sentences about what was not read, `room` the
    bytes that files of answers may have, None where none is written. Raises NothingToLearn."""
    records = list(records)
    read = [one for record in records[:REQUESTS] if (one := look(record))]
    looks = [one for one in read if _can_be_named(one.request)]
    if not looks:
        raise NothingToLearn
    looks.sort(key=lambda one: one.record.time_ns)
    by_host = Counter(one.request.host for one in looks)
    hosts = sorted(by_host, key=lambda host: (-by_host[host], host))[:HOSTS]
    left_out = [*_beyond(len(read) - len(looks), [*by_host.values()]), *left_out]
    looks = [one for one in looks if one.request.host in hosts]
    id = id or _free(_id_of(hosts[0]), taken)
    messages = spoken(records, looks)
    endpoints, beyond = _endpoints(looks, len(hosts) > 1, messages, room)
    found = Draft(
        id, hosts, _ports(looks), endpoints, _span(looks), iso(looks[-1].record.time_ns)[:10]
    )
    words = frozenset(id.split("-")) | {part for host in hosts for part in host.split(".")[:-1]}
    candidates = [*_in_paths(endpoints), *versions(looks, words)]
    found.versions = _agreeing(candidates)
    known = {value for one in found.versions for value in one.values}
    found.other_versions = [one for one in candidates if not known.issuperset(one.values)]
    # Of a path, a profile names the segments of its routes alone.
    sent = [*looks, *(one.look for one in messages if one.look)]
    hidden = (one for one in sensitive(sent, candidates) if not one.field.startswith("path."))
    found.sensitive = [*_segments(endpoints), *hidden]
    masked = dict.fromkeys(pair for one in sent for pair in one.record.masked)
    found.sensitive += kept_as_tokens(masked, found.sensitive)
    beside = dict.fromkeys(beside_rows(masked, found.sensitive))
    found.masked = [*beside][:UNKNOWN]
    found.every = _cadence(endpoints)
    found.unknown = [*_unknown(found, looks, beyond, len(records)), *left_out][:UNKNOWN]
    found.unknown += _connections(records, hosts)
    return found


def _ports(looks: Sequence[Look]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for host, port in sorted({(one.request.host, one.request.port) for one in looks}):
        if port not in REDIRECTED_PORTS and 0 < port < 1 << 16:
            found.setdefault(host, []).append(port)
    return {host: ports[:MOST_PORTS] for host, ports in found.items()}


def _agreeing(candidates: Sequence[VersionSource]) -> list[VersionSource]:
    """The likeliest source, and others that say the same in requests that lack it."""
    found: list[VersionSource] = []
    covered: set[int] = set()
    for one in candidates:
        if len(found) < 3 and (not found or one.values == found[0].values) and one.at - covered:
            found.append(one)
            covered |= one.at
    return found


def _can_be_named(request: Request) -> bool:
    """True if a rule can name its host and method; a path of another form is no endpoint."""
    named = _HOST.fullmatch(request.host) and _METHOD.fullmatch(request.method)
    return bool(named) and request.path.startswith("/") and request.path.isprintable()


def _id_of(host: str) -> str:
    labels = [label for label in host.split(".") if not label.isdigit()] or ["host"]
    at = -2 if len(labels) > 1 else -1
    if len(labels) > 2 and labels[-2] in _SECOND_LEVEL and len(labels[-1]) == 2:
        at = -3
    return _slug(labels[at]) or "product"


def _slug(text: str) -> str:
    return _SLUG.sub("-", text.lower())[:50].strip("-")


def _free(id: str, taken: Collection[str]) -> str:
    numbered = (f"{id}-{number}" for number in range(2, 1_000))
    return id if id not in taken else next(name for name in numbered if name not in taken)


def _endpoints(
    looks: Sequence[Look], many: bool, messages: Sequence[Spoken], room: int | None
) -> tuple[list[DraftRule], int]:
    """The rules, WebSockets and exact paths first, so that none takes what a later one could; and
    the number of requests that fall to the last rule."""
    groups: dict[tuple[str, str, Steps, bool], list[Look]] = {}
    written: dict[tuple[str, str, Steps, bool], Counter[Steps]] = {}
    routes = routes_of([one.request for one in looks])
    for one, steps in zip(looks, routes, strict=True):
        alike = tuple("{}" if is_name(step) else step for step in steps)
        key = (one.request.host, one.request.method, alike, opens(one.request))
        groups.setdefault(key, []).append(one)
        written.setdefault(key, Counter())[steps] += 1
    methods = Counter((host, alike) for host, _, alike, _ in groups)
    ids: set[str] = set()
    found = []
    for key, of in sorted(groups.items(), key=lambda g: -len(g[1]))[:RULES]:
        host, method, alike, opening = key
        steps = named(written[key].most_common(1)[0][0])
        words = "-".join(_slug(s) for s in steps if not is_name(s) and s != "*") or "root"
        if methods[host, alike] > 1:
            words += "-websocket" if opening else f"-{method.lower()}"
        id = _free(_slug(f"{host.split('.')[0]}-{words}" if many else words) or "root", ids)
        route = "/" + "/".join(steps)
        path = condition(route, steps, {one.request.path for one in of})
        if path is None or len(route) > 200 or len(path.value) > 1_000:
            continue  # the last rule takes it
        ids.add(id)
        answer = accepted([*greetings(messages, of)]) if opening else reply(of, room)
        room = None if room is None else room - len(answer.beside)
        found.append(DraftRule(id, method, host, route, path, answer, _span(of), of))
    found.sort(key=_order)
    return found, len(looks) - sum(len(e.looks) for e in found)


def _order(rule: DraftRule) -> tuple[bool, bool, int]:
    names = rule.route.count("{") + rule.route.endswith("/*")
    return not rule.reply.websocket, rule.path.kind != "exact", names


def _span(looks: Sequence[Look]) -> str:
    times = [one.record.time_ns for one in looks]
    count = f"{len(looks)} request{'s' if len(looks) > 1 else ''}"
    began, ended = iso(min(times)), iso(max(times))
    return f"{count}, {began}" + (f" to {ended}" if ended != began else "")


def _segments(endpoints: Sequence[DraftRule]) -> list[Hidden]:
    found = {}
    for endpoint in endpoints:
        for at, step in enumerate(endpoint.route.split("/")):
            kind = step[1:-1].rstrip("0123456789")
            hides = is_name(step) and kind in (*TELLING, *COLLECTIONS.values())
            if is_name(step) and kind == "id":
                paths = (one.request.path.split("/") for one in endpoint.looks)
                hides = not all(path[at].isdigit() for path in paths if at < len(path))
            if hides:
                found[step] = Hidden(f"path.{step[1:-1]}", "token", f"by look {kind}")
    return [*found.values()]


def _in_paths(endpoints: Sequence[DraftRule]) -> list[VersionSource]:
    for endpoint in endpoints:
        if "{version}" in endpoint.route:
            cut = r"(\d+(?:\.\d+)+)"
            values = version_of("path.version", cut, endpoint.looks, endpoint.route)
            at = frozenset(map(id, endpoint.looks))
            return [VersionSource("path.version", cut, sorted({*values} - {""})[:5], at)]
    return []


def _cadence(endpoints: Sequence[DraftRule]) -> str:
    """The time between two sendings of one sender, "" where it is not regular."""
    for endpoint in sorted(endpoints, key=lambda e: -len(e.looks)):
        by_sender: dict[tuple[str, str, str], list[int]] = {}
        for one in endpoint.looks:
            by_sender.setdefault(one.sender, []).append(one.record.time_ns)
        gaps = [
            (after - before) / 1e9
            for times in by_sender.values()
            for before, after in pairwise(times)
        ]
        if len(gaps) < 3 or (middle := median(gaps)) < 1:
            continue
        near = sum(abs(gap - middle) <= 0.2 * middle for gap in gaps)
        if near >= 0.75 * len(gaps):
            for unit, seconds in _UNITS:
                number = round(middle / seconds)
                if number and abs(number * seconds - middle) <= 0.05 * middle:
                    return f"{number}{unit}"
    return ""


def _unknown(found: Draft, looks: Sequence[Look], beyond: int, records: int) -> Iterable[str]:
    yield f"Whether there is more than what was seen: {found.seen}."
    if records > REQUESTS:
        yield f"What the other {records - REQUESTS:,} records hold: {REQUESTS:,} were read."
    if beyond:
        yield f"Which endpoints {beyond:,} more requests mean: the draft has {RULES} rules."
    yield "Which of these requests are telemetry, and which does the product need to work."
    yield "Whether a licence of the product asks for its telemetry, and how it is switched off."
    if not found.versions:
        yield "Where the version of the product stands: no field that was seen looks like it."
    for other in found.other_versions[:5]:
        yield f"Whether {other.field} is the product's version: it was {', '.join(other.values)}."
    if not found.every:
        yield "How often an instance sends: what was seen shows no even pace."
    guessed: dict[str, list[str]] = {}
    for endpoint in found.endpoints:
        if "plausible" in endpoint.reply.how:
            guessed.setdefault(endpoint.reply.how, []).append(endpoint.id)
        values = (one.content.value for one in endpoint.looks)
        opaque = {str(value) for value in values if isinstance(value, Opaque)}
        if opaque:
            yield f"What the bodies of {endpoint.id} hold: {', '.join(sorted(opaque)[:3])}."
        if endpoint.reply.websocket:
            yield f"What the client of {endpoint.id} waits for: its messages are not answered."
    for how, ids in guessed.items():
        yield f"Whether the client is content with the answer of {', '.join(ids[:10])}: {how}."
    for endpoint in found.endpoints:
        named = {host.lower() for host in _URL_HOST.findall(endpoint.reply.body)} - {*found.hosts}
        if named:
            hosts = ", ".join(sorted(named)[:5])
            yield f"Whether the client then sends to {hosts}: the answer of {endpoint.id} names it."


def _beyond(odd: int, of_hosts: Sequence[int]) -> Iterator[str]:
    if odd:
        yield f"What requests mean whose host, method or path no rule can name ({odd:,})."
    if more := sorted(of_hosts, reverse=True)[HOSTS:]:
        of = f"{sum(more):,} to {len(more):,}"
        yield f"What requests to further hosts mean ({of}): {HOSTS} hosts are read."


def _connections(records: Iterable[CaptureRecord], hosts: Sequence[str]) -> list[str]:
    """Sentences about connections that brought no request."""
    why = Counter(
        (record.host, record.reason or record.kind)
        for record in records
        if record.kind in ("tls_rejected", "failed", "spliced") and record.host in hosts
    )
    return [
        f"What {count} connection{'s' if count > 1 else ''} to {host} would have sent: {reason}."
        for (host, reason), count in why.most_common(5)
    ]
