"""A sidecar with all its entrances in a network namespace, and clients that come through each: the
redirect's front, mitmproxy's layers behind it, CONNECT, and a plain proxy.
"""

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import h2.connection
import h2.events

from app.contract import rules as r
from tests import netns
from tests.peers import App, Reader
from tests.sidecar import HOST, LINE, Sidecar, bundle_of, rule
from tests.waiting import wait_for

BOUND_S = 1.0  # TELEMOCK_ANSWER_SECONDS
ALLOWED_S = BOUND_S + 4.0  # with all of these at once on a busy machine
RULES = bundle_of(
    rule("index", "/telemetry/index.html"),
    rule("app", "/at-the-app", answer_at="app"),
    rule("failing", "/failing", answer_at="app"),
    rule("drip", "/drip", answer_at="app", answer=r.Answer(body=LINE, fault="slow_body")),
    rule("ws", "/ws", answer_at="app", answer=r.Answer(body=LINE, websocket=True)),
)
FROM_APP = b"from the app\n"
REQUEST = "GET %s HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n"


class Lab:
    """A sidecar with all its entrances in a network namespace, and an app that does what it is
    told to, or is away."""

    def __init__(self, directory: Path) -> None:
        self.namespace = netns.Namespace()
        self.app: App = self.namespace.inside(App, RULES)
        self.port = self.app.port
        self.sidecar: Sidecar = self.namespace.inside(
            Sidecar,
            directory / "one",
            RULES,
            TELEMOCK_APP_URL=f"http://127.0.0.1:{self.port}",
            TELEMOCK_LOOPBACK=f"127.0.0.2={HOST}",
            TELEMOCK_ANSWER_SECONDS=f"{BOUND_S:g}",
        )

    def plain(self, address: str, port: int) -> socket.socket:
        return self.namespace.inside(socket.create_connection, (address, port), ALLOWED_S)

    def tunnel(self, port: int) -> socket.socket:
        connection = self.plain("127.0.0.1", self.sidecar.proxy)
        connection.sendall(b"CONNECT %s:%d HTTP/1.1\r\n\r\n" % (HOST.encode(), port))
        assert b" 200 " in Reader(connection).until(b"\r\n\r\n")
        return connection

    def over_tls(self, plain: socket.socket, *alpn: str) -> socket.socket:
        context = self.sidecar.trust()
        context.set_alpn_protocols(list(alpn or ("http/1.1",)))
        return context.wrap_socket(plain, server_hostname=HOST)

    def away(self) -> None:
        self.app.close()

    def back(self) -> None:
        """The app answers, and is asked."""
        if self.app._socket.fileno() < 0:
            wait_for(self._again)
        self.app.mock = self.app.answer

        def asked() -> bool:
            with self.over_tls(self.plain("127.0.0.2", 443)) as client:
                return answers(client, "/at-the-app", 1, pipelined=False) == [(200, FROM_APP)]

        wait_for(asked)

    def _again(self) -> bool:
        with contextlib.suppress(OSError):  # its connections take a moment to be gone
            self.app = self.namespace.inside(App, RULES, None, self.port)
            return True
        return False

    def metrics(self) -> bytes:
        found: tuple[int, bytes] = self.namespace.inside(self.sidecar.get, "/metrics")
        return found[1]

    def recorded(self) -> int:
        return self.namespace.inside(self.sidecar.recorded)

    def close(self) -> None:
        self.sidecar.stop()
        self.app.close()
        self.namespace.close()


# Clients.

Answered = list[tuple[int, bytes]]


def answers(client: socket.socket, path: str, count: int, *, pipelined: bool) -> Answered:
    """What these requests on one connection got; fewer where it was closed."""
    reader, found = Reader(client), []
    request = (REQUEST % path).encode()
    if pipelined:
        client.sendall(request * count)
    for _ in range(count):
        try:
            if not pipelined:
                client.sendall(request)
            head = reader.until(b"\r\n\r\n")
            parts: list[bytes] = []
            reader.body(head, parts.append)
        except (EOFError, ConnectionError):
            break
        found.append((int(head.split()[1]), b"".join(parts)))
    return found


def answers_http2(client: socket.socket, path: str, count: int, *, pipelined: bool) -> Answered:
    http = h2.connection.H2Connection()
    http.initiate_connection()
    found: dict[int, tuple[int, bytes]] = {}
    ended: set[int] = set()
    streams = [1 + 2 * n for n in range(count)]
    left = list(streams)
    while len(ended) < count:
        while left and (pipelined or left[0] == streams[len(ended)]):
            head = [(":method", "GET"), (":path", path), (":authority", HOST), (":scheme", "https")]
            http.send_headers(left.pop(0), head, end_stream=True)
        client.sendall(http.data_to_send())
        data = client.recv(65536)
        for event in http.receive_data(data) if data else ():
            stream = getattr(event, "stream_id", 0)
            status, body = found.get(stream, (0, b""))
            if isinstance(event, h2.events.ResponseReceived):
                found[stream] = int(dict(event.headers)[b":status"]), body
            elif isinstance(event, h2.events.DataReceived):
                found[stream] = status, body + event.data
            elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                ended.add(stream)
        if not data:
            break
    return [found[stream] for stream in streams if stream in ended and stream in found]


def direct(lab: Lab) -> socket.socket:
    return lab.over_tls(lab.plain("127.0.0.2", 443))


def plain(lab: Lab) -> socket.socket:
    return lab.plain("127.0.0.2", 80)


def connect_tls(lab: Lab) -> socket.socket:
    return lab.over_tls(lab.tunnel(443))


def connect_plain(lab: Lab) -> socket.socket:
    return lab.tunnel(80)


def proxied(lab: Lab) -> socket.socket:
    return lab.plain("127.0.0.1", lab.sidecar.proxy)


def direct_http2(lab: Lab) -> socket.socket:
    return lab.over_tls(lab.plain("127.0.0.2", 443), "h2")


def connect_http2(lab: Lab) -> socket.socket:
    return lab.over_tls(lab.tunnel(443), "h2")


Entrance = Callable[[Lab], socket.socket]
ENTRANCES: tuple[Entrance, ...] = (
    direct, plain, connect_tls, connect_plain, proxied, direct_http2, connect_http2,
)  # fmt: skip


def ask(lab: Lab, entrance: Entrance, path: str, count: int, pipelined: bool) -> Answered:
    with entrance(lab) as client:
        client.settimeout(ALLOWED_S)
        if entrance is proxied:
            path = f"http://{HOST}{path}"
        if entrance in (direct_http2, connect_http2):
            return answers_http2(client, path, count, pipelined=pipelined)
        return answers(client, path, count, pipelined=pipelined)
