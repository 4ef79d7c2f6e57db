"""The attacks: one function each, and the table of all of them."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.attacks import lines
from tests.attacks.framed import (
    BOMB,
    PING,
    bombs_from_the_host,
    closed_windows,
    continuations,
    control_frames,
    empty_data,
    h2_frame,
    messages,
    rapid_reset,
)
from tests.attacks.host import MIB, frame
from tests.attacks.lab import Lab
from tests.attacks.ways import HEAD, POST, hold, many, opened, plain, pour, raw, tunnel
from tests.sidecar import HOST


class Attack(NamedTuple):
    """`bounds`: at least one of them ends it, where there are any; `quick`: part of `make test`."""

    name: str
    run: Callable[[Lab], None]
    bounds: tuple[str, ...] = ()
    quick: bool = False


# Connections.


def half_heads(lab: Lab, connect: Callable[[Lab], socket.socket], number: int) -> None:
    begun = HEAD % b"/telemetry/index.html" + b"X: " + b"x" * 60_000
    hold(many(number, lambda: connect(lab), begun))


def idle(lab: Lab) -> None:
    hold(many(2000, lambda: raw(lab)))


def tunnels(lab: Lab) -> None:
    hold(many(1500, lambda: lab.sidecar.connect("other.example", tls=False)))


def half_handshakes(lab: Lab, connect: Callable[[Lab], socket.socket]) -> None:
    hold(many(1200, lambda: connect(lab), hello(HOST)[:-20]))


def shaking(lab: Lab, connect: Callable[[Lab], socket.socket]) -> None:
    hold(many(600, lambda: connect(lab), hello(HOST)))


def shredded_hello(lab: Lab, connect: Callable[[Lab], socket.socket]) -> None:
    """One byte a TLS record, one record a segment."""
    whole = hello(".".join(["x" * 60] * 3) + ".many.example")[5:]
    records = [b"\x16\x03\x01\x00\x01" + whole[i : i + 1] for i in range(len(whole) - 1)]
    connections = many(100, lambda: connect(lab))
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end = time.monotonic() + 3
    for record in records:
        if time.monotonic() > end:
            break
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(record)
    hold(connections, 0.5)


def names(lab: Lab) -> None:
    for number in range(400):
        with contextlib.suppress(OSError), raw(lab) as connection:
            connection.settimeout(5)
            connection.sendall(hello(f"n{number}.many.example"))
            connection.recv(1)


def health(lab: Lab) -> None:
    where = ("127.0.0.1", lab.sidecar.health_port)
    hold(many(600, lambda: socket.create_connection(where, 10), b"GET /metrics HTTP/1.1\r\n"))


# Requests.


def slow_uploads(lab: Lab, framing: bytes, begin: bytes) -> None:
    say = POST % b"/body" + framing + b"\r\n\r\n" + begin + b"x" * 200_000
    connections = many(500, lambda: plain(lab), say)
    for _ in range(5):
        time.sleep(0.2)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(b"x")
    hold(connections, 0.5)


def unread_answers(lab: Lab, connect: Callable[[Lab], socket.socket]) -> None:
    asked = (HEAD % b"/plenty" + b"\r\n") * 1000
    connections = many(100, lambda: connect(lab))
    pour(connections, asked, len(asked), 2)
    hold(connections)


def unread_downloads(lab: Lab) -> None:
    hold(many(150, lambda: opened(lab), HEAD % b"/download" + b"\r\n"), 3)


def ahead(lab: Lab) -> None:
    """Requests behind one that the real host never answers."""
    connections = many(8, lambda: opened(lab), HEAD % b"/hang" + b"\r\n")
    for connection in connections:
        connection.setblocking(False)
    end, piece = time.monotonic() + 3, (HEAD % b"/hang" + b"\r\n") * 1000
    sent = dict.fromkeys(connections, 0)
    while time.monotonic() < end:
        for connection in connections:
            if sent[connection] < 32 * MIB:
                with contextlib.suppress(OSError, ssl.SSLError):
                    sent[connection] += connection.send(piece)
        time.sleep(0.001)
    hold(connections, 0.1)


def before_connected(lab: Lab) -> None:
    """A body for a real host that cannot be connected to yet."""

    def connect() -> socket.socket:
        return lab.sidecar.trust().wrap_socket(
            lab.sidecar.connect(port=444, tls=False), server_hostname=HOST
        )

    say = POST % b"/pass" + b"Content-Length: 999999999\r\n\r\n"
    connections = many(4, connect, say)
    end, piece = time.monotonic() + 3, b"x" * 65536
    for connection in connections:
        connection.settimeout(0.05)
    while time.monotonic() < end:
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(piece)
    hold(connections, 0.1)


def many_fields(lab: Lab) -> None:
    say = HEAD % b"/hang" + b"a:b\r\n" * 12_000 + b"\r\n"
    hold(many(150, lambda: opened(lab), say), 0.5)


def allowed_fields(lab: Lab) -> None:
    say = HEAD % b"/hang" + b"a:b\r\n" * 990 + b"\r\n"
    hold(many(450, lambda: opened(lab), say), 0.5)


def endless_extension(lab: Lab) -> None:
    say = POST % b"/body" + b"Transfer-Encoding: chunked\r\n\r\n5;"
    connections = many(8, lambda: plain(lab), say)
    pour(connections, b"x" * 65536, 64 * MIB, 3)


def records(lab: Lab) -> None:
    """More of them than can be written."""
    asked = (HEAD % b"/telemetry/index.html?%s" % (b"q" * 3000) + b"X: y\r\n" * 90 + b"\r\n") * 20
    connection = plain(lab)
    connection.settimeout(0.01)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        with contextlib.suppress(TimeoutError):
            connection.sendall(asked)
        with contextlib.suppress(TimeoutError):
            connection.recv(1 << 20)


# A hostile real host.


def ask(lab: Lab, path: str, times: int = 1) -> None:
    """Asks for it and reads until the end, or for some seconds."""
    for _ in range(times):
        with contextlib.suppress(OSError), opened(lab) as connection:
            connection.settimeout(8)
            connection.sendall(HEAD % f"/{path}".encode() + b"\r\n")
            end = time.monotonic() + 8
            while connection.recv(65536) and time.monotonic() < end:
                pass


def hello(name: str) -> bytes:
    """A ClientHello that asks for this host."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = _CONTEXT.wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


_CONTEXT = ssl.create_default_context()
LENGTH = b"Content-Length: 250000"
CHUNKED = b"Transfer-Encoding: chunked"

ATTACKS = (
    Attack("2,000 connections that say nothing", idle, ("connections",)),
    Attack("1,200 half heads of 60 KB", lambda lab: half_heads(lab, plain, 1200),
           ("connections", "held"), quick=True),
    Attack("1,200 half heads of 60 KB through CONNECT", lambda lab: half_heads(lab, tunnel, 1200),
           ("connections", "held")),
    Attack("600 half heads of 60 KB in TLS", lambda lab: half_heads(lab, opened, 600),
           ("connections", "held")),
    Attack("1,500 CONNECTs held open", tunnels, ("connections",)),
    Attack("1,200 halves of a ClientHello", lambda lab: half_handshakes(lab, raw),
           ("connections",)),
    Attack("600 handshakes that are not ended", lambda lab: shaking(lab, raw),
           ("connections",), quick=True),
    Attack("ClientHellos of one-byte records", lambda lab: shredded_hello(lab, raw)),
    Attack("400 names for certificates", names),
    Attack("600 connections to the health port", health),
    Attack("500 slow uploads of 200 KB", lambda lab: slow_uploads(lab, LENGTH, b""),
           ("held", "connections"), quick=True),
    Attack("500 slow uploads of 200 KB in chunks",
           lambda lab: slow_uploads(lab, CHUNKED, b"3d090\r\n"), ("held", "connections")),
    Attack("100,000 pipelined requests, 256 KiB each, unread",
           lambda lab: unread_answers(lab, opened), quick=True),
    Attack("the same through mitmproxy's layer", lambda lab: unread_answers(lab, tunnel)),
    Attack("150 downloads of 150 MB, unread", unread_downloads),
    Attack("32 MiB of requests behind an unanswered one, 8 times", ahead, quick=True),
    Attack("bodies for a host that is not connected yet", before_connected, quick=True),
    Attack("150 requests of 12,000 header lines", many_fields, ("request_fields",)),
    Attack("450 requests of 990 header lines, unanswered", allowed_fields, ("held",)),
    Attack("a chunk's extension without end", endless_extension, ("request_fields",)),
    Attack("more records than can be written", records),
    Attack("real host: a header without end (150 MB)", lambda lab: ask(lab, "header"),
           ("response_head",), quick=True),
    Attack("real host: 300,000 headers", lambda lab: ask(lab, "fields", 3),
           ("response_head", "response_fields"), quick=True),
    Attack("real host: a cut header", lambda lab: ask(lab, "cut")),
    Attack("real host: 1xx without end", lambda lab: ask(lab, "interim")),
    Attack("real host: a chunk's extension without end", lambda lab: ask(lab, "extension"),
           ("response_head",)),
    Attack("real host: trailers without end", lambda lab: ask(lab, "trailers"),
           ("response_head",)),
    Attack("HTTP/2: 20,000 streams, each reset", rapid_reset, ("resets",), quick=True),
    Attack("HTTP/2: 40,000 PINGs", lambda lab: control_frames(lab, PING), ("control",),
           quick=True),
    Attack("HTTP/2: 40,000 SETTINGS", lambda lab: control_frames(lab, h2_frame(4)),
           ("control",)),
    Attack("HTTP/2: 40,000 PRIORITYs",
           lambda lab: control_frames(lab, h2_frame(2, b"\0\0\0\0\1", 3)), ("control",)),
    Attack("HTTP/2: 40,000 WINDOW_UPDATEs",
           lambda lab: control_frames(lab, h2_frame(8, b"\0\0\0\1")), ("control",)),
    Attack("HTTP/2: 40,000 empty DATAs", empty_data, ("control",)),
    Attack("HTTP/2: header lists that are not ended, 60 of 1 MiB", continuations, ("held",)),
    Attack("HTTP/2: 50 downloads of 150 MB with closed windows", closed_windows, quick=True),
    Attack("WebSocket: 650 MiB in 652 KB", lambda lab: messages(lab, BOMB),
           ("websocket",), quick=True),
    Attack("WebSocket: 650 MiB in 652 KB from the host", bombs_from_the_host, ("websocket",)),
    Attack("WebSocket: a message without end",
           lambda lab: messages(lab, frame(b"x" * 60_000, masked=True, first=0x00), 1500,
                                begin=frame(b"x", masked=True, first=0x02)),
           ("websocket",)),
    Attack("WebSocket: 2,000,000 empty fragments",
           lambda lab: messages(lab, frame(b"", masked=True, first=0x00) * 50_000, 40,
                                begin=frame(b"", masked=True, first=0x02)),
           ("websocket",)),
    Attack("WebSocket: 100,000 small messages",
           lambda lab: messages(lab, frame(b"hello", masked=True, first=0x82) * 2000, 50)),
    Attack("lines: 8 without end", lines.endless),
    Attack("lines: a million empty ones", lines.empty, quick=True),
    Attack("lines: 500 that come byte by byte", lines.drops),
    Attack("lines: 1,200 halves of 60 KB", lines.half_lines, ("connections", "held")),
    Attack("lines: 600 TLS connections that say nothing", lines.silence, ("connections",)),
    Attack("lines: 64 MiB of NUL and escapes", lines.odd_characters),
    Attack("lines: 1,200 halves, and no more is sent", lines.half_closed),
    Attack("lines: 64 MiB of pairs in TLS, each a secret", lines.pairs),
    Attack("lines: 500 that are perhaps requests", lines.perhaps_http),
)  # fmt: skip
