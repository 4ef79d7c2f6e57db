"""Finds the networks that a machine or a pod uses: its addresses, routes, rules, neighbours,
resolvers, names and peers. Dummy addresses must not collide with any of them.

`addon.redirect` calls it before it changes anything.
"""

import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from addon.redirect import routes, tool
from app.contract.dummies import ROUTE_BITS, Address, Network, overlap

# The first one may name a local resolver (systemd, NetworkManager); the others name its upstreams.
_RESOLVERS = tuple(
    map(Path, ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf",
               "/run/NetworkManager/no-stub-resolv.conf"))
)  # fmt: skip
_HOSTS = Path("/etc/hosts")
_ESTABLISHED = "01"  # in /proc/net/tcp
# The keys of a prefix's length in the output of `ip -j`.
_LENGTHS = {"local": "prefixlen", "src": "srclen", "dst": "dstlen"}


class Use(NamedTuple):
    network: Network
    what: str  # "the route 192.0.2.0/24 dev eth0"


def uses(named: Collection[tuple[str, str]] = ()) -> list[Use]:
    """All uses except the redirect's own: its routes, and in /etc/hosts `named`, its addresses and
    hosts. Raises RedirectError.
    """
    ours = {address for address, _ in named}
    found = [*_in_kernel(), *_resolvers(), *_names(named), *_environment(os.environ), *_peers(ours)]
    return [use for use in found if use.network.prefixlen >= ROUTE_BITS]


def colliding(network: Network, found: Sequence[Use]) -> list[str]:
    """The uses that overlap the network."""
    return list(dict.fromkeys(use.what for use in found if overlap(use.network, network)))


def _in_kernel() -> Iterator[Use]:
    for link in _links():
        for row in link.pop("addr_info", ()):
            yield from _said(f"the address {row.get('local')} of {link.get('ifname')}", row)
        yield from _said(f"an end of the tunnel {link.get('ifname')}", link)
    for version in tool.families():
        for row in tool.rows(f"-{version}", "route", "show", "table", "all"):
            if not routes.is_ours(row):
                yield from _said(f"the route {_route(row)}", row)
        for row in tool.rows(f"-{version}", "rule"):
            yield from _said(f"the policy rule {row.get('priority')} (ip rule)", row)
        for more in (("nud", "all"), ("proxy",)):
            for row in tool.rows(f"-{version}", "neigh", "show", *more):
                if row.get("dev") != "lo":  # lo has one for each of our addresses
                    yield from _said(f"the neighbour {row.get('dst')} on {row.get('dev')}", row)


def _links() -> list[dict[str, Any]]:
    try:
        return tool.rows("-d", "addr")  # with tunnels, but not in JSON for all kinds of links
    except tool.RedirectError:
        return tool.rows("addr")


def _said(what: str, row: Mapping[str, Any]) -> Iterator[Use]:
    """Every address and network in a row of `ip -j`, in any role: a destination, a gateway, the
    other end of a tunnel."""
    for key, value in row.items():
        if isinstance(value, str):
            length = row.get(_LENGTHS.get(key, ""))
            yield from _address(what, value if length is None else f"{value}/{length}")
        elif isinstance(value, dict):
            yield from _said(what, value)
        elif isinstance(value, list):
            for one in value:
                yield from _said(what, one if isinstance(one, dict) else {"": one})


def _route(row: Mapping[str, Any]) -> str:
    parts = [row.get("type"), row.get("dst")]
    for key, word in (("gateway", "via"), ("dev", "dev"), ("table", "table")):
        parts += [word, row[key]] if key in row else []
    return " ".join(map(str, filter(None, parts)))


def _resolvers() -> Iterator[Use]:
    for path in _RESOLVERS:
        for words in _lines(path):
            if words[0] == "nameserver":
                for word in words[1:]:
                    yield from _address(f"the resolver {word} of {path}", word)


def _names(named: Collection[tuple[str, str]]) -> Iterator[Use]:
    for words in _lines(_HOSTS):
        for use in _address("", words[0]):
            address = str(use.network.network_address)
            names = [n for n in words[1:] if (address, n.lower().rstrip(".")) not in named]
            if names:
                yield use._replace(what=f"the entry {address} {names[0]} of {_HOSTS}")


def _lines(path: Path) -> Iterator[list[str]]:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        if words := re.split(r"[#;]", line, maxsplit=1)[0].split():
            yield words


def _environment(environ: Mapping[str, str]) -> Iterator[Use]:
    """A proxy, the names in NO_PROXY, the other end of SSH, a pod's API server."""
    for name, value in environ.items():
        if name.startswith("TELEMOCK_"):
            continue
        for word in re.split(r"[\s,;]+", value):
            yield from _address(f"the variable {name}", word)
            if "://" in word:
                yield from _address(f"the variable {name}", _host(word))


def _peers(ours: Collection[str]) -> Iterator[Use]:
    """The peers of open connections, such as this very SSH session."""
    for path in map(Path, ("/proc/net/tcp", "/proc/net/tcp6")):
        for words in _lines(path):
            if len(words) > 3 and words[3] == _ESTABLISHED:
                address = _from_hex(words[2].partition(":")[0])
                if str(address) not in ours:
                    yield Use(ip_network(address), f"the open connection to {address}")


def _from_hex(text: str) -> Address:
    """From 32-bit words, each in the machine's byte order."""
    raw = bytes.fromhex(text)
    words = (raw[i : i + 4] for i in range(0, len(raw), 4))
    address = ip_address(b"".join(w[::-1] if sys.byteorder == "little" else w for w in words))
    return getattr(address, "ipv4_mapped", None) or address


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _address(what: str, text: str) -> Iterator[Use]:
    try:
        yield Use(ip_network(text.partition("%")[0], strict=False), what)
    except ValueError:
        return
