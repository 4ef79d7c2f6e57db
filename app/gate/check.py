"""Checks behaviour against a contract: the violations, each with its kind, count and an example.

Pure: called for stored captures by `telemock contract check`, and for one run by `telemock run`.
Nothing in a violation is a value that was sent.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Literal, get_args

import msgspec

from app.contract.instant import iso
from app.gate.behaviour import Behaviour, EndpointSight, FieldSight, Sight
from app.gate.contract_file import Contract, ContractEndpoint, ContractField, Endpoint, seconds
from app.report.compare import share
from app.report.coverage import Coverage, count
from app.store import OTHER

Kind = Literal[
    "unplanned_host", "unplanned_endpoint", "unplanned_field", "unplanned_event", "missing_field",
    "type", "class", "cadence",
]  # fmt: skip
KINDS: Mapping[str, str] = {
    "unplanned_host": "a host that the contract does not name",
    "unplanned_endpoint": "an endpoint that the contract does not name",
    "unplanned_field": "a field that the contract does not name",
    "unplanned_event": "an event that the contract does not name",
    "missing_field": "a request without a field that every one must carry",
    "type": "a field of another type than planned",
    "class": "a field whose values are of a class that was not planned",
    "cadence": "requests more than twice as often as planned",
}
_HARMLESS = frozenset(("null", "empty"))  # types that carry nothing, wherever they stand
_OFTEN = 2  # times the planned pace, from which on it is a violation
_PACED, _SURE = 5, 30  # gaps between requests that tell a pace: over a long time, over any


class Violation(msgspec.Struct, kw_only=True, frozen=True):
    """`kind` is an id in KINDS; `field` a field's path, an event's name, or "". `says` is a whole
    sentence. `count` captures of `of`; `example` is the id of one, "" if none is kept."""

    kind: Kind
    host: str
    method: str = ""
    endpoint: str = ""
    field: str = ""
    says: str
    count: int
    of: int
    first_seen: str
    last_seen: str
    example: str = ""


class Checked(msgspec.Struct, kw_only=True):
    """The result of a check, as all outputs print it. `file` is the contract's; `of` says whose
    captures were checked, `captures` how many; `doubts` what could not be told."""

    file: str
    profile: str
    of: str
    captures: int
    planned: list[Endpoint]
    violations: list[Violation]
    doubts: list[str]
    coverage: Coverage | None


def check(contract: Contract, seen: Behaviour) -> list[Violation]:
    """In the contract's order of kinds, hosts and endpoints."""
    planned = {one.key: one for one in contract.endpoints}
    hosts = {host: _named(host, contract.hosts) for host in seen.hosts}
    found = [
        _violation("unplanned_host", (host, "", ""), sight, "the contract does not name this host")
        for host, sight in sorted(seen.hosts.items()) if not hosts[host]
    ]  # fmt: skip
    for key, endpoint in sorted(seen.endpoints.items()):
        host, method, route = key
        if not hosts[host]:
            continue  # said above
        plans = (planned.get((name, method, route)) for name in hosts[host])
        if (plan := next(filter(None, plans), None)) is None:
            says = "the contract does not name this endpoint"
            found.append(_violation("unplanned_endpoint", key, endpoint.sight, says))
        else:
            found += _endpoint(key, plan, endpoint)
    order = get_args(Kind)
    return sorted(found, key=lambda v: order.index(v.kind))


def doubts(contract: Contract, seen: Behaviour) -> list[str]:
    """Sentences on what the check could not tell, none of which is a violation."""
    endpoints = seen.endpoints.values()
    fields = [field for one in contract.endpoints for field in (one.fields or {}).values()]
    few = sum(field.presence == "few" for field in fields)
    called = {(name, *call) for host, *call in seen.endpoints
              for name in _named(host, contract.hosts)}  # fmt: skip
    unseen = sum(one.key not in called for one in contract.endpoints)
    told = [
        (sum(one.partly for one in endpoints), "request",
         "not kept whole: the rest of its fields is not known"),
        (sum(one.unlisted for one in endpoints), "field", "over the limits of what is listed"),
        (unseen, "planned endpoint", "not seen"),
        (few, "field", "in all requests of too few to be required (presence: few)"),
    ]  # fmt: skip
    return [
        f"{count(number, what, f'{what}s')} {'was' if number == 1 else 'were'} {says}"
        for number, what, says in told
        if number
    ]


def _named(host: str, planned: Collection[str]) -> list[str]:
    """The contract's names for this host, the exact one first."""
    suffixes = [name for name in planned if name.startswith(".") and host.endswith(name)]
    return [host, *suffixes] if host in planned else suffixes


def _endpoint(key: Endpoint, plan: ContractEndpoint, seen: EndpointSight) -> Iterator[Violation]:
    if plan.fields is not None:
        for path, field in sorted(seen.fields.items()):
            if (wanted := plan.fields.get(path)) is None:
                says = (
                    f"unplanned: {_kinds(field)}, in {share(field.requests, seen.read)} of requests"
                )
                yield _violation("unplanned_field", key, _all(field), says, path, seen.read)
            else:
                yield from _field(key, path, wanted, field, seen.read)
        for path, wanted in sorted(plan.fields.items()):
            if wanted.presence == "always" and (without := _without(seen, path)).count:
                says = f"every request must carry it; {without.count} of {seen.read} do not"
                yield _violation("missing_field", key, without, says, path, seen.read)
    if OTHER not in plan.events:
        for name, sight in sorted(seen.events.items()):
            if name not in (*plan.events, OTHER):
                says = "the contract does not name this event"
                yield _violation("unplanned_event", key, sight, says, name)
    yield from _cadence(key, plan, seen)


def _without(seen: EndpointSight, path: str) -> Sight:
    """The requests that surely lack a field: one that was not kept whole may have carried it."""
    found = Sight()
    if seen.alike:
        for paths, sight in seen.alike.items():
            if path not in paths:
                found.merge(sight)
        return found
    carrying = seen.fields[path].requests if path in seen.fields else 0
    if (lacking := seen.read - carrying - seen.partly) > 0:
        found.add(lacking, seen.sight.first_ns, seen.sight.last_ns)
    return found


def _field(
    key: Endpoint, path: str, wanted: ContractField, seen: FieldSight, read: int
) -> Iterator[Violation]:
    types, classes = Sight(), Sight()
    for kind, sight in seen.kinds.items():
        is_whole = kind.type == "integer" and "number" in wanted.types
        if kind.type not in wanted.types and kind.type not in _HARMLESS and not is_whole:
            types.merge(sight)
        if kind.class_ and kind.class_ not in wanted.classes:
            classes.merge(sight)
    if types.count:
        says = f"planned: {' or '.join(wanted.types)}; sent: {' or '.join(_types(seen))}"
        yield _violation("type", key, types, says, path, read)
    if classes.count:
        found = sorted({kind.class_ for kind in seen.kinds} - {""})
        says = f"planned: {' or '.join(wanted.classes) or 'harmless'}; sent: {' or '.join(found)}"
        yield _violation("class", key, classes, says, path, read)


def _cadence(key: Endpoint, plan: ContractEndpoint, seen: EndpointSight) -> Iterator[Violation]:
    """A pace is told by gaps that last twice the planned time together, or by very many."""
    gaps, mean = seen.pace
    if plan.every is None or gaps < _PACED:
        return
    every = seconds(plan.every)
    if mean * _OFTEN < every and (mean * gaps >= _OFTEN * every or gaps >= _SURE):
        says = f"planned: every {plan.every} from one sender; sent: every {mean:.3g}s"
        yield _violation("cadence", key, seen.sight, says)


def _all(field: FieldSight) -> Sight:
    found = Sight()
    for sight in field.kinds.values():
        found.merge(sight)
    found.count = field.requests
    return found


def _types(field: FieldSight) -> list[str]:
    return sorted({kind.type for kind in field.kinds})


def _kinds(field: FieldSight) -> str:
    said = {f"{k.type}{f' ({k.shape})' if k.shape else ''}" for k in field.kinds}
    return " or ".join(sorted(said))


def _violation(
    kind: Kind, key: Endpoint, sight: Sight, says: str, field: str = "", of: int = 0
) -> Violation:
    host, method, route = key
    return Violation(
        kind=kind, host=host, method=method, endpoint=route, field=field, says=says,
        count=sight.count, of=of or sight.count, first_seen=iso(sight.first_ns),
        last_seen=iso(sight.last_ns), example=sight.example,
    )  # fmt: skip
