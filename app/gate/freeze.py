"""Freezes a version's behaviour as a contract. Called by `telemock contract freeze`.

Counts are in the comment on top alone, so that the next version's file differs only where the
product does.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from app.contract.instant import iso
from app.escape import plain
from app.gate.behaviour import Behaviour, EndpointSight, FieldSight
from app.gate.contract_file import (
    EVENTS,
    UNITS,
    Contract,
    ContractEndpoint,
    ContractField,
    Endpoint,
)
from app.profiles.schema import HostName
from app.report.build import Report
from app.report.coverage import count, listed
from app.report.documented import Declared, compared, no_list, unseen
from app.report.papers import Paper
from app.store import OTHER
from app.version import VERSION

# Requests that all carried a field, from which on it is required: with 30, nine of ten requests
# carry it at 95 % confidence (0.9 ** 29 < 0.05).
REQUIRED_FROM = 30
_PACED = 5  # gaps between two requests of one sender, from which on their mean is written down
_HOST: TypeAdapter[str] = TypeAdapter(HostName)


class Frozen(NamedTuple):
    """`left_out` are sentences: what no contract can hold, and so violates this one."""

    contract: Contract
    left_out: Sequence[str]


def freeze(
    profile: str,
    version: str | None,
    seen: Behaviour,
    required_from: int = REQUIRED_FROM,
    paper: Paper | None = None,
) -> Frozen:
    """`paper` has the vendor's words on what is sent. Raises ValidationError for more than a
    contract holds at all."""
    left_out = []
    said = _said(seen, paper) if paper and paper.documented else None
    hosts = []
    for host in sorted(seen.hosts):
        try:
            hosts.append(_HOST.validate_python(host, strict=True))
        except ValidationError:
            left_out.append(f"host {plain(host)}: it is no name")
    endpoints = []
    for key, sight in sorted(seen.endpoints.items()):
        if key[0] in hosts:
            try:
                endpoints.append(_endpoint(key, sight, required_from, said))
            except ValidationError as e:
                why = e.errors(include_url=False)[0]["msg"] if key[1] else "it is no HTTP"
                left_out.append(f"endpoint {plain(' '.join(key))}: {plain(why)}")
    unlisted = sum(sight.unlisted for sight in seen.endpoints.values())
    if unlisted:
        left_out.append(f"{count(unlisted, 'field', 'fields')} over the limits of what is listed")
    contract = Contract(
        contract=1, profile=profile, version=version, hosts=hosts, endpoints=endpoints,
        documented_unseen=list(map(unseen, said.unseen)) if said else [],
        documented_none=no_list(paper.no_list if paper else ()) or None,
    )  # fmt: skip
    return Frozen(contract, left_out)


def head(found: Frozen, seen: Behaviour, report: Report, required_from: int) -> list[str]:
    """The comment on top: when, of which captures, and what else a reviewer has to know."""
    version = found.contract.version
    senders = [
        "/".join(filter(None, (one.namespace, one.pod))) + (one.image and f" ({one.image})")
        for one in report.workloads
        if version is None or version in one.versions or not one.versions
    ]
    times = [sight.first_ns for sight in seen.hosts.values()]
    until = [sight.last_ns for sight in seen.hosts.values()]
    return [
        f"Frozen {iso(time.time_ns())} by telemock {VERSION}: {seen.captures} captures of "
        f"{iso(min(times, default=0))} to {iso(max(until, default=0))}",
        f"Sent by: {listed(dict.fromkeys(senders)) or 'nobody'}",
        f"Coverage: {report.coverage.verdict}",
        f"presence: always, where all of {required_from} requests or more carried the field",
        *(f"NOT IN IT: {said}" for said in [*found.left_out, *seen.notes]),
    ]


def _said(seen: Behaviour, paper: Paper) -> Declared:
    types: dict[str, set[str]] = {}
    for endpoint in seen.endpoints.values():
        for path, field in endpoint.fields.items():
            types.setdefault(path, set()).update(kind.type for kind in field.kinds)
    return compared(paper, types)


def _endpoint(
    key: Endpoint, seen: EndpointSight, required_from: int, said: Declared | None
) -> ContractEndpoint:
    host, method, route = key
    documented = dict.fromkeys((one.field for one in said.seen), True) if said else {}
    documented |= dict.fromkeys(said.undocumented, False) if said else {}
    fields = {
        path: _field(path, field, seen, required_from, documented.get(path))
        for path, field in seen.fields.items()
    }
    names = sorted(set(seen.events) - {OTHER})
    return ContractEndpoint(
        host=host, method=method, route=route, every=_every(*seen.pace),
        fields=fields if seen.read else None,
        events=sorted(
            names[:EVENTS - 1] + [OTHER] * (OTHER in seen.events or len(names) >= EVENTS)
        ),
    )  # fmt: skip


def _field(
    path: str, seen: FieldSight, of: EndpointSight, required_from: int, documented: bool | None
) -> ContractField:
    """A request that was not kept whole may have carried the field."""
    has_all = seen.requests >= of.read
    whole = of.read if has_all else of.read - of.partly
    if not has_all and seen.requests >= whole:
        has_all = all(path in paths for paths in of.alike or of.samples)
    rate = min(0.99, max(0.01, round(seen.requests / of.read, 2)))
    return ContractField(
        types=sorted({kind.type for kind in seen.kinds}),
        shapes=sorted({kind.shape for kind in seen.kinds} - {""}),
        classes=sorted({kind.class_ for kind in seen.kinds} - {""}),
        said=seen.said or None,
        documented=documented,
        presence="sometimes" if not has_all else "always" if whole >= required_from else "few",
        rate=None if has_all else rate,
    )


def _every(gaps: int, mean: float) -> str | None:
    if gaps < _PACED or mean < 1:
        return None
    unit = next((u for u in reversed(UNITS) if mean >= 2 * UNITS[u]), "s")
    return f"{round(mean / UNITS[unit])}{unit}"
