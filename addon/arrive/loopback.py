"""Listens on loopback addresses to which /etc/hosts sends the telemetry hosts: the redirect that
needs no privilege.

`addon.process` asks for the addresses and, once the proxy listens, for `prove`.
"""

import asyncio
import socket
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from addon.arrive.accept import Gate, Serve
from addon.target.dns import Address
from app.contract.names import LOOPBACK_IPV6, LOOPBACK_MAPPED, REDIRECTED_PORTS

PROOF_SECONDS = 5.0

_awaited: dict[Address, asyncio.Future[None]] = {}  # by the local end of our own probes


def enter(gate: Gate, client: socket.socket, peer: Address, serve: Serve) -> None:
    """Takes an accepted connection, as `Gate.enter` does."""
    proof = _awaited.get(peer)
    if proof is not None and not proof.done():
        proof.set_result(None)
    gate.events.arrived(counted=proof is None)
    if proof is not None:
        client.close()
        return
    gate.admit(client, peer, client.getsockname()[:2], serve)


class NotProved(OSError):
    """Its text is a whole message for people."""


def addresses(
    hosts: Mapping[str, str],
    more: Mapping[str, Sequence[int]] = MappingProxyType({}),
    *,
    ipv6: bool,
) -> list[Address]:
    """The addresses to listen on: those of the hosts, and those that all hosts share. `more` has
    other ports by host."""
    shared = [LOOPBACK_MAPPED, *([LOOPBACK_IPV6] if ipv6 else [])]
    found = [(a, port) for a in dict.fromkeys([*hosts, *shared]) for port in REDIRECTED_PORTS]
    found += [(a, port) for a, host in hosts.items() for port in more.get(host, ())]
    found += [(a, port) for a in shared for host in hosts.values() for port in more.get(host, ())]
    return list(dict.fromkeys(found))


def of_ports(hosts: Mapping[str, str], more: Mapping[str, Sequence[int]]) -> dict[Address, str]:
    """The hosts of the shared addresses, where a port is one host's alone: a client that takes one
    of them and names no host means that one."""
    found: dict[int, list[str]] = {}
    for host in dict.fromkeys(hosts.values()):
        for port in more.get(host, ()):
            found.setdefault(port, []).append(host)
    return {
        (address, port): of[0]
        for port, of in found.items()
        for address in (LOOPBACK_IPV6, LOOPBACK_MAPPED)
        if len(of) == 1
    }


async def prove(listeners: Iterable[Address]) -> None:
    """Raises NotProved unless a connection to each of them arrives here, and not elsewhere."""
    for address in listeners:
        await _prove(address)


async def _prove(address: Address) -> None:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    where = f"{address[0]} port {address[1]}"
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        probe.bind((LOOPBACK_IPV6 if family == socket.AF_INET6 else LOOPBACK_MAPPED, 0))
        own = probe.getsockname()[:2]
        arrived = _awaited[own] = loop.create_future()
        try:
            async with asyncio.timeout(PROOF_SECONDS):
                await loop.sock_connect(probe, address)
                await arrived
        except TimeoutError:
            raise NotProved(
                f"a connection to {where} did not reach this sidecar within {PROOF_SECONDS:g} s\n\n"
                "hint: something else takes connections to loopback addresses: see nft list ruleset"
            ) from None
        except OSError as e:
            raise NotProved(
                f"a connection to {where} failed: {e.strerror or e}\n\n"
                "hint: something else refuses connections to loopback: see nft list ruleset"
            ) from None
        finally:
            del _awaited[own]
