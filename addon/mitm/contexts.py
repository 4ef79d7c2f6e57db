"""TLS contexts for the clients of telemetry hosts: kept between connections, one for each name that
clients ask for, so clients can resume their sessions.

Asked by `addon.arrive.direct`, and an addon before mitmproxy's own, which makes key and certificate
ready anew for every connection. `addon.proxy` has those of the profiles' hosts made before the
first connection.
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

from addon.target.dns import Address
from addon.tls.connection import Connection
from addon.tls.constraints import of_certificate
from app.contract import signing
from app.contract.hosts import is_address

MOST_CONTEXTS = 64  # a profile may name hosts by pattern, and clients choose names
_LIFETIME = datetime.timedelta(days=199)  # of a certificate; longer ones are refused by some
_RENEWED_S = 60 * 86_400.0  # after which all are made anew

# In this order where a client offers several; others are answered without a protocol.
_ALPN = ["h2", "http/1.1", "http/1.0"]


class Contexts:
    """`tls_config` gives the certificates, and serves what is not served here."""

    def __init__(self) -> None:
        self.tls_config = TlsConfig()
        self._made: dict[tuple[str, str], ssl.SSLContext] = {}
        self._until = time.monotonic() + _RENEWED_S
        self._left: dict[Address, Connection] = {}  # by the client's address

    def prepare(self, hosts: Iterable[str]) -> None:
        """Makes the contexts of these hosts."""
        for host in hosts:
            self.of(host, host)

    def of(self, name: str, host: str) -> ssl.SSLContext:
        """For clients that ask for this name, or without one are connected to this address; `host`
        is who they mean."""
        key = name, host
        if time.monotonic() > self._until:  # they would end before the pod does
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
        """The names of the certificate: a client looks for one of them, and takes none with another
        that the authority may not sign for, such as the real address of a host."""
        held = self.tls_config.certstore.default_ca.to_cryptography()
        # Not after its authority's end; mitmproxy counts from two days ago.
        left = held.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
        certs.CERT_EXPIRY = min(_LIFETIME, left + datetime.timedelta(days=1))
        permitted = of_certificate(held)
        if permitted is None:
            return name, host
        if is_address(name) and not permitted.permits(name) and host and not is_address(host):
            name = host
        host = host.rstrip(".")
        if host and not permitted.permits(host):  # what CONNECT named may be another one, too
            host = name
        return name, host

    def leave(self, peer: Address, connection: Connection) -> None:
        """For mitmproxy's connection with this client, which is about to begin."""
        self._left[peer] = connection

    def tls_start_client(self, data: tls.TlsData) -> None:
        client, server = data.context.client, data.context.server
        if left := self._left.pop(client.peername[:2], None):
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
    made.set_ciphers("DEFAULT")  # OpenSSL's, which are more than Python's: old clients call too
    made.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    made.set_alpn_protocols(_ALPN)
    signing.load(made, signing.key_pem(entry.privatekey) + entry.cert.to_pem())
    return made
