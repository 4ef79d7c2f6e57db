"""The ways into a sidecar, each for one request on a connection of its own."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import hpack
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from tests.sidecar import HOST, Sidecar

SECONDS = 10  # in which every request is answered, or its connection closed


@dataclass(frozen=True)
class Request:
    """What a client sends, and what it calls whom. `{mark}` is replaced in target, body and `raw`,
    which stands for the whole request; the mark is also a header of its own."""

    target: str = "/telemetry/index.html?v=4.16.1&lic={mark}"
    method: str = "GET"
    hosts: tuple[str, ...] = (HOST,)  # Host headers; of HTTP/2 the first one is :authority
    sni: str = HOST
    to: str = HOST  # CONNECT's, or the absolute form's
    version: str = "HTTP/1.1"
    ahead: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    raw: bytes | None = None
    port: int = 0  # 0: the web's
    ends: bool = False  # the client sends no more, and waits for no answer

    def wire(self, mark: str, absolute: str = "") -> bytes:
        """As HTTP/1 sends it."""
        if self.raw is not None:
            return self.raw.replace(b"{mark}", mark.encode())
        lines = [f"{self.method} {absolute}{self.target.format(mark=mark)} {self.version}"]
        lines += [f"Host: {host}" for host in self.hosts]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"x-mark: {mark}", "Connection: close"]
        body = (self.body or b"").replace(b"{mark}", mark.encode())
        if self.body is not None:
            lines.append(f"Content-Length: {len(body)}")
        head = self.ahead + "\r\n".join(lines) + "\r\n\r\n"
        return head.encode("latin-1") + body


@dataclass
class Ways:
    """The ways to one sidecar. `dial` connects as a kernel's redirect or /etc/hosts leads a client
    of the telemetry host, None where there is no such way. The sidecar's authority vouches for the
    hosts of profiles only: `vouched`."""

    sidecar: Sidecar
    vouched: tuple[str, ...]
    dial: Callable[[int], socket.socket] | None = None

    def names(self) -> list[str]:
        direct = ["direct tls", "direct plain", "direct h2"]
        return direct if self.dial else ["connect tls", "connect plain", "absolute", "connect h2"]

    def send(self, way: str, request: Request, mark: str) -> bytes:
        """What comes back for it, until the connection ends."""
        if way == "absolute":
            connection = socket.create_connection(("127.0.0.1", self.sidecar.proxy), SECONDS)
            with connection:
                return exchange(connection, request.wire(mark, f"http://{request.to}"))
        kind = way.split()[1]
        try:
            port = request.port or (80 if kind == "plain" else 443)
            plain = self._plain(way, request, port)
        except ConnectionError as e:
            return str(e).encode()
        with plain:
            if kind == "plain":
                return exchange(plain, request.wire(mark), ends=request.ends)
            trust = self.sidecar.trust()
            if kind == "h2":
                trust.set_alpn_protocols(["h2"])
            elif request.raw is not None:
                trust.set_alpn_protocols([])  # as what does not speak HTTP would
            if request.sni not in self.vouched:  # goes on, and asks only whom it speaks with
                trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
            with trust.wrap_socket(plain, server_hostname=request.sni) as tls:
                self._assert_ours(tls)
                return (
                    http2(tls, request, mark)
                    if kind == "h2"
                    else exchange(tls, request.wire(mark), ends=request.ends)
                )

    def _assert_ours(self, tls: ssl.SSLSocket) -> None:
        authority = (self.sidecar.data / "ca/ca.pem").read_bytes()
        shown = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
        try:
            shown.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
        except (ValueError, InvalidSignature):
            raise ssl.SSLCertVerificationError("not the sidecar's") from None

    def _plain(self, way: str, request: Request, port: int) -> socket.socket:
        if self.dial is not None:
            connection = self.dial(port)
        else:
            connection = self.sidecar.connect(request.to, port, tls=False)
        connection.settimeout(SECONDS)
        return connection


def exchange(connection: socket.socket, data: bytes, *, ends: bool = False) -> bytes:
    """What comes back for these bytes, until the other end closes. A timeout is a fault."""
    parts = []
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        connection.sendall(data)
        if ends and isinstance(connection, ssl.SSLSocket):
            connection = connection.unwrap()
        elif ends:
            connection.shutdown(socket.SHUT_WR)
        while received := connection.recv(1 << 16):
            parts.append(received)
    return b"".join(parts)


def http2(connection: ssl.SSLSocket, request: Request, mark: str) -> bytes:
    """The answer's head and body as HTTP/1 would write it, b"" where the stream was reset."""
    http = h2.connection.H2Connection(
        h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
    )
    http.initiate_connection()
    headers = [
        (":method", request.method),
        (":path", request.target.format(mark=mark)),
        (":scheme", "https"),
        *((":authority", host) for host in request.hosts[:1]),
        *(("host", host) for host in request.hosts[1:]),
        *((name.lower(), value) for name, value in request.headers),
        ("x-mark", mark),
    ]
    parts: list[bytes] = []
    with contextlib.suppress(ConnectionError, ssl.SSLError, h2.exceptions.ProtocolError):
        http.send_headers(1, raw(headers), end_stream=request.body is None)
        if request.body is not None:
            http.send_data(1, request.body.replace(b"{mark}", mark.encode()), end_stream=True)
        connection.sendall(http.data_to_send())
        while data := connection.recv(1 << 16):
            for event in http.receive_data(data):
                parts += said(event)
                if isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                    return b"".join(parts)
            connection.sendall(http.data_to_send())
    return b"".join(parts)


def raw(headers: list[tuple[str, str]]) -> list[hpack.HeaderTuple]:
    return [hpack.HeaderTuple(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers]


def said(event: h2.events.Event) -> Iterator[bytes]:
    if isinstance(event, h2.events.ResponseReceived):
        for name, value in event.headers:
            yield b"%s: %s\r\n" % (bytes(name), bytes(value))
        yield b"\r\n"
    elif isinstance(event, h2.events.DataReceived):
        yield event.data
