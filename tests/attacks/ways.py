"""Attackers' connections, and actions that attacks share."""

import contextlib
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Iterable

from tests.attacks.lab import Lab
from tests.sidecar import HOST

HEAD = b"GET %s HTTP/1.1\r\nHost: cdn.cribl.io\r\n"
POST = b"POST %s HTTP/1.1\r\nHost: cdn.cribl.io\r\n"

Connect = Callable[[], socket.socket]


def plain(lab: Lab) -> socket.socket:
    """A connection as the redirect makes it of port 80, or through CONNECT."""
    if lab.direct:
        return socket.create_connection((lab.direct, 80), 10)
    return lab.sidecar.connect(port=80, tls=False)


def tunnel(lab: Lab) -> socket.socket:
    return lab.sidecar.connect(port=80, tls=False)


def raw(lab: Lab) -> socket.socket:
    """A connection on which TLS is about to begin."""
    if lab.direct:
        return socket.create_connection((lab.direct, 443), 10)
    return lab.sidecar.connect(tls=False)


def opened(lab: Lab) -> socket.socket:
    return lab.sidecar.trust().wrap_socket(raw(lab), server_hostname=HOST)


def many(number: int, connect: Connect, say: bytes = b"") -> list[socket.socket]:
    """Opens up to `number` connections and sends `say` on each; leaves out refused ones."""
    found = []
    for _ in range(number):
        with contextlib.suppress(OSError):
            connection = connect()
            connection.settimeout(5)
            if say:
                connection.sendall(say)
            found.append(connection)
    return found


def hold(connections: Iterable[socket.socket], seconds: float = 1.0) -> None:
    """Keeps them open and reads nothing."""
    time.sleep(seconds)
    for connection in connections:
        connection.close()


def pour(connections: list[socket.socket], piece: bytes, most: int, seconds: float) -> None:
    """Sends to all at once, as fast as they read: up to `most` bytes each, for `seconds`."""
    left = dict.fromkeys(connections, most)
    with selectors.DefaultSelector() as ready:
        for connection in connections:
            connection.setblocking(False)
            ready.register(connection, selectors.EVENT_WRITE)
        end = time.monotonic() + seconds
        while ready.get_map() and time.monotonic() < end:
            for key, _ in ready.select(0.1):
                connection = key.fileobj
                try:
                    left[connection] -= connection.send(piece[: left[connection]])  # type: ignore
                except (BlockingIOError, ssl.SSLWantWriteError):
                    continue
                except OSError:
                    left[connection] = 0  # type: ignore[index]
                if left[connection] <= 0:  # type: ignore[index]
                    ready.unregister(connection)
