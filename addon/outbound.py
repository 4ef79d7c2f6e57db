"""The way from the sidecar to a real host, of what is forwarded: its address, or the egress proxy.

A part of `addon.sidecar`'s addon: mitmproxy calls it with every connection to a server.
"""

from collections.abc import Callable

from mitmproxy import connection, exceptions, http
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from addon.exchange.exchange import Exchange
from addon.options import Options
from addon.target.dns import Address, Destinations, NotConnected


class Outbound:
    """`names` says whether a profile names a host."""

    def __init__(self, options: Options, dns: Destinations, names: Callable[[str], bool]) -> None:
        self.options, self.dns, self.names = options, dns, names
        self._asked_for: dict[str, Address] = {}  # by server, while it is connected to

    def lead_out(self, exchange: Exchange, flow: http.HTTPFlow) -> None:
        """Reaches the real host through the egress proxy, if there is one."""
        if self.options.egress and exchange.has_profile:
            # A Server of its own: others of the same client may be answered by the mock.
            flow.server_conn = connection.Server(
                address=flow.server_conn.address, via=("http", self.options.egress.address)
            )

    async def server_connect(self, data: ServerConnectionHookData) -> None:
        address, egress = data.server.address, self.options.egress
        if address is None or address in (self.options.app_address, egress and egress.address):
            return
        host, port = address[0], address[1]
        try:
            found = await self.dns.find(host, port, past_hosts_file=self.names(host))
        except NotConnected as e:
            data.server.error = f"{e.reason}: {e}"
            raise exceptions.AddonHalt from None  # mitmproxy's own check would say it vaguely
        if found != (host, port):
            self._asked_for[data.server.id] = (host, port)
            data.server.address = found
        if data.client.alpn == b"h2" and not data.client.tls and not data.server.tls:
            data.server.alpn = b"h2"  # its client knew that it speaks HTTP/2 without TLS

    def http_connect_upstream(self, connect: http.HTTPFlow) -> None:
        """Authenticates the CONNECT request to the egress proxy."""
        if self.options.egress and self.options.egress.authorization:
            connect.request.headers["proxy-authorization"] = self.options.egress.authorization

    def server_connected(self, data: ServerConnectionHookData) -> None:
        # mitmproxy reuses a connection for a request whose address stands here: the host's name.
        # It forbids the change on an open connection, where it would usually be a lie.
        if asked_for := self._asked_for.pop(data.server.id, None):
            data.server.__dict__["address"] = asked_for

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        self._asked_for.pop(data.server.id, None)
