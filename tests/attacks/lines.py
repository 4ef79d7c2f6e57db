"""Attacks on a port of a profile, by what is no HTTP."""

import contextlib
import socket
import ssl
import time

from tests.attacks.host import MIB
from tests.attacks.lab import LINES, LINES_AT, LINES_PORT, Lab
from tests.attacks.ways import hold, many, pour


def line(lab: Lab) -> socket.socket:
    """A connection to the port, as the redirect makes it, or through CONNECT."""
    if lab.direct:
        return socket.create_connection((LINES_AT, LINES_PORT), 10)
    return lab.sidecar.connect(LINES, port=LINES_PORT, tls=False)


def in_tls(lab: Lab) -> ssl.SSLSocket:
    return lab.sidecar.trust().wrap_socket(line(lab), server_hostname=LINES)


def endless(lab: Lab) -> None:
    pour(many(8, lambda: line(lab)), b"x" * 65536, 64 * MIB, 4)


def empty(lab: Lab, number: int = 1_000_000) -> None:
    with contextlib.suppress(OSError), line(lab) as connection:
        connection.settimeout(10)
        connection.sendall(b"\n" * number)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)  # until it was read


def drops(lab: Lab) -> None:
    """A byte at a time, of 500 lines at once."""
    connections = many(500, lambda: line(lab), b"<14>")
    for _ in range(10):
        time.sleep(0.1)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(b"x")
    hold(connections, 0.1)


def half_lines(lab: Lab) -> None:
    """Of 60 KB, on more connections than there may be."""
    hold(many(1200, lambda: line(lab), b"k=v;" * 15_000))


def silence(lab: Lab) -> None:
    hold(many(600, lambda: in_tls(lab)))


def odd_characters(lab: Lab) -> None:
    odd = b"\x00\x1b]0;owned\x07\x1b[2J\r\xff\xfe\xe2\x80\xae=\x00;\n" * 2000
    pour(many(8, lambda: line(lab)), odd, 8 * MIB, 4)


def half_closed(lab: Lab) -> None:
    connections = many(1200, lambda: line(lab), b"<14>half a line")
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
    hold(connections)


def pairs(lab: Lab) -> None:
    """Lines as long as one is kept, of as many pairs as fit, in which each may be a secret."""
    pour(many(4, lambda: in_tls(lab)), b"<14>" + b"password=x;" * 5900 + b"\n", 16 * MIB, 4)


def perhaps_http(lab: Lab) -> None:
    """What might yet become a request, and never does."""
    connections = many(500, lambda: line(lab), b"GET /")
    pour(connections, b"a" * 1000, 60_000, 3)
