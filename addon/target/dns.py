"""Resolves a host for a connection to it: by TELEMOCK_RESOLVE, else by DNS without /etc/hosts.

Used by `addon.outbound` in mitmproxy's `server_connect` hook. In a pod /etc/hosts maps telemetry
hosts to the redirect's dummy addresses, which lead back here; so their names are looked up in DNS
itself.
"""

import asyncio
import ipaddress
import re
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from mitmproxy_rs.dns import DnsResolver

from app.contract.dummies import ROUTE_BITS, is_nobodys
from app.contract.hosts import is_address
from app.contract.record import REASONS

Address = tuple[str, int]
Ends = tuple[Address, Address]  # of a connection: the client's, and where it was going
_GETROUTE, _REQUEST, _FIB_MATCH, _DST = 26, 1, 0x2000, 1  # of Linux' rtnetlink


_WHY = re.compile(r"(?:Connection killed: )?(\w+): (.*)", re.DOTALL)


class NotConnected(Exception):
    """A destination that must not be connected to. `reason` is an id in REASONS."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Destinations:
    """Resolves a host for a connection to it. `own` gives the addresses this process listens on.
    `ports`: the hosts of addresses that stand for several, by port."""

    def __init__(
        self,
        resolve: Mapping[Address, Address],
        hosts: Mapping[str, str],
        own: Callable[[], Iterable[Address]],
        ports: Mapping[Address, str] = MappingProxyType({}),
    ) -> None:
        self._resolve = resolve
        self._ports = ports
        self._hosts = hosts
        self._aliased = frozenset(hosts.values())
        self._dummies = frozenset(filter(is_address, hosts))
        self._own = own
        self._resolver: DnsResolver | None = None

    def stands_for(self, destination: Address) -> str:
        """The telemetry host that a dummy address stands for, "" for another address."""
        return self._hosts.get(destination[0]) or self._ports.get(destination, "")

    def simple(self, destination: Address) -> bool:
        """True if a connection to this address goes there as it is: `find` would neither refuse nor
        replace it."""
        address, port = destination
        return (
            destination not in self._resolve
            and not self.is_dummy(address)
            and all(number != port for _, number, *_ in self._own())
        )

    async def find(self, host: str, port: int, *, past_hosts_file: bool) -> Address:
        """The address to connect to.

        Raises Refused for a dummy address, for this process' own listeners and for a name without
        an address in DNS. A name that is not `past_hosts_file`, and for which no dummy stands, is
        returned as it is.
        """
        given = self._resolve.get((host.lower().rstrip("."), port))
        if given is not None:
            return given
        past_hosts_file = past_hosts_file or host in self._aliased
        if is_address(host) or not past_hosts_file:
            address = host
        else:
            address = await self._lookup(host)
        if self.is_dummy(address):
            raise NotConnected("loop", f"{address} is a dummy address, which leads nowhere")
        await self._refuse_own(address, port)
        return address, port

    def is_dummy(self, address: str) -> bool:
        """True if the address leads back here, or nowhere. A machine's own network may use one of
        the pool's ranges; the dummies then come from another one, and its hosts are real."""
        if address in self._hosts:
            return True
        return is_nobodys(address, self._dummies) and not has_own_route(address)

    async def _lookup(self, host: str) -> str:
        if self._resolver is None:
            self._resolver = DnsResolver(use_hosts_file=False)
        try:
            found = await self._resolver.lookup_ip(host)
        except OSError as e:
            raise NotConnected("upstream_unreachable", f"DNS does not know {host}: {e}") from None
        usable = [a for a in found if not self.is_dummy(a)]
        if not usable:
            raise NotConnected("loop", f"DNS gives {host} only dummy addresses")
        return next(filter(has_route, usable), usable[0])

    async def _refuse_own(self, host: str, port: int) -> None:
        own = {address for address, number, *_ in self._own() if number == port}
        if not own:
            return
        addresses = {host}
        if not is_address(host):
            try:
                found = await asyncio.get_running_loop().getaddrinfo(host, port)
            except OSError:
                return  # the connection will fail in the same way, and report it
            addresses = {str(entry[4][0]) for entry in found}
        if any(a in own or is_local(a) for a in addresses):
            raise NotConnected("loop", f"{host} port {port} is this proxy itself")


def has_route(address: str) -> bool:
    """True if the kernel has a route to the address; nothing is sent."""
    return _allowed(address, lambda probe: probe.connect((address, 9)))


def _allowed(address: str, step: Callable[[socket.socket], None]) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            step(probe)
        except OSError:
            return False
    return True


def has_own_route(address: str) -> bool:
    """True if the kernel has a more specific route to the address than the default route."""
    if not hasattr(socket, "AF_NETLINK"):  # macOS
        return False
    packed = ipaddress.ip_address(address).packed
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    question = struct.pack("=8BI", family, 8 * len(packed), *(0,) * 6, _FIB_MATCH)
    question += struct.pack("=HH", 4 + len(packed), _DST) + packed
    header = struct.pack("=IHHII", 16 + len(question), _GETROUTE, _REQUEST, 0, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
            kernel.settimeout(1)
            kernel.send(header + question)
            answer = kernel.recv(8192)
    except OSError:
        return False
    kind = int.from_bytes(answer[4:6], sys.byteorder)
    # An answer of another kind is an error: there is no route at all.
    return kind == _GETROUTE - 2 and answer[17] >= ROUTE_BITS


def is_local(address: str) -> bool:
    """True if the address is one of this machine's: no other can be bound."""
    return _allowed(address, lambda probe: probe.bind((address, 0)))


def why(error: str) -> tuple[str, str] | None:
    """The reason and detail that `server_connect` wrote into mitmproxy's error text, None for
    another text."""
    found = _WHY.match(error)
    return (found[1], found[2]) if found and found[1] in REASONS else None
