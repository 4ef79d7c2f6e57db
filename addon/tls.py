"""One TLS context for each name that clients of telemetry hosts ask for, kept between connections.

An addon before mitmproxy's own, which makes key and certificate ready anew for every connection.
A context that is kept also lets clients resume their sessions. `addon.proxy` has the contexts of
the profiles' hosts made before the first connection.
"""

from collections.abc import Iterable, Sequence

from mitmproxy import tls
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.layers.tls import HTTP_ALPNS
from OpenSSL import SSL

MOST_CONTEXTS = 64  # a profile may name hosts by pattern, and clients choose names


class Contexts:
    """`tls_config` gives the certificates, and serves what is not served here."""

    def __init__(self, tls_config: TlsConfig) -> None:
        self._tls_config = tls_config
        self._made: dict[tuple[str, str], SSL.Context] = {}

    def prepare(self, hosts: Iterable[str], options: Options) -> None:
        """Makes the contexts of these hosts."""
        for host in hosts:
            client = Client(
                peername=("", 0), sockname=("", 443), state=ConnectionState.OPEN,
                timestamp_start=0, sni=host,
            )  # fmt: skip
            context = Context(client, options)
            context.server.address = (host, 443)
            self._context(context)

    def tls_start_client(self, data: tls.TlsData) -> None:
        server = data.context.server
        to_proxy = isinstance(data.context.layers[0], modes.HttpProxy) and not server.address
        if data.ssl_conn is not None or data.is_dtls or server.connected or to_proxy:
            return
        data.ssl_conn = SSL.Connection(self._context(data.context))
        data.ssl_conn.set_accept_state()

    def _context(self, context: Context) -> SSL.Context:
        # What mitmproxy makes a certificate from.
        client, server = context.client, context.server
        names = (client.sni or client.sockname[0], server.address[0] if server.address else "")
        found = self._made.get(names)
        if found is None:
            if len(self._made) >= MOST_CONTEXTS:
                del self._made[next(iter(self._made))]
            found = self._made[names] = self._make(context)
        return found

    def _make(self, context: Context) -> SSL.Context:
        entry = self._tls_config.get_cert(context)
        made = SSL.Context(SSL.TLS_SERVER_METHOD)
        made.set_min_proto_version(SSL.TLS1_2_VERSION)
        made.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE)
        made.use_certificate(entry.cert.to_cryptography())
        made.use_privatekey(entry.privatekey)
        made.set_alpn_select_callback(_choose)
        # Sessions are resumed by tickets, which the clients keep.
        made.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        return made


def _choose(
    connection: SSL.Connection, offered: Sequence[bytes]
) -> bytes | SSL._NoOverlappingProtocols:
    """The client's first protocol that is HTTP."""
    return next((p for p in offered if p in HTTP_ALPNS), SSL.NO_OVERLAPPING_PROTOCOLS)
