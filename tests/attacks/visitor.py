"""A well-behaved client in a process of its own: `python -m tests.attacks.visitor CA PROXY HOST`.

It asks for telemetry on a kept connection, on new ones, and for a forwarded page through CONNECT,
and prints how long each answer took, a line each: the time, the kind, the seconds, why it failed.
"""

import http.client
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable

HOST = "cdn.cribl.io"
EACH_S = 0.04
PATIENCE_S = 10.0
AGAIN_S = 1.0

Connect = Callable[[], socket.socket]


def say(kind: str, began: float, error: str = "") -> None:
    now = time.monotonic()
    sys.stdout.write(f"{now} {kind} {now - began:.4f} {error}\n")  # whole, of any thread
    sys.stdout.flush()


def ask(connection: http.client.HTTPSConnection, path: str) -> None:
    connection.request("GET", path)
    answer = connection.getresponse()
    if answer.status != 200 or not answer.read():
        raise OSError(f"answered {answer.status}")


def visit(kind: str, connect: Connect, context: ssl.SSLContext, path: str, *, kept: bool) -> None:
    """A connection that is refused is made again, as any client does, and its time counts on."""
    connection: http.client.HTTPSConnection | None = None
    began = time.monotonic()
    while True:
        fresh = connection is None
        try:
            if connection is None:
                connection = http.client.HTTPSConnection(HOST)
                connection.sock = context.wrap_socket(connect(), server_hostname=HOST)
            ask(connection, path)
        except (OSError, http.client.HTTPException) as e:
            if connection is not None:
                connection.close()
            connection = None
            if fresh and time.monotonic() - began < AGAIN_S:
                continue
            say(kind, began, repr(e).replace(" ", "_"))
        else:
            say(kind, began)
            if not kept:
                connection.close()
                connection = None
        time.sleep(EACH_S)
        began = time.monotonic()


def main(ca: str, proxy: int, address: str) -> None:
    context = ssl.create_default_context(cafile=ca)

    def tunnel() -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", proxy), PATIENCE_S)
        connection.sendall(b"CONNECT %s:443 HTTP/1.1\r\n\r\n" % HOST.encode())
        head = b""
        while b"\r\n\r\n" not in head:
            data = connection.recv(1)
            if not data:
                raise OSError("no tunnel")
            head += data
        return connection

    def direct() -> socket.socket:
        return socket.create_connection((address, 443), PATIENCE_S)

    entrance = direct if address else tunnel
    page = "/telemetry/index.html"
    for kind, connect, path, kept in (
        ("kept", entrance, page, True),
        ("new", entrance, page, False),
        ("forwarded", tunnel, "/pass", True),
    ):
        threading.Thread(
            target=visit, args=(kind, connect, context, path), kwargs={"kept": kept}, daemon=True
        ).start()
    sys.stdin.read()  # until the parent closes it


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")
