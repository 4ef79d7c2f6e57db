"""The names that the sidecar's authority may sign: telemetry hosts, and addresses that lead here.

Made by `addon.process` from options and profiles, written into the authority by `addon.tls.ca`, and
read from it by `addon.tls.contexts`. So a client that trusts the authority trusts it for these
names alone.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from cryptography import x509

from app.contract import dummies
from app.contract.dummies import Network
from app.contract.rules import RuleSet

# No real host has such an address; a client without SNI is shown a certificate for the address that
# it connected to.
NOBODYS: tuple[Network, ...] = (
    IPv4Network("127.0.0.0/8"),
    IPv6Network("::1/128"),
    *(pooled.network for pooled in dummies.POOL if not pooled.real),
)
_NO_HOST = "telemock.invalid"  # an empty list would allow all names


class Constraints(NamedTuple):
    """`hosts` also permit the names below them, by RFC 5280."""

    hosts: frozenset[str]
    networks: tuple[Network, ...] = NOBODYS

    def permits(self, name: str) -> bool:
        """True if clients would accept a certificate for this name or address."""
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
    """None for a certificate that may sign everything."""
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
    """Every host of the profiles; for a suffix, the part after its dot."""
    return frozenset(h.name.lower().strip(".") for p in rules.profiles for h in p.hosts)


def constraints(hosts: Iterable[str], addresses: Iterable[str] = ()) -> Constraints:
    """For these names; `addresses` lead back here, too, even outside the known ranges."""
    own: list[Network] = [ip_network(address) for address in addresses]
    more = [network for network in own if not _is_within(network, NOBODYS)]
    return Constraints(frozenset(h.lower().strip(".") for h in hosts), (*NOBODYS, *more))
