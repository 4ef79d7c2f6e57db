"""TLS towards the clients of telemetry hosts, by Python's ssl module.

Used by `addon.arrive.direct`, and through `addon.mitm.contexts` by mitmproxy, whose own OpenSSL
binding takes several times as long for each read and write.
"""

import contextlib
import ssl
import time
from typing import NoReturn

from OpenSSL import SSL

RECORD = 16 * 1024  # most bytes of content in a TLS record


class Connection:
    """The server's side of TLS, between two memory buffers."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._ended = False  # the client said that it sends no more
        self.sent = self.received = 0  # bytes from the client, and to it
        self.error = ""  # OpenSSL's words for an alert, or for bytes that are not TLS
        self.shaken = 0.0  # time.monotonic() at the end of the handshake
        self.heard = False  # it carried content
        self.answered = False  # it carried a request that was answered
        self._sealed = bytearray()
        self._left: bytes | None = None  # content that was read before mitmproxy took over
        self._shaken = False  # mitmproxy asked for the handshake

    # For `addon.arrive.direct`. Errors are ssl.SSLError.

    def take(self, data: bytes) -> None:
        """Takes bytes from the client."""
        self.sent += len(data)
        self._incoming.write(data)

    def shake(self) -> bool:
        """Continues the handshake; True once it is done."""
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
        """The next content that is complete, b"" for none; then `ended` tells if more may come:
        not after close_notify, an alert, or bytes that are not TLS."""
        # A read takes a whole record, so OpenSSL keeps no rest of it.
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
        """Bytes from the client that nobody has read yet."""
        return self._incoming.pending

    @property
    def resumed(self) -> bool:
        """True if the client resumed a session, and so checked no certificate."""
        return bool(self._ssl.session_reused)

    def seal(self, data: bytes) -> None:
        """Encrypts data for the client, for the next `out`."""
        with contextlib.suppress(ssl.SSLError):  # after close_notify, or an alert
            if len(data) <= RECORD:
                self._ssl.write(data)
                return
            # In pieces: OpenSSL's buffer stays as large as its largest content was.
            view = memoryview(data)
            for begin in range(0, len(data), RECORD):
                self._ssl.write(view[begin : begin + RECORD])
                self._sealed += self._outgoing.read()

    def part(self) -> None:
        """Adds close_notify for the next `out`: so the client knows that nothing is missing."""
        with contextlib.suppress(ssl.SSLError):
            self._ssl.unwrap()

    def out(self) -> bytes:
        """The bytes to send to the client now."""
        data = self._outgoing.read()
        if self._sealed:
            data, self._sealed = bytes(self._sealed) + data, bytearray()
        self.received += len(data)
        return data

    def leave(self, plain: bytes) -> None:
        """Leaves the connection to mitmproxy, which starts anew: it feeds the client's first bytes
        again, which are ignored, and finds the handshake done, with these bytes to read."""
        self._left = plain

    # The methods of an OpenSSL connection that mitmproxy's TLS layer calls; errors are pyOpenSSL's.

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
        # Most calls only ask if there is more, and an ssl exception costs more than this check.
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
    """Raises the error in the form and words that mitmproxy's layer looks for."""
    raise SSL.Error([("SSL routines", "", said(error))]) from None


def said(error: ssl.SSLError) -> str:
    """OpenSSL's words for the error."""
    return (error.reason or str(error)).replace("_", " ").lower()
