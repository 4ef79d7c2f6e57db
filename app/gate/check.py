"""Checks behaviour against a contract: the violations, each with its kind, count and an example.

Pure: called for stored captures by `telemock contract check`, and for one run by `telemock run`.
Nothing in a violation is a value that was sent.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import get_args

from app.contract.classes import TELLING, in_order, members
from app.contract.instant import iso
from app.gate.behaviour import Behaviour, EndpointSight, FieldSight, Sight
from app.gate.contract_file import Contract, ContractEndpoint, ContractField, Endpoint, seconds
from app.gate.result import Kind, Violation
from app.report.compare import share
from app.report.coverage import count, listed
from app.store import OTHER

_HARMLESS = frozenset(("null", "empty"))  # types that carry nothing, wherever they stand
_OFTEN = 2  # times the planned pace, from which on it is a violation
_PACED, _SURE = 5, 30  # gaps between requests that tell a pace: over a long time, over any


def check(contract: Contract, seen: Behaviour) -> list[Violation]:
    """In the contract's order of kinds, hosts and endpoints."""
    plans = {one.key: one for one in contract.endpoints}
    found = [
        _violation("unplanned_host", (host, "", ""), sight, "the contract does not name this host")
        for host, sight in sorted(seen.hosts.items()) if not names_of(host, contract.hosts)
    ]  # fmt: skip
    for key, endpoint in sorted(seen.endpoints.items()):
        if not names_of(key[0], contract.hosts):
            continue  # said above
        if (plan := _plan(key, plans, contract.hosts)) is None:
            says = "the contract does not name this endpoint"
            found.append(_violation("unplanned_endpoint", key, endpoint.sight, says))
        else:
            found += _endpoint(key, plan, endpoint)
    order = get_args(Kind)
    return sorted(found, key=lambda v: order.index(v.kind))


def unchecked(contract: Contract, seen: Behaviour) -> list[str]:
    """Sentences on what was sent and could not be checked: where there is one, a check without a
    violation proves nothing."""
    endpoints = seen.endpoints.values()
    plans = {one.key: one for one in contract.endpoints}
    unread = sum(
        max(0, one.sight.count - one.read) for key, one in seen.endpoints.items()
        if (plan := _plan(key, plans, contract.hosts)) and plan.fields is not None
    )  # fmt: skip
    requests = sum(one.sight.count for one in endpoints)
    told = [
        (unread, "request", "not looked into"),
        (sum(sight.count for sight in seen.hosts.values()) - requests - seen.messages, "connection",
         "not opened, or carried no request"),
        (seen.messages, "WebSocket message", "not looked into"),
        (sum(one.partly for one in endpoints), "request",
         "not kept whole: the rest of its fields is not known"),
        (sum(one.unlisted for one in endpoints), "field", "over the limits of what is listed"),
        (sum(one.events[OTHER].count for one in endpoints if OTHER in one.events), "event",
         "over the limits of what is listed"),
    ]  # fmt: skip
    return _sentences(told)


def left_open(contract: Contract, seen: Behaviour) -> list[str]:
    """Sentences on what the contract leaves open."""
    fields = [field for one in contract.endpoints for field in (one.fields or {}).values()]
    few = sum(field.presence == "few" for field in fields)
    unjudged = sum(one.fields is None for one in contract.endpoints)
    any_event = sum(OTHER in one.events for one in contract.endpoints)
    plans = {one.key: one for one in contract.endpoints}
    called = {plan.key for key in seen.endpoints if (plan := _plan(key, plans, contract.hosts))}
    told = [
        (len(plans.keys() - called), "planned endpoint", "not seen"),
        (few, "field", "in all requests of too few to be required (presence: few)"),
        (unjudged, "endpoint", "planned without `fields`, which are not judged"),
        (any_event, "endpoint", f"planned with any events: {OTHER}"),
    ]
    return _sentences(told)


def kept(contract: Contract, seen: Behaviour, found: Iterable[Violation]) -> list[Endpoint]:
    """The planned endpoints that were called, and with nothing but what is planned."""
    plans = {one.key: one for one in contract.endpoints}
    broken = {(one.host, one.method, one.endpoint) for one in found}
    called: dict[Endpoint, bool] = {}
    for key in seen.endpoints:
        if plan := _plan(key, plans, contract.hosts):
            called[plan.key] = called.get(plan.key, True) and key not in broken
    return [key for key in plans if called.get(key)]


def _sentences(told: Iterable[tuple[int, str, str]]) -> list[str]:
    return [
        f"{count(number, what, f'{what}s')} {'was' if number == 1 else 'were'} {says}"
        for number, what, says in told
        if number > 0
    ]


def declared(contract: Contract, seen: Behaviour) -> str:
    """A sentence on what of the sent fields the vendor documents, "" where the contract does not
    say."""
    if contract.documented_none:
        return contract.documented_none
    told: dict[bool, set[str]] = {True: set(), False: set()}
    plans = {one.key: one for one in contract.endpoints}
    sent: dict[Endpoint, set[str]] = {}
    for key, endpoint in seen.endpoints.items():
        if plan := _plan(key, plans, contract.hosts):
            sent.setdefault(plan.key, set()).update(endpoint.fields)
    for one in contract.endpoints:
        for path, field in (one.fields or {}).items():
            if field.documented is not None and path in sent.get(one.key, ()):
                told[field.documented].add(path)
    if not any((*told.values(), contract.documented_unseen)):
        return ""
    beside = f": {listed(sorted(told[False]))}" if told[False] else ""
    return (
        f"{count(len(told[True]), 'field', 'fields')} documented and seen, {len(told[False])} seen "
        f"but not documented{beside}; {len(contract.documented_unseen)} documented but never seen"
    )


def names_of(host: str, planned: Collection[str]) -> list[str]:
    """The contract's names for this host, the narrowest first."""
    found = {name for name in planned if name == host or (name[0] == "." and host.endswith(name))}
    return sorted(found, key=len, reverse=True)


def _plan(
    key: Endpoint, plans: Mapping[Endpoint, ContractEndpoint], hosts: Collection[str]
) -> ContractEndpoint | None:
    host, method, route = key
    found = (plans.get((name, method, route)) for name in names_of(host, hosts))
    return next(filter(None, found), None)


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
    if (lacking := seen.read - carrying - seen.partly - seen.unlisted) > 0:
        examples = (id for paths, id in seen.samples.items() if path not in paths)
        found.add(lacking, seen.sight.first_ns, seen.sight.last_ns, next(examples, ""))
    return found


def _field(
    key: Endpoint, path: str, wanted: ContractField, seen: FieldSight, read: int
) -> Iterator[Violation]:
    types, classes = Sight(), Sight()
    names = [*wanted.classes, *([wanted.said] if wanted.said else [])]
    planned = {id for name in names for id in members(name)}
    for kind, sight in seen.kinds.items():
        is_whole = kind.type == "integer" and "number" in wanted.types
        if kind.type not in wanted.types and kind.type not in _HARMLESS and not is_whole:
            types.merge(sight)
        if kind.class_ in TELLING and kind.class_ not in planned:
            classes.merge(sight)
    if types.count:
        says = f"planned: {' or '.join(wanted.types)}; sent: {' or '.join(_types(seen))}"
        yield _violation("type", key, types, says, path, read)
    if classes.count:
        found = in_order({kind.class_ for kind in seen.kinds} & TELLING)
        says = f"planned: {' or '.join(names) or 'harmless'}; sent: {' or '.join(found)}"
        yield _violation("class", key, classes, says, path, read)
    elif seen.said in TELLING and seen.said not in planned:
        says = (
            f"planned: {' or '.join(names) or 'harmless'}; a person or the profile says that it is "
            f"{seen.said}"
        )
        yield _violation("class", key, _all(seen), says, path, read)


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
