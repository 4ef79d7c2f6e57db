"""TLS towards the clients of telemetry hosts, by Python's ssl module.

Used by `addon.arrive.direct`, and through `addon.mitm.contexts` by mitmproxy, whose OpenSSL binding
takes several times as long for each read and write.
"""

import contextlib
import ssl
import time
from typing import NoReturn

from OpenSSL import SSL

RECORD = 16 * 1024  # bytes of content that a TLS record has at most


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
        # A read takes all of a record, so OpenSSL has none of it left.
        if self._ended or not self._incoming.pending:
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
