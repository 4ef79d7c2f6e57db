"""Networks that a machine or a pod may have, in which some ranges for dummy addresses are in use,
and the whole state of a network namespace, to be compared before and after."""

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

# Without addresses that the kernel would make, and change, by itself.
WIRE = (
    "link add eth0 type veth peer name end",
    "link set eth0 addrgenmode none",
    "link set end addrgenmode none",
    "link set eth0 up",
    "link set end up",
)


class Known(NamedTuple):
    """`free`: the first ranges of IPv4 and IPv6 that can be had."""

    commands: tuple[str, ...]
    free: tuple[str, str]
    resolver: str = ""


NETWORKS = {
    "nothing": Known((), ("192.0.2.0/24", "100::/64")),
    "documentation": Known(
        (
            "addr add 192.0.2.2/24 dev eth0",
            "route add default via 192.0.2.1",
            "neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev eth0",
        ),
        ("198.51.100.0/24", "100::/64"),
    ),
    "the address that would be taken, alone": Known(
        ("addr add 192.0.2.1/32 dev eth0", "-6 addr add 100::1/128 dev eth0 nodad"),
        ("198.51.100.0/24", "2001:db8::/32"),
    ),
    "documentation of IPv6": Known(
        (
            "-6 addr add 2001:db8::2/64 dev eth0 nodad",
            "-6 addr add 100::2/64 dev eth0 nodad",
            "-6 route add default via 2001:db8::1",
        ),
        ("192.0.2.0/24", "3fff::/20"),
    ),
    "a resolver beyond the gateway": Known(
        ("addr add 10.0.0.2/24 dev eth0", "route add default via 10.0.0.1"),
        ("198.51.100.0/24", "100::/64"),
        "192.0.2.53",
    ),
    "policy": Known(
        (
            "addr add 10.0.0.2/24 dev eth0",
            "route add default via 10.0.0.1 table 100",
            "rule add from 192.0.2.0/25 table 100",
            "route add 198.51.100.0/24 via 10.0.0.1 table 101",
            "rule add fwmark 1 table 101",
            "-6 rule add to 100::/63 table 100",
        ),
        ("203.0.113.0/24", "2001:db8::/32"),
    ),
    "a route that contains": Known(
        ("addr add 10.0.0.2/24 dev eth0", "route add 192.0.0.0/8 via 10.0.0.1",
         "route add 198.0.0.0/8 via 10.0.0.1", "route add default via 10.0.0.1"),
        ("203.0.113.0/24", "100::/64"),
    ),
    "routes and addresses of somebody's own, on loopback": Known(
        ("route add local 192.0.2.1 dev lo", "addr add 198.51.100.9/32 dev lo",
         "-6 route add local 100::1 dev lo", "-6 addr add 2001:db8::9/128 dev lo nodad"),
        ("203.0.113.0/24", "3fff::/20"),
    ),
    "only the last": Known(
        ("addr add 192.0.2.2/24 dev eth0", "addr add 198.51.100.2/24 dev eth0",
         "addr add 203.0.113.2/24 dev eth0", "-6 addr add 100::2/64 dev eth0 nodad",
         "-6 addr add 2001:db8::2/64 dev eth0 nodad", "-6 addr add 3fff::2/64 dev eth0 nodad"),
        ("198.18.0.0/15", "2001:2::/48"),
    ),
}  # fmt: skip


def files(known: Known) -> dict[str, str]:
    return {"/etc/resolv.conf": f"nameserver {known.resolver}\n" if known.resolver else ""}


def state() -> dict[str, Any]:
    """All that a redirect could have changed."""
    found: dict[str, Any] = {"hosts": Path("/etc/hosts").read_text()}
    for command in (
        "ip -j addr", "ip -j neigh", "ip -4 -j rule", "ip -6 -j rule",
        "ip -4 -j route show table all", "ip -6 -j route show table all", "nft -j list ruleset",
    ):  # fmt: skip
        done = subprocess.run(command.split(), check=True, capture_output=True, text=True)
        found[command] = json.loads(done.stdout or "[]")
    return found


def changed(before: dict[str, Any]) -> list[str]:
    """Yields the differences."""
    now = state()
    return [f"{key}: {before[key]} -> {now[key]}" for key in now if now[key] != before[key]]
