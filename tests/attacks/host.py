"""A real host that is as hostile as a client: each path is a way to answer without end."""

import contextlib
import functools
import socket
import ssl
import struct
import zlib

from tests.peers import Listener, Reader

MIB = 1024 * 1024
ACCEPT = "Sec-WebSocket-Accept: {}\r\n"


class HostileHost(Listener):
    """`most` bounds what one answer sends, in bytes."""

    def __init__(self, context: ssl.SSLContext, most: int = 150 * MIB) -> None:
        self.most = most
        super().__init__(context)

    def connected(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        reader = Reader(connection)
        with contextlib.suppress(TimeoutError):
            while True:
                head = reader.until(b"\r\n\r\n")
                path = head.split(b" ")[1].split(b"?")[0].strip(b"/").decode("latin-1")
                reader.body(head, len)
                getattr(self, f"do_{path}", self.plain)(connection, head)

    def plain(self, connection: socket.socket, head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nreal\n")

    def do_hang(self, connection: socket.socket, head: bytes) -> None:
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                pass
        raise EOFError

    def _without_end(self, connection: socket.socket, begin: bytes, piece: bytes) -> None:
        connection.sendall(begin)
        for _ in range(self.most // len(piece)):
            connection.sendall(piece)
        raise EOFError

    def do_header(self, connection: socket.socket, head: bytes) -> None:
        self._without_end(connection, b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536)

    def do_cut(self, connection: socket.socket, head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: secret" + b"x" * 100_000)
        raise EOFError

    def do_fields(self, connection: socket.socket, head: bytes) -> None:
        lines = b"".join(b"x-%d: %d\r\n" % (n, n) for n in range(300_000))
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + lines + b"content-length: 2\r\n\r\nok")

    def do_interim(self, connection: socket.socket, head: bytes) -> None:
        piece = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 1000
        self._without_end(connection, b"", piece)

    def do_extension(self, connection: socket.socket, head: bytes) -> None:
        begin = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;"
        self._without_end(connection, begin, b"x" * 65536)

    def do_trailers(self, connection: socket.socket, head: bytes) -> None:
        begin = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
        self._without_end(connection, begin, b"a: b\r\n" * 10_000)

    def do_download(self, connection: socket.socket, head: bytes) -> None:
        begin = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (self.most // 65536 * 65536)
        self._without_end(connection, begin, b"d" * 65536)

    def do_websocket(self, connection: socket.socket, head: bytes) -> None:
        upgrade(connection, head)
        self.do_hang(connection, head)

    def do_bomb(self, connection: socket.socket, head: bytes) -> None:
        upgrade(connection, head)
        connection.sendall(bomb(masked=False))
        self.do_hang(connection, head)


def upgrade(connection: socket.socket, head: bytes) -> None:
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )


@functools.cache
def bomb(size: int = 650 * MIB, *, masked: bool) -> bytes:
    """One compressed WebSocket message of about a thousandth of `size`. Beyond its window the
    stream of equal bytes repeats itself, so that little of it must be compressed."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    part = deflate.compress(bytes(MIB)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return frame(part * (size // MIB), masked=masked, first=0xC2)


def frame(content: bytes, *, masked: bool, first: int) -> bytes:
    """`first`: the flags and the opcode. The mask is zero, so the content stays as it is."""
    mask = 0x80 if masked else 0
    size = len(content)
    if size < 126:
        head = struct.pack("!BB", first, mask | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, mask | 126, size)
    else:
        head = struct.pack("!BBQ", first, mask | 127, size)
    return head + (bytes(4) if masked else b"") + content
