"""TLS towards the clients of telemetry hosts, by Python's ssl module.

Used by `addon.arrive.direct`, and an addon before mitmproxy's own, which makes key and certificate
ready anew for every connection, and whose OpenSSL binding takes several times as long for each read
and write. Contexts are kept between connections, one for each name that clients ask for, so clients
can resume their sessions; `addon.proxy` has those of the profiles' hosts made before the first
connection.
"""

import contextlib
import datetime
import os
import ssl
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, cast

from cryptography.hazmat.primitives import serialization
from mitmproxy import certs, ctx, tls
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.certs import CertStoreEntry
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from OpenSSL import SSL

from addon.target.dns import Address, is_address
from addon.tls.constraints import of_certificate

MOST_CONTEXTS = 64  # a profile may name hosts by pattern, and clients choose names
_LIFETIME = datetime.timedelta(days=199)  # of a certificate; longer ones are refused by some
_RENEWED_S = 60 * 86_400.0  # after which all are made anew
RECORD = 16 * 1024  # bytes of content that a TLS record has at most

# In this order where a client offers several; others are answered without a protocol.
_ALPN = ["h2", "http/1.1", "http/1.0"]


class Connection:
    """TLS of the server's side, between two memory buffers."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._ended = False  # the client said that it sends no more
        self.sent = self.received = 0  # bytes of the client's, and to it
        self.error = ""  # what OpenSSL said of an alert, or of what is no TLS
        self.shaken = 0.0  # when the handshake was done, of time.monotonic()
        self.heard = False  # it carried content
        self.answered = False  # it carried a request that was answered
        self._sealed = bytearray()
        self._left: bytes | None = None  # read before mitmproxy took over
        self._shaken = False  # mitmproxy asked for the handshake

    # For `addon.arrive.direct`. Errors are ssl.SSLError.

    def take(self, data: bytes) -> None:
        """Bytes of the client's."""
        self.sent += len(data)
        self._incoming.write(data)

    def shake(self) -> bool:
        """Whether the handshake is done."""
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as e:
            self.error = said(e)
            raise
        self.shaken = self.shaken or time.monotonic()
        return True

    def plain(self) -> bytes:
        """The next of what the client sent and is whole, b"" when there is none; then `ended` says
        whether more will come: not after its goodbye, an alert, or what is no TLS."""
        if self._ended or not (self._incoming.pending or self._ssl.pending()):
            return b""
        try:
            data = self._ssl.read(RECORD)
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as e:
            self.error, data = said(e), b""
        self._ended = not data
        self.heard = self.heard or not self._ended
        return data

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def waiting(self) -> int:
        """Bytes of the client's that nobody asked for yet."""
        return self._incoming.pending

    @property
    def resumed(self) -> bool:
        """Whether the client took up a session, and so looked at no certificate."""
        return bool(self._ssl.session_reused)

    def seal(self, data: bytes) -> None:
        """To be sent to the client, by the next `out`."""
        with contextlib.suppress(ssl.SSLError):  # it has said goodbye, or an alert ended all
            if len(data) <= RECORD:
                self._ssl.write(data)
                return
            # In pieces: OpenSSL's buffer keeps the size of the largest that it had.
            view = memoryview(data)
            for begin in range(0, len(data), RECORD):
                self._ssl.write(view[begin : begin + RECORD])
                self._sealed += self._outgoing.read()

    def part(self) -> None:
        """The goodbye, by the next `out`: so the client knows that nothing is missing."""
        with contextlib.suppress(ssl.SSLError):
            self._ssl.unwrap()

    def out(self) -> bytes:
        """What is to be sent to the client now."""
        data = self._outgoing.read()
        if self._sealed:
            data, self._sealed = bytes(self._sealed) + data, bytearray()
        self.received += len(data)
        return data

    def leave(self, plain: bytes) -> None:
        """From here on mitmproxy's, which begins anew: it is told again how the client began, which
        is not for this connection, and finds the handshake done, with these bytes to read."""
        self._left = plain

    # What mitmproxy's TLS layer asks of an OpenSSL connection; errors are those of pyOpenSSL.

    def get_context(self) -> ssl.SSLContext:
        return self._ssl.context

    def bio_write(self, data: bytes) -> int:
        if self._left is not None and not self._shaken:
            return len(data)
        self.sent += len(data)
        return self._incoming.write(data)

    def bio_read(self, size: int) -> bytes:
        data = self._outgoing.read(size)
        if not data:
            raise SSL.WantReadError
        self.received += len(data)
        return data

    def do_handshake(self) -> None:
        self._shaken = True
        try:
            if not self.shake():
                raise SSL.WantReadError
        except ssl.SSLError as e:
            _refuse(e)

    def recv(self, size: int) -> bytes:
        if self._left:
            data, self._left = self._left, b""
            return data
        # Most calls only ask whether there is more, and an error of ssl's costs more than the look.
        if self._ended:
            raise SSL.ZeroReturnError
        if not self._incoming.pending and not self._ssl.pending():
            raise SSL.WantReadError
        try:
            data = self._ssl.read(min(size, RECORD))
        except ssl.SSLWantReadError:
            raise SSL.WantReadError from None
        except ssl.SSLError as e:
            self.error = said(e)
            _refuse(e)
        if not data:
            self._ended = True
            raise SSL.ZeroReturnError
        self.heard = True
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
    raise SSL.Error([("SSL routines", "", said(error))]) from None


def said(error: ssl.SSLError) -> str:
    """OpenSSL's words."""
    return (error.reason or str(error)).replace("_", " ").lower()


class Contexts:
    """`tls_config` gives the certificates, and serves what is not served here."""

    def __init__(self, tls_config: TlsConfig) -> None:
        self._tls_config = tls_config
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
            self._tls_config.certstore.certs.clear()
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
            found = self._made[key] = _make(self._tls_config.get_cert(context))
        return found

    def _signed(self, name: str, host: str) -> tuple[str, str]:
        """The names of the certificate: a client looks for one of them, and takes none with another
        that the authority may not sign for, such as the real address of a host."""
        held = self._tls_config.certstore.default_ca.to_cryptography()
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
    key = entry.privatekey.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with _file(key + entry.cert.to_pem()) as path:
        made.load_cert_chain(path)
    return made


@contextlib.contextmanager
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
