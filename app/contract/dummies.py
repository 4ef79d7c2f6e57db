"""Dummy addresses, which stand for telemetry hosts in an /etc/hosts and lead to the sidecar: the
pool of their ranges, and the choice for a machine or pod.

A range is taken as a whole: if the machine's own network uses any of it, the next one is tried
(`addon.redirect.used` looks; the injector knows only the pod's specification).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NamedTuple

from app.contract.settings import listed, port

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

VERSIONS = (4, 6)
MOST_HOSTS = 250  # with an address of each family
_LEAST = 256  # addresses in a range: for these hosts, and some unused ones
# A route with a shorter prefix is no network of the machine's own: VPNs write "everywhere" as
# 0.0.0.0/1 and 128.0.0.0/1, 2000::/3, or as everything but the private networks.
ROUTE_BITS = 8


class Pooled(NamedTuple):
    """`real`: private networks use it, against its purpose, so that a connection to it may be
    meant."""

    network: Network
    real: bool = False


POOL = (
    Pooled(IPv4Network("192.0.2.0/24")),  # RFC 5737: documentation (TEST-NET-1)
    Pooled(IPv4Network("198.51.100.0/24")),  # RFC 5737 (TEST-NET-2)
    Pooled(IPv4Network("203.0.113.0/24")),  # RFC 5737 (TEST-NET-3)
    Pooled(IPv4Network("198.18.0.0/15"), real=True),  # RFC 2544: benchmarks
    Pooled(IPv6Network("100::/64")),  # RFC 6666: discarded
    Pooled(IPv6Network("2001:db8::/32")),  # RFC 3849: documentation
    Pooled(IPv6Network("3fff::/20")),  # RFC 9637: documentation
    Pooled(IPv6Network("2001:2::/48"), real=True),  # RFC 5180: benchmarks
)
NETWORKS = tuple(pooled.network for pooled in POOL)
DEFAULT = ",".join(map(str, NETWORKS))  # of the settings
SETTING = "TELEMOCK_DUMMY_RANGES"  # of `telemock inject`
CHART_VALUE = "dummyRanges"
PORTS_SETTING = "TELEMOCK_PORTS"
PORTS_WANTED = "HOST:PORT, comma separated"
WANTED = f"networks such as {NETWORKS[1]},{NETWORKS[5]}, comma separated, of IPv4 and of IPv6"


class NoRange(Exception):
    """All ranges of a family are in use; the text names it, such as IPv4."""


def parse(text: str) -> tuple[Network, ...]:
    """The setting's value. Raises ValueError with the expected form."""
    ranges = tuple(map(_network, listed(text)))
    if {network.version for network in ranges} != set(VERSIONS):
        # With one family only, a look-up of the other would go on to DNS and the real address.
        raise ValueError(WANTED)
    return tuple(dict.fromkeys(ranges))


def _network(text: str) -> Network:
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{WANTED}; {text!r} is no network") from None
    wrong = ""
    if "/" not in text or str(ip_address(text.partition("/")[0])) != str(found.network_address):
        wrong = f"is no network: that would be {found}"
    elif found.num_addresses < _LEAST:
        wrong = f"has fewer than {_LEAST} addresses"
    elif found.is_loopback or found.is_multicast or found.is_link_local or int(found[0]) == 0:
        wrong = "has addresses that cannot be redirected"
    elif found.is_global and not any(_within(found, pooled) for pooled in NETWORKS):
        wrong = "has addresses of the Internet, where somebody may be"
    if wrong:
        raise ValueError(f"{WANTED}; {text!r} {wrong}")
    return found


def choose(ranges: Sequence[Network], is_free: Callable[[Network], bool]) -> tuple[Network, ...]:
    """The first free range of each family. Raises NoRange."""
    found = []
    for version in VERSIONS:
        free = next((n for n in ranges if n.version == version and is_free(n)), None)
        if free is None:
            raise NoRange(f"IPv{version}")
        found.append(free)
    return tuple(found)


def assign(hosts: Sequence[str], ranges: Sequence[Network]) -> list[tuple[str, str]]:
    """Pairs of address and host: the n-th host gets the n-th address of each range."""
    return [
        (str(network[number]), host) for number, host in enumerate(hosts, 1) for network in ranges
    ]


def mapped(addresses: Sequence[tuple[str, str]]) -> str:
    """The form of TELEMOCK_HOSTS and TELEMOCK_LOOPBACK: `ADDRESS=HOST,…`."""
    return ",".join(f"{address}={host}" for address, host in addresses)


def with_ports(ports: Mapping[str, Iterable[int]]) -> str:
    """The form of TELEMOCK_PORTS: `HOST:PORT,…`."""
    return ",".join(f"{host}:{port}" for host, of_host in ports.items() for port in of_host)


def parse_ports(text: str) -> dict[str, tuple[int, ...]]:
    """The opposite of `with_ports`. Raises ValueError."""
    found: dict[str, tuple[int, ...]] = {}
    for item in listed(text):
        host, _, number = item.rpartition(":")
        host = host.lower().rstrip(".")
        if not host or not port(number) >= 1 or host.endswith(":"):
            raise ValueError(PORTS_WANTED)
        found[host] = (*found.get(host, ()), int(number))
    return found


def range_of(address: Address, ranges: Sequence[Network]) -> Network:
    """The first range that holds the address, of these or of the pool; else the address itself."""
    known = (*ranges, *NETWORKS)
    return next((network for network in known if _within(address, network)), ip_network(address))


def overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


@lru_cache(4096)  # called for every connection
def is_nobodys(address: str, used: frozenset[str]) -> bool:
    """True if no real host has this address: it is in the pool, but a range that private networks
    use counts only if it holds one of our dummy addresses (`used`)."""
    try:
        number = ip_address(address)
    except ValueError:
        return False
    for network, real in POOL:
        if _within(number, network):
            return not real or any(_within(ip_address(one), network) for one in used)
    return False


def _within(one: Address | Network, network: Network) -> bool:
    if isinstance(one, IPv4Address | IPv6Address):
        return one in network
    return one.version == network.version and one.subnet_of(network)  # type: ignore[arg-type]
