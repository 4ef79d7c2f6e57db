"""What the sidecar's authority may sign: the telemetry hosts, and addresses that lead back here.

Made by `addon.process` from options and profiles, written into the authority by `addon.ca`, and
read from it by `addon.tls`. A client that trusts the authority so trusts it for these names alone.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from cryptography import x509

from app.contract.rules import RuleSet

Network = IPv4Network | IPv6Network

# Nobody's own host has such an address, so dummy addresses are chosen from them; a client that
# names no host in its handshake is shown a certificate for the address that it connected to.
_NOBODYS = (
    "127.0.0.0/8", "::1/128",  # loopback
    "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20",  # documents
    "198.18.0.0/15", "2001:2::/48",  # benchmarks
    "100::/64",  # discard
)  # fmt: skip
NOBODYS = tuple(map(ip_network, _NOBODYS))
_NO_HOST = "telemock.invalid"  # a list without any name would allow all


class Constraints(NamedTuple):
    """`hosts` permit the names below them too, as RFC 5280 has it."""

    hosts: frozenset[str]
    networks: tuple[Network, ...] = NOBODYS

    def permits(self, name: str) -> bool:
        """Whether a certificate for this name or address would be believed."""
        try:
            address = ip_address(name)
        except ValueError:
            name = name.lower().rstrip(".")
            return any(name == h or name.endswith("." + h) for h in self.hosts)
        return any(address in network for network in self.networks)

    def covers(self, other: "Constraints") -> bool:
        return all(map(self.permits, other.hosts)) and all(
            _is_within(network, self.networks) for network in other.networks
        )

    def extension(self) -> x509.NameConstraints:
        hosts = sorted(self.hosts) or [_NO_HOST]
        return x509.NameConstraints(
            permitted_subtrees=[
                *map(x509.DNSName, hosts),
                *map(x509.IPAddress, self.networks),
            ],
            excluded_subtrees=None,
        )


def _is_within(network: Network, others: Iterable[Network]) -> bool:
    return any(
        network.version == o.version
        and int(o.network_address) <= int(network.network_address)
        and int(network.broadcast_address) <= int(o.broadcast_address)
        for o in others
    )


def of_certificate(certificate: x509.Certificate) -> Constraints | None:
    """None for one that may sign everything."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None
    permitted = found.permitted_subtrees or []
    return Constraints(
        frozenset(n.value for n in permitted if isinstance(n, x509.DNSName)),
        tuple(ip_network(n.value) for n in permitted if isinstance(n, x509.IPAddress)),
    )


def hosts_of(rules: RuleSet) -> frozenset[str]:
    """Every host of the profiles, of a suffix what stands behind its dot."""
    return frozenset(h.name.lower().strip(".") for p in rules.profiles for h in p.hosts)


def constraints(hosts: Iterable[str], addresses: Iterable[str] = ()) -> Constraints:
    """For these names; `addresses` lead back here too, wherever they were chosen from."""
    own: list[Network] = [ip_network(address) for address in addresses]
    more = [network for network in own if not _is_within(network, NOBODYS)]
    return Constraints(frozenset(h.lower().strip(".") for h in hosts), (*NOBODYS, *more))
