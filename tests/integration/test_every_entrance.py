"""No request waits for ever: every way to answer, through every entrance, on a real sidecar.

An entrance is how a request reaches the sidecar, a way is what the app does with it. Each request
is answered, in its order, or its connection is closed, within the bound.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import h2.connection
import h2.events
import pytest

from addon.exchange.conversation import TURN
from tests import netns
from tests.entrances import (
    ALLOWED_S,
    BOUND_S,
    ENTRANCES,
    FROM_APP,
    REQUEST,
    Entrance,
    Lab,
    answers,
    ask,
    connect_http2,
    connect_plain,
    connect_tls,
    direct,
    direct_http2,
    plain,
    proxied,
)
from tests.peers import App, Reader, send
from tests.sidecar import HOST, LINE
from tests.waiting import wait_for


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
    time.sleep(0.1)  # an app that takes its time; the next requests arrive meanwhile
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
@pytest.mark.parametrize("entrance", [direct, plain, connect_tls, connect_plain])
def test_what_waits_behind_a_large_answer_of_the_app_has_its_turn(
    lab: Lab, entrance: Entrance
) -> None:
    large = b"x" * (TURN * 16 * 1024)
    lab.app.mock = lambda connection, head, body: send(connection, large)
    paths = ("/at-the-app", "/telemetry/index.html") * 2
    with entrance(lab) as client:
        client.settimeout(ALLOWED_S)
        client.sendall("".join(REQUEST % path for path in paths).encode())
        reader = Reader(client)
        for body in (large, LINE) * 2:
            parts: list[bytes] = []
            reader.body(reader.until(b"\r\n\r\n"), parts.append)
            assert b"".join(parts) == body


@pytest.mark.root
@pytest.mark.parametrize("entrance", [direct, plain, connect_tls, connect_plain])
def test_who_ends_its_side_is_answered_what_it_had_asked_the_sidecar(
    lab: Lab, entrance: Entrance
) -> None:
    before = lab.recorded()
    with entrance(lab) as client:
        client.settimeout(ALLOWED_S)
        client.sendall((REQUEST % "/telemetry/index.html").encode() * 200)
        if isinstance(client, ssl.SSLSocket):
            with contextlib.suppress(ssl.SSLError):  # that there are answers still
                client.unwrap()
        else:
            client.shutdown(socket.SHUT_WR)
            reader = Reader(client)
            for _ in range(200):
                reader.body(reader.until(b"\r\n\r\n"), len)
            assert client.recv(1) == b""
        wait_for(lambda: lab.recorded() == before + 200)


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


@pytest.mark.root
@pytest.mark.parametrize("entrance", [e for e in ENTRANCES if "http2" not in e.__name__])
@pytest.mark.parametrize(
    ("path", "mock", "reason"),
    [("/ws", never, "answer_timeout"), ("/ws", at_once, "app_error"),
     ("/ws", garbage, "app_error"), ("/drip", at_once, "app_error"),
     ("/drip", garbage, "app_error")],
)  # fmt: skip
def test_a_mock_that_was_to_speak_with_the_client_itself_is_answered_for(
    lab: Lab, entrance: Entrance, path: str, mock: Mock, reason: str
) -> None:
    lab.app.mock = mock
    before = lab.recorded()
    more = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    with entrance(lab) as client:
        client.settimeout(ALLOWED_S)
        target = f"http://{HOST}{path}" if entrance is proxied else path
        client.sendall((REQUEST % target).removesuffix("\r\n").encode() + more.encode() + b"\r\n")
        reader = Reader(client)
        head = reader.until(b"\r\n\r\n")
        parts: list[bytes] = []
        reader.body(head, parts.append)
    assert (head.split()[1], b"".join(parts)) == (b"200", LINE)
    assert lab.recorded() == before + 1
    record = lab.sidecar.records()[-1]
    assert (record.kind, record.answered_by, record.reason) == ("exchange", "sidecar", reason)
