"""Writes the redirect for the kernel: one nft table, as text.

`addon.redirect` loads it.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from app.contract.dummies import Address
from app.contract.names import REDIRECTED_PORTS, SIDECAR_UID

TABLE = "telemock"
# The table is ours if it holds these chains, and nothing beyond these objects.
CHAINS = ("to_sidecar", "refused")
OBJECTS = frozenset(
    (kind, f"{name}{version}")
    for kind, name in (
        ("set", "hosts"),
        ("set", "ports"),
        ("counter", "redirected"),
        ("counter", "all"),
    )
    for version in (4, 6)
) | {("chain", name) for name in CHAINS}
# Before the chains of a mesh (-100), so that it sees the sidecar's connections.
PRIORITY = -101

# `all` spares these: a machine's metadata service, which gives credentials, and link-local.
METADATA = {4: ("169.254.0.0/16",), 6: ("fe80::/10", "fd00:ec2::254", "fd20:ce::254")}

_FAMILIES = {4: ("ip", "ipv4_addr"), 6: ("ip6", "ipv6_addr")}


class Dummy(NamedTuple):
    """An address that is never assigned, and the telemetry host that it stands for."""

    address: Address
    host: str


def ruleset(
    dummies: Sequence[Dummy],
    port: int,
    everything: Sequence[int] = (),
    more: Mapping[str, Sequence[int]] = MappingProxyType({}),
) -> str:
    """nft's input for the whole table: TCP 80 and 443 to the addresses, and the ports that `more`
    has by host, go to `port` on loopback; everything else to them is rejected at once, so that
    HTTP/3 clients fall back to TCP.

    `everything`: IP versions for which all other connections to these ports are redirected, too,
    except local and link-local ones and the sidecar's own, and HTTP/3 is rejected.

    The first two lines make it replace an earlier table, or none, in one transaction.
    """
    parts, redirects, refusals = [], [], []
    ports = ", ".join(map(str, REDIRECTED_PORTS))
    for version, (family, kind) in _FAMILIES.items():
        addresses = sorted({d.address for d in dummies if d.address.version == version}, key=int)
        if not addresses:
            continue
        elements = ", ".join(map(str, addresses))
        parts.append(f"  set hosts{version} {{ type {kind}; elements = {{ {elements} }}; }}")
        parts.append(f"  counter redirected{version} {{ }}")
        to = f"    {family} daddr @hosts{version}"
        redirects.append(
            f"{to} tcp dport {{ {ports} }} counter name redirected{version} redirect to :{port}"
        )
        ends = [f"{d.address} . {p}" for d in dummies if d.address.version == version
                for p in more.get(d.host, ())]  # fmt: skip
        if ends:
            elements = ", ".join(ends)
            type_ = f"{kind} . inet_service"
            parts.append(f"  set ports{version} {{ type {type_}; elements = {{ {elements} }}; }}")
            redirects.append(
                f"    {family} daddr . tcp dport @ports{version} counter name redirected{version}"
                f" redirect to :{port}"
            )
        # Not answers: a client of a dummy address has the same address as its source, too.
        refusals.append(f"{to} ct direction original counter reject")
    if everything:
        # The dummies are routed to lo, too; the rules above took them.
        redirects += ['    oifname "lo" return', f"    meta skuid {SIDECAR_UID} return"]
        refusals.append('    oifname "lo" return')
    for version in everything:
        family, _ = _FAMILIES[version]
        parts.append(f"  counter all{version} {{ }}")
        redirects.append(f"    {family} daddr {{ {', '.join(METADATA[version])} }} return")
        redirects.append(
            f"    meta nfproto ipv{version} tcp dport {{ {ports} }} counter name all{version}"
            f" redirect to :{port}"
        )
        refusals.append(
            f"    meta nfproto ipv{version} udp dport 443 ct direction original counter reject"
        )
    return "\n".join(
        [
            f"add table inet {TABLE}",
            f"delete table inet {TABLE}",
            f"table inet {TABLE} {{",
            *parts,
            f"  chain {CHAINS[0]} {{",
            f"    type nat hook output priority {PRIORITY}; policy accept;",
            *redirects,
            "  }",
            f"  chain {CHAINS[1]} {{",
            "    type filter hook output priority 0; policy accept;",
            *refusals,
            "  }",
            "}",
            "",
        ]
    )
