"""mitmproxy's proxy modes for our listeners: for redirected connections, through
`addon.arrive.accept`, and on the loopback addresses that stand for telemetry hosts.

Its import registers the modes with mitmproxy. Their instances open their listeners in `listen`, and
serve a connection in `handle_stream`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from mitmproxy import connection
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy import layer, layers, mode_servers, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.server import ConnectionIO

from addon.arrive import loopback
from addon.arrive.accept import Gate, Listener
from addon.exchange.endpoint import endpoint
from addon.target.dns import Address
from app.contract.names import REDIRECTED_PORTS
from app.contract.record import Endpoint


class ProxyServer(Proxyserver):
    """mitmproxy's own, with the `Gate` that accepts connections."""

    name = "proxyserver"  # the name by which mitmproxy finds it

    def __init__(self, gate: Gate) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.gate = gate

    def addresses(self) -> Iterator[Address]:
        """The addresses it listens on."""
        for address in self.listen_addrs():
            yield address[0], address[1]

    def io(self, client: connection.Client) -> ConnectionIO | None:
        """The client's reader and writer, None once the client is gone."""
        handler = self.connections.get(client.id)
        return handler.transports.get(client) if handler else None

    def close(self, client: connection.Client, server: connection.Server) -> None:
        """Closes one of the client's connections to a server."""
        handler = self.connections.get(client.id)
        if handler is not None and server in handler.transports:
            handler.close_connection(server)


class GateMode(mode_specs.TransparentMode):
    """Transparent, but only connections to named hosts reach mitmproxy."""

    description = "Gate"


class GateInstance(mode_servers.AsyncioServerInstance[GateMode]):
    def make_top_layer(self, context: Context) -> layer.Layer:
        return layers.modes.TransparentProxy(context)

    async def listen(self, host: str, port: int) -> list[Any]:
        gate = cast(ProxyServer, self.manager).gate
        enter = partial(gate.enter, serve=self.handle_stream)
        return [Listener(host, port, enter, gate.prefaces)]


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
        """Called once for each connection that goes to mitmproxy, before anything is read."""
        context.server.address = context.client.sockname[:2]
        return layers.modes.TransparentProxy(context)

    async def listen(self, host: str, port: int) -> list[Any]:
        enter = partial(
            loopback.enter, cast(ProxyServer, self.manager).gate, serve=self.handle_stream
        )
        return [Listener(host, port, enter)]


def brought(client: connection.Client) -> bool:
    """True if a redirect brought this connection to a listener of mitmproxy's own; False if
    its client named the listener itself."""
    mode = client.proxy_mode
    if not isinstance(mode, mode_specs.TransparentMode) or isinstance(mode, GateMode):
        return False
    return client.sockname[1] in REDIRECTED_PORTS  # the original destination


def named_the_proxy(client: connection.Client) -> bool:
    """True if this is a client of the explicit proxy."""
    return isinstance(client.proxy_mode, mode_specs.RegularMode)


def destination_of(client: connection.Client, server: connection.Server) -> Endpoint | None:
    """The address that the client connected to, or the one that it named to the proxy."""
    if isinstance(client.proxy_mode, mode_specs.TransparentMode | LoopbackMode):
        return endpoint(client.sockname)
    return endpoint(server.address)
