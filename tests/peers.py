"""Who the sidecar speaks with in its tests: a real host and an app, over real sockets on loopback.

The host reports what reached it, byte for byte; the app keeps records as the real one does and
answers as a test tells it to.
"""

import contextlib
import hashlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import zstandard

from app.contract import rules as r
from app.contract.record import CaptureRecord, decode


class Listener:
    """A TCP server on loopback with a thread for each connection."""

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        family: int = socket.AF_INET,
        port: int = 0,
    ) -> None:
        self._context = context
        self._socket = socket.create_server(
            ("::1" if family == socket.AF_INET6 else "127.0.0.1", port), family=family, backlog=64
        )
        self.port: int = self._socket.getsockname()[1]
        self.accepted = 0
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), connection:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            self._open.add(connection)
            try:
                self.connected(connection)
            finally:
                self._open.discard(connection)
                connection.close()

    def connected(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # ends the thread's accept, and so the port
        self._socket.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Reader:
    """Reads HTTP/1 off a socket without understanding more than it must."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._fill()
        found, _, self._buffer = self._buffer.partition(mark)
        return found + mark

    def exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def some(self) -> bytes:
        if not self._buffer:
            self._fill()
        found, self._buffer = self._buffer, b""
        return found

    def _fill(self) -> None:
        data = self._connection.recv(65536)
        if not data:
            raise EOFError
        self._buffer += data

    def body(self, head: bytes, take: Callable[[bytes], object]) -> None:
        if b"transfer-encoding: chunked" in head.lower():
            while size := int(self.until(b"\r\n"), 16):
                self._exactly(size, take)
                self.until(b"\r\n")
            self.until(b"\r\n")
            return
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                self._exactly(int(line.partition(b":")[2]), take)

    def _exactly(self, size: int, take: Callable[[bytes], object]) -> None:
        while size:
            data = self.some()
            take(data[:size])
            self._buffer = data[size:]
            size -= len(data[:size])


class Host(Listener):
    """Answers every request with what arrived: the raw head, the body's size and hash."""

    extra = b""
    body: bytes | None = None

    def connected(self, connection: socket.socket) -> None:
        reader = Reader(connection)
        while True:
            head = reader.until(b"\r\n\r\n")
            digest, size = hashlib.sha256(), [0]

            def take(data: bytes, digest: Any = digest, size: list[int] = size) -> None:
                digest.update(data)
                size[0] += len(data)

            reader.body(head, take)
            said = {"head": head.decode("latin-1"), "size": size[0], "sha256": digest.hexdigest()}
            body = json.dumps(said).encode() if self.body is None else self.body
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-real: yes\r\n"
                b"content-length: %d\r\n%s\r\n%s" % (len(body), self.extra, body)
            )


class App(Listener):
    """The app: profiles, captures, and a mock that does what `mock` says."""

    def __init__(
        self, bundle: r.Bundle, context: ssl.SSLContext | None = None, port: int = 0
    ) -> None:
        self.bundle = bundle
        self.records: list[CaptureRecord] = []
        self.asked: list[tuple[bytes, bytes]] = []  # head and body of what the mock was asked
        self.mock: Callable[[socket.socket, bytes, bytes], None] = self.answer
        self.tokens: set[bytes] = set()  # that came with a question to the API
        self.presence: list[bytes] = []  # what came with each
        super().__init__(context, port=port)

    def connected(self, connection: socket.socket) -> None:
        reader = Reader(connection)
        while True:
            head = reader.until(b"\r\n\r\n")
            parts: list[bytes] = []
            reader.body(head, parts.append)
            target = head.split(b" ")[1]
            if target.startswith(b"/api/"):
                self.tokens |= set(re.findall(rb"(?mi)^authorization: Bearer (.*?)\r$", head))
                self.presence += re.findall(rb"(?mi)^telemock-presence: (.*?)\r$", head)
            if target == b"/api/v1/profiles":
                self._profiles(connection, head)
            elif target == b"/api/v1/captures":
                self._captures(connection, b"".join(parts))
            else:
                self.asked.append((head, b"".join(parts)))
                self.mock(connection, head, b"".join(parts))

    def _profiles(self, connection: socket.socket, head: bytes) -> None:
        etag = b'"%s"' % hashlib.sha256(r.dump(self.bundle)).hexdigest().encode()
        if etag in head:
            connection.sendall(b"HTTP/1.1 304 Not Modified\r\netag: %s\r\n\r\n" % etag)
        else:
            send(connection, r.dump(self.bundle), headers=b"etag: %s\r\n" % etag)

    def _captures(self, connection: socket.socket, body: bytes) -> None:
        lines = zstandard.ZstdDecompressor().decompressobj().decompress(body).splitlines()
        known = {record.id for record in self.records}
        new = [record for record in map(decode, lines) if record.id not in known]
        self.records += new
        counts = {"stored": len(new), "duplicates": len(lines) - len(new), "refused": []}
        send(connection, json.dumps(counts).encode())

    @staticmethod
    def answer(connection: socket.socket, head: bytes, body: bytes) -> None:
        send(connection, b"from the app\n", bodiless=head.startswith(b"HEAD"))


class Way(Listener):
    """A corporate proxy: takes CONNECT, for whatever host, and leads to `port` here."""

    def __init__(self, port: int) -> None:
        self.to = port
        self.status = b"200 OK"
        self.heads: list[bytes] = []
        super().__init__()

    def connected(self, connection: socket.socket) -> None:
        head = Reader(connection).until(b"\r\n\r\n")
        self.heads.append(head)
        connection.sendall(b"HTTP/1.1 %s\r\n\r\n" % self.status)
        if not self.status.startswith(b"200"):
            return
        with socket.create_connection(("127.0.0.1", self.to)) as far:
            back = threading.Thread(target=pour, args=(far, connection), daemon=True)
            back.start()
            pour(connection, far)
            back.join()


def pour(source: socket.socket, sink: socket.socket) -> None:
    """All bytes, and the end."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def send(
    connection: socket.socket,
    body: bytes,
    status: bytes = b"200 OK",
    headers: bytes = b"",
    *,
    bodiless: bool = False,
) -> None:
    head = b"HTTP/1.1 %s\r\ncontent-length: %d\r\n%s\r\n" % (status, len(body), headers)
    connection.sendall(head + (b"" if bodiless else body))
