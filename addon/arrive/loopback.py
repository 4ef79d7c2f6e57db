"""Listening where the telemetry hosts are in /etc/hosts, on loopback addresses: the redirect that
needs no privilege.

`addon.process` asks for `modes` and, once the proxy listens, for `prove`. Importing this makes the
mode known to mitmproxy.
"""

import asyncio
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from mitmproxy import ctx
from mitmproxy.proxy import layer, layers, mode_servers, mode_specs
from mitmproxy.proxy.context import Context

from addon.arrive.accept import Gate, Listener
from addon.target.dns import Address
from app.contract.names import LOOPBACK_IPV6, LOOPBACK_MAPPED

PORTS = (80, 443)
PROOF_SECONDS = 5.0

_awaited: dict[Address, asyncio.Future[None]] = {}  # by the client's end of our own connections


@dataclass(frozen=True, repr=False)
class LoopbackMode(mode_specs.ProxyMode):
    """A connection means the host that its address stands for, or that it names itself."""

    description = "Loopback proxy"
    transport_protocol = "tcp"

    def __post_init__(self) -> None:
        if self.data:
            raise ValueError("mode loopback takes no argument")


class LoopbackInstance(mode_servers.AsyncioServerInstance[LoopbackMode]):
    def make_top_layer(self, context: Context) -> layer.Layer:
        """Called once for each connection that is mitmproxy's, before anything is read."""
        context.server.address = context.client.sockname[:2]
        return layers.modes.TransparentProxy(context)

    async def listen(self, host: str, port: int) -> list[Any]:
        gate: Gate = ctx.master.addons.get("connections").gate
        return [Listener(host, port, partial(self._enter, gate))]

    def _enter(self, gate: Gate, client: socket.socket, peer: Address) -> None:
        proof = _awaited.get(peer)
        if proof is not None and not proof.done():
            proof.set_result(None)
        gate.keeper.arrived(counted=proof is None)
        if proof is not None:
            client.close()
            return
        gate.admit(client, peer, client.getsockname()[:2], self.handle_stream)


class NotProved(OSError):
    """The text is meant for people, whole."""


def addresses(hosts: Mapping[str, str], *, ipv6: bool) -> list[Address]:
    """Where to listen: on their addresses, and on those that all hosts share."""
    shared = [LOOPBACK_MAPPED, *([LOOPBACK_IPV6] if ipv6 else [])]
    return [(address, port) for address in dict.fromkeys([*hosts, *shared]) for port in PORTS]


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
