"""The telemetry hosts of a pod, and the addresses that stand for them in its /etc/hosts."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.contract import names
from app.contract.rules import Profile
from app.inject.reasons import Reason, reason
from app.inject.settings import Redirect

_CAP = 250  # of 192.0.2.1 to .254 and of 127.0.0.2 to .255
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")  # what the API server takes


class Hosts(NamedTuple):
    """Host i of `named` has number i + 1, in both families."""

    named: tuple[str, ...]
    reasons: tuple[Reason, ...]


def chosen(profiles: Sequence[Profile], spec: Mapping[str, Any], redirect: Redirect) -> Hosts:
    """The hosts of the profiles that this pod's /etc/hosts can redirect, in their order."""
    reasons = []
    exact = dict.fromkeys(h.name for p in profiles for h in p.hosts if not h.suffix)
    suffixes = dict.fromkeys(h.name for p in profiles for h in p.hosts if h.suffix)
    if suffixes and redirect != "all":
        reasons.append(reason("suffix_host", ", ".join(suffixes)))
    own = {
        name.lower().rstrip(".")
        for alias in spec.get("hostAliases") or ()
        for name in alias.get("hostnames") or ()
    }
    if taken := [name for name in exact if name in own]:
        reasons.append(reason("own_host_alias", ", ".join(taken)))
    free = [name for name in exact if name not in own and _HOST.fullmatch(name)]
    if more := free[_CAP:]:
        reasons.append(reason("too_many_hosts", ", ".join(more)))
    return Hosts(tuple(free[:_CAP]), tuple(reasons))


def dummies(hosts: Sequence[str]) -> list[tuple[str, str]]:
    """Addresses that are never assigned, one of each family per host."""
    return [
        (f"{prefix}{number}", host)
        for number, host in enumerate(hosts, 1)
        for prefix in (names.DUMMY_IPV4, names.DUMMY_IPV6)
    ]


def loopbacks(hosts: Sequence[str]) -> list[tuple[str, str]]:
    """IPv4 addresses that the sidecar listens on. In IPv6 there is one for all hosts, see
    `aliases`: which of them is meant shows in the connection."""
    return [(f"{names.LOOPBACK_IPV4}{number}", host) for number, host in enumerate(hosts, 2)]


def aliases(hosts: Sequence[str], redirect: Redirect) -> list[dict[str, Any]]:
    """Entries of `hostAliases`. Both families always: else a look-up of the other one would go on
    to DNS and find the real address."""
    if redirect != "loopback":
        return [{"ip": address, "hostnames": [host]} for address, host in dummies(hosts)]
    each = [{"ip": address, "hostnames": [host]} for address, host in loopbacks(hosts)]
    return [*each, {"ip": names.LOOPBACK_IPV6, "hostnames": list(hosts)}]


def mapped(addresses: Sequence[tuple[str, str]]) -> str:
    """`ADDRESS=HOST,…`, as the sidecar's settings want it."""
    return ",".join(f"{address}={host}" for address, host in addresses)
