"""Chooses a pod's telemetry hosts, and their dummy addresses for its /etc/hosts."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from itertools import count
from types import MappingProxyType
from typing import Any, NamedTuple

from app.contract import names
from app.contract.dummies import (
    MOST_HOSTS,
    NETWORKS,
    Network,
    NoRange,
    assign,
    choose,
    overlap,
)
from app.contract.rules import Profile, RuleSet
from app.inject.reasons import Reason, reason
from app.inject.settings import Redirect

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")  # names that the API server accepts


class Hosts(NamedTuple):
    """`addresses` are those of `named`, in their order and of both families; for redirect loopback
    see `aliases`. They are empty if no range is free. `ports`: by host, besides 80 and 443."""

    named: tuple[str, ...]
    addresses: tuple[tuple[str, str], ...]
    reasons: tuple[Reason, ...]
    ports: Mapping[str, tuple[int, ...]] = MappingProxyType({})


def chosen(
    profiles: Sequence[Profile],
    spec: Mapping[str, Any],
    redirect: Redirect,
    ranges: Sequence[Network] = NETWORKS,
) -> Hosts:
    """Chooses the profiles' hosts that this pod's /etc/hosts can redirect, in their order."""
    reasons = []
    exact = dict.fromkeys(h.name for p in profiles for h in p.hosts if not h.suffix)
    suffixes = dict.fromkeys(h.name for p in profiles for h in p.hosts if h.suffix)
    if suffixes and redirect != "all":
        reasons.append(reason("suffix_host", ", ".join(suffixes)))
    other = dict.fromkeys(h.name for p in profiles for h in p.hosts if h.suffix and h.ports)
    if other and redirect == "all":
        reasons.append(reason("suffix_ports", ", ".join(other)))
    own = {
        name.lower().rstrip(".")
        for alias in spec.get("hostAliases") or ()
        for name in alias.get("hostnames") or ()
    }
    if taken := [name for name in exact if name in own]:
        reasons.append(reason("own_host_alias", ", ".join(taken)))
    free = [name for name in exact if name not in own and _HOST.fullmatch(name)]
    if more := free[MOST_HOSTS:]:
        reasons.append(reason("too_many_hosts", ", ".join(more)))
    named, theirs = tuple(free[:MOST_HOSTS]), _addresses(spec)
    rules = RuleSet(tuple(profiles))
    ports = {host: of_host for host in named if (of_host := tuple(sorted(rules.ports_of(host))))}
    if redirect == "loopback":
        return Hosts(named, tuple(_loopbacks(named, theirs)), tuple(reasons), ports)
    if not named:
        return Hosts((), (), tuple(reasons))
    try:
        used = choose(ranges, lambda network: not any(overlap(network, one) for one in theirs))
    except NoRange as e:
        listed = ", ".join(str(n) for n in ranges if f"IPv{n.version}" == str(e))
        return Hosts(named, (), (*reasons, reason("no_dummy_range", listed)))
    return Hosts(named, tuple(assign(named, used)), tuple(reasons), ports)


def aliases(addresses: Sequence[tuple[str, str]], redirect: Redirect) -> list[dict[str, Any]]:
    """Builds `hostAliases`, always of both families: a look-up of a missing one would go on to DNS
    and find the real address."""
    each = [{"ip": address, "hostnames": [host]} for address, host in addresses]
    if redirect != "loopback" or not addresses:
        return each
    # One IPv6 address for all hosts: the connection itself tells which host it is for.
    return [*each, {"ip": names.LOOPBACK_IPV6, "hostnames": [host for _, host in addresses]}]


def _loopbacks(hosts: Sequence[str], taken: Sequence[Network]) -> Iterator[tuple[str, str]]:
    """Loopback addresses for the sidecar's listeners, without those that the pod already uses."""
    first = ip_address(names.LOOPBACK_IPV4)
    free = (first + n for n in count() if ip_network(first + n) not in taken)
    return zip(map(str, free), hosts, strict=False)


def _addresses(spec: Mapping[str, Any]) -> list[Network]:
    """Addresses in the pod's specification: in its own hostAliases, and of its resolvers."""
    texts = [alias.get("ip") for alias in spec.get("hostAliases") or ()]
    texts += (spec.get("dnsConfig") or {}).get("nameservers") or ()
    found = []
    for text in texts:
        with contextlib.suppress(ValueError):  # the API server refuses it
            found.append(ip_network(str(text)))
    return found
