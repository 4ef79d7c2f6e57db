"""TLS towards the clients of telemetry hosts, by Python's ssl module.

An addon before mitmproxy's own, which makes key and certificate ready anew for every connection,
and whose OpenSSL binding takes several times as long for each read and write. Contexts are kept
between connections, one for each name that clients ask for, so clients can resume their sessions;
`addon.proxy` has those of the profiles' hosts made before the first connection.
"""

import os
import ssl
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, cast

from cryptography.hazmat.primitives import serialization
from mitmproxy import tls
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.certs import CertStoreEntry
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from OpenSSL import SSL

MOST_CONTEXTS = 64  # a profile may name hosts by pattern, and clients choose names
RECORD = 16 * 1024  # bytes of content that a TLS record has at most

# In this order where a client offers several; others are answered without a protocol.
_ALPN = ["h2", "http/1.1", "http/1.0"]


class Connection:
    """What mitmproxy's TLS layer asks of an OpenSSL connection between two memory buffers.

    Errors are those of pyOpenSSL, which the layer knows.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._ended = False  # the client said that it sends no more

    def get_context(self) -> ssl.SSLContext:
        return self._ssl.context

    def bio_write(self, data: bytes) -> int:
        return self._incoming.write(data)

    def bio_read(self, size: int) -> bytes:
        data = self._outgoing.read(size)
        if not data:
            raise SSL.WantReadError
        return data

    def do_handshake(self) -> None:
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            raise SSL.WantReadError from None
        except ssl.SSLError as e:
            _refuse(e)

    def recv(self, size: int) -> bytes:
        # Most calls only ask whether there is more, and an error of ssl's costs more than the look.
        if not self._incoming.pending and not self._ssl.pending():
            raise SSL.WantReadError
        try:
            data = self._ssl.read(min(size, RECORD))
        except ssl.SSLWantReadError:
            raise SSL.WantReadError from None
        except ssl.SSLError as e:
            _refuse(e)
        if not data:
            self._ended = True
            raise SSL.ZeroReturnError
        return data

    def sendall(self, data: bytes) -> int:
        try:
            return self._ssl.write(data)
        except ssl.SSLError as e:
            _refuse(e)

    def get_shutdown(self) -> int:
        return SSL.RECEIVED_SHUTDOWN if self._ended else 0

    def get_alpn_proto_negotiated(self) -> bytes:
        return (self._ssl.selected_alpn_protocol() or "").encode()

    def get_cipher_name(self) -> str | None:
        cipher = self._ssl.cipher()
        return cipher[0] if cipher else None

    def get_protocol_version_name(self) -> str:
        return self._ssl.version() or ""

    # Clients are not asked for certificates.

    def get_peer_cert_chain(self) -> None:
        return None

    def get_peer_certificate(self) -> None:
        return None


def _refuse(error: ssl.SSLError) -> NoReturn:
    """In the form and words that mitmproxy's layer looks for."""
    said = (error.reason or str(error)).replace("_", " ").lower()
    raise SSL.Error([("SSL routines", "", said)]) from None


class Contexts:
    """`tls_config` gives the certificates, and serves what is not served here."""

    def __init__(self, tls_config: TlsConfig) -> None:
        self._tls_config = tls_config
        self._made: dict[tuple[str, str], ssl.SSLContext] = {}

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
        data.ssl_conn = cast(Any, Connection(self._context(data.context)))

    def _context(self, context: Context) -> ssl.SSLContext:
        # What mitmproxy makes a certificate from.
        client, server = context.client, context.server
        names = (client.sni or client.sockname[0], server.address[0] if server.address else "")
        found = self._made.get(names)
        if found is None:
            if len(self._made) >= MOST_CONTEXTS:
                del self._made[next(iter(self._made))]
            found = self._made[names] = _make(self._tls_config.get_cert(context))
        return found


def _make(entry: CertStoreEntry) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers("DEFAULT")  # OpenSSL's, which are more than Python's: old clients call too
    made.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    made.set_alpn_protocols(_ALPN)
    key = entry.privatekey.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with _file(key + entry.cert.to_pem()) as path:
        made.load_cert_chain(path)
    return made


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    """ssl reads keys from files only: one in memory where the system has such, and a key of which
    nothing stays on a disk."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("telemock-leaf", os.MFD_CLOEXEC)
        try:
            os.write(fd, content)
            yield f"/proc/self/fd/{fd}"
        finally:
            os.close(fd)
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            yield file.name
