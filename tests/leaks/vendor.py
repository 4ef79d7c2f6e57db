"""A vendor's host that keeps every byte that reaches it, decrypted, and tells what it was asked."""

import contextlib
import socket
import ssl
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from tests.peers import Listener

ANSWER = b"the vendor's answer\n"
PREFACE = b"PRI * HTTP/2.0\r\n"


class Vendor(Listener):
    """Speaks HTTP/1.1, and HTTP/2 to who offers it; of anything else it keeps the bytes."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._kept: dict[int, bytearray] = {}  # by the thread, of which each connection has one
        self._lock = threading.Lock()
        super().__init__(context)

    def keep(self, data: bytes) -> None:
        with self._lock:
            self._kept.setdefault(threading.get_ident(), bytearray()).extend(data)

    def saw(self, mark: str) -> bool:
        with self._lock:
            return any(mark.encode() in kept for kept in self._kept.values())

    def take(self) -> bytes:
        """All that came since the last time."""
        with self._lock:
            taken = b"".join(self._kept.values())
            self._kept.clear()
        return taken

    def connected(self, connection: socket.socket) -> None:
        buffer = b""
        while data := connection.recv(1 << 16):
            self.keep(data)
            buffer += data
            if buffer.startswith(PREFACE):
                self._http2(connection, buffer)
                return
            while (answered := whole(buffer)) is not None:
                close = b"connection: close" in buffer[:answered].lower()
                switching = b"upgrade: h2c" in buffer[:answered].lower()
                body = b"" if buffer.startswith(b"HEAD ") else ANSWER
                buffer = buffer[answered:]
                if switching:
                    connection.sendall(
                        b"HTTP/1.1 101 Switching Protocols\r\n"
                        b"connection: upgrade\r\nupgrade: h2c\r\n\r\n"
                    )
                    continue
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nx-vendor: yes\r\ncontent-length: %d\r\n\r\n%s"
                    % (len(ANSWER), body)
                )
                if close:
                    return

    def _http2(self, connection: socket.socket, begun: bytes) -> None:
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        http.initiate_connection()
        data, bodiless = begun, False
        with contextlib.suppress(h2.exceptions.ProtocolError):
            while data:
                for event in http.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        lines = [b"%s: %s" % (bytes(n), bytes(v)) for n, v in event.headers]
                        self.keep(b"\n".join(lines) + b"\n\n")
                        bodiless = (b":method", b"HEAD") in event.headers
                    elif isinstance(event, h2.events.StreamEnded):
                        head = [(":status", "200"), ("x-vendor", "yes")]
                        http.send_headers(event.stream_id, head, end_stream=bodiless)
                        if not bodiless:
                            http.send_data(event.stream_id, ANSWER, end_stream=True)
                connection.sendall(http.data_to_send())
                data = connection.recv(1 << 16)
                self.keep(data)


def whole(buffer: bytes) -> int | None:
    """The size of the request that the bytes begin with, None while it is not all there."""
    head, end, body = buffer.partition(b"\r\n\r\n")
    if not end:
        return None
    lower = head.lower()
    if b"\r\ntransfer-encoding: chunked" in lower:
        at = body.find(b"0\r\n\r\n")
        return None if at < 0 else len(head) + 4 + at + 5
    _, found, rest = lower.partition(b"\r\ncontent-length:")
    size = int(rest.partition(b"\r\n")[0]) if found else 0
    return len(head) + 4 + size if len(body) >= size else None
