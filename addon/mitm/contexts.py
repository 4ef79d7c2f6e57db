"""TLS contexts for clients of telemetry hosts: one per name that clients ask for, kept between
connections, so that clients can resume their sessions.

Used by `addon.arrive.direct`, and as an addon before mitmproxy's own, which prepares key and
certificate anew for every connection. `addon.proxy` has those of the profiles' hosts made before
the first connection.
"""

import datetime
import ssl
import time
from collections.abc import Iterable
from typing import Any, cast

from mitmproxy import certs, ctx, tls
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.certs import CertStoreEntry
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes

from addon.target.dns import Ends
from addon.tls.connection import Connection
from addon.tls.constraints import of_certificate
from app.contract import signing
from app.contract.hosts import is_address

MOST_CONTEXTS = 64  # a profile may name hosts by pattern, and clients choose names
_LIFETIME = datetime.timedelta(days=199)  # of a certificate; some clients refuse longer ones
_RENEWED_S = 60 * 86_400.0  # after which all contexts are made anew

# Preferred in this order; a client that offers only others gets no protocol.
_ALPN = ["h2", "http/1.1", "http/1.0"]


class Contexts:
    """`tls_config` gives the certificates, and serves connections that this does not."""

    def __init__(self) -> None:
        self.tls_config = TlsConfig()
        self._made: dict[tuple[str, str], ssl.SSLContext] = {}
        self._until = time.monotonic() + _RENEWED_S
        self._left: dict[Ends, Connection] = {}  # from `leave`

    def prepare(self, hosts: Iterable[str]) -> None:
        """Makes the contexts of these hosts."""
        for host in hosts:
            self.of(host, host)

    def of(self, name: str, host: str) -> ssl.SSLContext:
        """The context for clients that ask for this name, or without SNI connect to this address;
        `host` is the host that they mean."""
        key = name, host
        if time.monotonic() > self._until:  # their certificates would expire before the pod ends
            self._made.clear()
            self.tls_config.certstore.certs.clear()
            self._until = time.monotonic() + _RENEWED_S
        found = self._made.get(key)
        if found is None:
            name, host = self._signed(name, host)
            client = Client(
                peername=("", 0), sockname=(name, 0), state=ConnectionState.OPEN,
                timestamp_start=0, sni=name,
            )  # fmt: skip
            context = Context(client, ctx.options)
            context.server.address = (host, 0)
            if len(self._made) >= MOST_CONTEXTS:
                del self._made[next(iter(self._made))]
            found = self._made[key] = _make(self.tls_config.get_cert(context))
        return found

    def _signed(self, name: str, host: str) -> tuple[str, str]:
        """The names for the certificate. A client needs one of them, and rejects a certificate with
        a name outside the authority's constraints, such as the real address of a host."""
        held = self.tls_config.certstore.default_ca.to_cryptography()
        # It must not outlive its authority; mitmproxy counts from two days ago.
        left = held.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
        certs.CERT_EXPIRY = min(_LIFETIME, left + datetime.timedelta(days=1))
        permitted = of_certificate(held)
        if permitted is None:
            return name, host
        if is_address(name) and not permitted.permits(name) and host and not is_address(host):
            name = host
        host = host.rstrip(".")
        if host and not permitted.permits(host):  # CONNECT may have named a foreign host
            host = name
        return name, host

    def leave(self, ends: Ends, connection: Connection) -> None:
        """Keeps a TLS connection for mitmproxy's between the same ends, which comes next."""
        self._left[ends] = connection

    def tls_start_client(self, data: tls.TlsData) -> None:
        client, server = data.context.client, data.context.server
        if left := self._left.pop((client.peername[:2], client.sockname[:2]), None):
            data.ssl_conn = cast(Any, left)
            return
        to_proxy = isinstance(data.context.layers[0], modes.HttpProxy) and not server.address
        if data.ssl_conn is not None or data.is_dtls or server.connected or to_proxy:
            return
        name, host = client.sni or client.sockname[0], server.address[0] if server.address else ""
        data.ssl_conn = cast(Any, Connection(self.of(name, host)))


def _make(entry: CertStoreEntry) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers("DEFAULT")  # OpenSSL's list, longer than Python's, as some clients are old
    made.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    made.set_alpn_protocols(_ALPN)
    signing.load(made, signing.key_pem(entry.privatekey) + entry.cert.to_pem())
    return made
