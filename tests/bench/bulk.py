"""Bulk traffic, as of a product that ships data: blocks of zeros over TCP and TLS.

`python -m tests.bench.bulk sink ADDRESS CERTIFICATE KEY` swallows what arrives on port 80, and
within TLS on port 443; `push HOST PORT STREAMS SECONDS` sends as fast as it can, to port 443 within
TLS, and prints {"bytes", "seconds"} as JSON. One process for each stream, on both sides.
"""

import json
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Sequence

BLOCK = bytes(1 << 20)
TLS_PORT = 443


def sink(address: str, certificate: str, key: str) -> None:
    """Until it is killed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if os.fork():
        _accept(address, TLS_PORT, context)
    else:
        _accept(address, 80, None)


def _accept(address: str, port: int, context: ssl.SSLContext | None) -> None:
    with socket.create_server((address, port), backlog=512) as server:
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _swallow(connection, context)
                os._exit(0)
            connection.close()


def _swallow(connection: socket.socket, context: ssl.SSLContext | None) -> None:
    into = bytearray(1 << 18)
    try:
        if context is not None:
            connection = context.wrap_socket(connection, server_side=True)
        while connection.recv_into(into):
            pass
    except OSError:
        pass  # the sender is gone


def push(host: str, port: int, streams: int, seconds: float) -> dict[str, float]:
    """Bytes that were taken from us, by all streams, and how long the longest took."""
    pipes = []
    for _ in range(streams):
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.write(writing, json.dumps(_stream(host, port, seconds)).encode())
            os._exit(0)
        os.close(writing)
        pipes.append(reading)
    found = []
    for reading in pipes:
        with os.fdopen(reading) as said:
            found.append(json.load(said))
    return {"bytes": sum(x[0] for x in found), "seconds": max(x[1] for x in found)}


def _stream(host: str, port: int, seconds: float) -> tuple[int, float]:
    connection = socket.create_connection((host, port), timeout=20)
    if port == TLS_PORT:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = context.wrap_socket(connection, server_hostname=host)
    sent, begin = 0, time.monotonic()
    while (took := time.monotonic() - begin) < seconds:
        connection.sendall(BLOCK)
        sent += len(BLOCK)
    return sent, took


def main(arguments: Sequence[str]) -> int:
    what, *rest = arguments
    if what == "sink":
        sink(*rest)
    host, port, streams, seconds = rest
    print(json.dumps(push(host, int(port), int(streams), float(seconds))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
