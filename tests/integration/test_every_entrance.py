"""No request waits for ever: every way to answer, through every entrance, on a real sidecar.

An entrance is how a request reaches the sidecar, a way is what the app does with it. Each request
is answered, in its order, or its connection is closed, within the bound.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import h2.connection
import h2.events
import pytest

from app.contract import rules as r
from tests import netns
from tests.peers import App, Reader, send, wait_for
from tests.sidecar import HOST, LINE, Sidecar, bundle_of, rule

BOUND_S = 1.0  # TELEMOCK_ANSWER_SECONDS
ALLOWED_S = BOUND_S + 4.0  # with all of these at once on a busy machine
RULES = bundle_of(
    rule("index", "/telemetry/index.html"),
    rule("app", "/at-the-app", answer_at="app"),
    rule("failing", "/failing", answer_at="app"),
    rule("drip", "/drip", answer_at="app", answer=r.Answer(body=LINE, fault="slow_body")),
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


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    netns.require()
    lab = Lab(tmp_path_factory.mktemp("entrances"))
    yield lab
    lab.close()


@pytest.fixture(autouse=True)
def settled(lab: Lab) -> Iterator[None]:
    yield
    lab.back()


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


def through_every_entrance(
    lab: Lab, path: str, count: int = 3, *, pipelined: bool
) -> dict[str, Any]:
    """What each entrance gave, or why not."""

    def one(entrance: Entrance) -> Any:
        try:
            return ask(lab, entrance, path, count, pipelined)
        except Exception as e:
            return e

    with ThreadPoolExecutor(len(ENTRANCES)) as pool:
        return dict(zip([e.__name__ for e in ENTRANCES], pool.map(one, ENTRANCES), strict=True))


# What the app does.

Mock = Callable[[socket.socket, bytes, bytes], None]


def ends(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)
    raise EOFError


def late(connection: socket.socket, head: bytes, body: bytes) -> None:
    time.sleep(0.1)
    send(connection, FROM_APP)


def never(connection: socket.socket, head: bytes, body: bytes) -> None:
    connection.recv(1)
    raise EOFError


def failing(connection: socket.socket, head: bytes, body: bytes) -> None:
    send(connection, b"no template", b"500 Internal Server Error")


def garbage(connection: socket.socket, head: bytes, body: bytes) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")


def half(connection: socket.socket, head: bytes, body: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf")
    ends(connection)


def half_and_no_more(connection: socket.socket, head: bytes, body: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf")
    never(connection, head, body)


def only_continue(connection: socket.socket, head: bytes, body: bytes) -> None:
    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    never(connection, head, body)


def at_once(connection: socket.socket, head: bytes, body: bytes) -> None:
    ends(connection)


class Way(NamedTuple):
    name: str
    path: str
    mock: Mock | None  # None where the app is away
    body: bytes
    reasons: frozenset[str]


FELL_BACK = frozenset(("app_unreachable", "app_error", "circuit_open", "answer_timeout"))
WAYS = (
    Way("sidecar", "/telemetry/index.html", App.answer, LINE, frozenset(("",))),
    Way("app", "/at-the-app", App.answer, FROM_APP, frozenset(("",))),
    Way("app slow", "/at-the-app", late, FROM_APP, frozenset(("",))),
    Way("app never answers", "/at-the-app", never, LINE, FELL_BACK),
    Way("app away", "/at-the-app", None, LINE, FELL_BACK),
    Way("app fails", "/at-the-app", failing, LINE, frozenset(("app_error",))),
    Way("garbage", "/at-the-app", garbage, LINE, frozenset(("app_error",))),
    Way("half an answer", "/at-the-app", half, LINE, FELL_BACK),
    Way("half an answer and no more", "/at-the-app", half_and_no_more, LINE, FELL_BACK),
    Way("100 and no more", "/at-the-app", only_continue, LINE, FELL_BACK),
    Way("closed at once", "/at-the-app", at_once, LINE, FELL_BACK),
)


@pytest.mark.root
@pytest.mark.parametrize("pipelined", [False, True], ids=["kept", "pipelined"])
@pytest.mark.parametrize("way", WAYS, ids=[way.name for way in WAYS])
def test_every_request_is_answered_in_time(lab: Lab, way: Way, pipelined: bool) -> None:
    if way.mock is None:
        lab.away()
    else:
        lab.app.mock = way.mock
    before = lab.recorded()
    found = through_every_entrance(lab, way.path, pipelined=pipelined)
    assert found == dict.fromkeys(found, [(200, way.body)] * 3)
    assert lab.recorded() == before + 3 * len(ENTRANCES)
    records = lab.sidecar.records()[before:]
    assert {x.reason for x in records} <= way.reasons
    assert {x.kind for x in records} == {"exchange"}


@pytest.mark.root
def test_a_rule_that_fails_sends_no_other_to_its_fall_back(lab: Lab) -> None:
    def answer(connection: socket.socket, head: bytes, body: bytes) -> None:
        (failing if b"/failing" in head else App.answer)(connection, head, body)

    lab.app.mock = answer
    with direct(lab) as client:
        for _ in range(3):
            assert answers(client, "/failing", 1, pipelined=False) == [(200, LINE)]
            assert answers(client, "/at-the-app", 1, pipelined=False) == [(200, FROM_APP)]


@pytest.mark.root
def test_what_the_bound_ends_is_counted(lab: Lab) -> None:
    lab.app.mock = never
    with direct(lab) as client:
        assert answers(client, "/at-the-app", 1, pipelined=False) == [(200, LINE)]
    record = lab.sidecar.record(lambda x: x.reason == "answer_timeout")
    assert record.detail == f"not within {BOUND_S:g} s" and record.answered_by == "sidecar"
    assert BOUND_S <= record.duration_ns / 1e9 < ALLOWED_S
    wait_for(lambda: b'telemock_bounds_exceeded_total{telemock_bound="answer"}' in lab.metrics())
    (line,) = [x for x in lab.metrics().splitlines() if b'exceeded_total{telemock_bound="ans' in x]
    assert float(line.split()[-1]) >= 1


@pytest.mark.root
@pytest.mark.parametrize("entrance", [direct, plain, connect_tls])
def test_many_requests_sent_ahead_while_the_app_is_away_are_all_answered(
    lab: Lab, entrance: Entrance
) -> None:
    """More than Python's stack is deep: none is answered from within the one before."""
    lab.away()
    with entrance(lab) as client:
        client.settimeout(20)
        assert answers(client, "/at-the-app", 3000, pipelined=True) == [(200, LINE)] * 3000


@pytest.mark.root
@pytest.mark.parametrize("entrance", ENTRANCES)
def test_a_client_that_leaves_while_it_waits_leaves_a_record(lab: Lab, entrance: Entrance) -> None:
    asked, left = len(lab.app.asked), threading.Event()

    def held(connection: socket.socket, head: bytes, body: bytes) -> None:
        left.wait(10)
        send(connection, FROM_APP)

    lab.app.mock = held
    before = lab.recorded()
    path = f"/at-the-app?{entrance.__name__}"
    with entrance(lab) as client:
        if entrance in (direct_http2, connect_http2):
            http = h2.connection.H2Connection()
            http.initiate_connection()
            head = [(":method", "GET"), (":path", path), (":authority", HOST), (":scheme", "https")]
            http.send_headers(1, head, end_stream=True)
            client.sendall(http.data_to_send())
        else:
            target = f"http://{HOST}{path}" if entrance is proxied else path
            client.sendall((REQUEST % target).encode())
        wait_for(lambda: len(lab.app.asked) > asked)
    assert lab.recorded() == before + 1
    left.set()
    record = lab.sidecar.records()[-1]
    assert (record.kind, record.reason) == ("failed", "client_gone")
