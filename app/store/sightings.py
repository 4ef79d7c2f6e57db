"""Names what a batch of records shows, for the inbox (`app.store.changes`).

A store calls it in the transaction that writes the batch, when something is new or is followed.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from app.contract.classes import SURE, about
from app.store import OTHER
from app.store.changes import SENSITIVE, Thing
from app.store.classes import class_of
from app.store.facts import Observed, Route, Sender, Sum, Traffic
from app.store.inventory import Field

_REFUSED = frozenset(("certificate_refused", "certificate_old"))  # of app.contract.outcomes

# The alphabet of generated names: no vowels, so no words, and no look-alikes.
_RANDOM = "bcdfghjklmnpqrstvwxz2456789"
_POD = re.compile(
    rf"(.+?)(?:(?:-(?:[{_RANDOM}]{{6,10}}|[0-9]{{8,10}}))?-[{_RANDOM}]{{5}}|-[0-9]{{1,5}})"
)


class Sighting(NamedTuple):
    """Some records of a batch that show a thing; `what` says more of a field."""

    thing: Thing
    version: str
    sum: Sum
    what: str = ""


class Batch(NamedTuple):
    """A batch's sums, as `app.store.facts.Sums` makes them."""

    traffic: Mapping[Traffic, Sum]
    senders: Mapping[Sender, Sum]
    observed: Mapping[tuple[Route, str], Observed]


def sightings(batch: Batch) -> Iterator[Sighting]:
    """Names a thing once for each sum that shows it."""
    for traffic, sum in batch.traffic.items():
        profile, host, method, route = traffic.endpoint
        if host not in ("", OTHER):
            yield Sighting(Thing("host", profile, host), traffic.version, sum)
        if method or route:
            yield Sighting(Thing("endpoint", *traffic.endpoint), traffic.version, sum)
        if profile and traffic.version:
            thing = Thing("version", profile, name=traffic.version)
            yield Sighting(thing, traffic.version, sum)
    for sender, sum in batch.senders.items():
        if (refusing := refusal(sender)) is not None:
            yield Sighting(refusing, sender.version, sum)
    for (endpoint, version), observed in batch.observed.items():
        for field, sum in observed.fields().items():
            what = f"{field.type} {field.shape}".rstrip()
            yield Sighting(Thing("field", *endpoint, field.path), version, sum, what)
            if of := sensitive(field):
                yield Sighting(Thing("class", *endpoint, field.path, of), version, sum, of)


@lru_cache(maxsize=16_384)
def sensitive(field: Field) -> str:
    """The sensitive kind of a field's values: their shape, or else the class that the field's name
    gives them; "" of none."""
    if field.shape in SENSITIVE:
        return field.shape
    found = class_of(*field)
    return found.id if about(found.id) and found.confidence >= SURE else ""


def refusal(sender: Sender) -> Thing | None:
    return refused(sender.outcome, *sender.endpoint[:2], sender.namespace, sender.pod)


def refused(outcome: str, profile: str, host: str, namespace: str, pod: str) -> Thing | None:
    """The workload that refused the certificate, if this outcome says so."""
    if outcome not in _REFUSED:
        return None
    who = "/".join(filter(None, (namespace, workload(pod))))
    return Thing("certificate", profile, host, name=who)


@lru_cache(maxsize=4096)
def workload(pod: str) -> str:
    """The pod's name without its controller's suffix: a Deployment's hash and five letters, a
    CronJob's time and five, a DaemonSet's or Job's five, a StatefulSet's number."""
    found = _POD.fullmatch(pod)
    return found[1] if found else pod
