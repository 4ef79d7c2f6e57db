"""The sidecar and its app: what it asks, what it does when the app fails, profiles, WebSockets."""

import base64
import contextlib
import hashlib
import os
import socket
import struct
import threading
import zlib
from collections.abc import Iterator

import pytest

from app.contract import rules as r
from tests.peers import App, Host, Reader, send
from tests.sidecar import HOST, LINE, Sidecar, before_host, bundle_of, rule
from tests.waiting import wait_for

RULES = bundle_of(
    rule("index", "/telemetry/index.html", answer_at="app"),
    rule("reset", "/reset", answer_at="app", answer=r.Answer(body=LINE, fault="reset")),
    rule("hang", "/hang", answer_at="app", answer=r.Answer(body=LINE, fault="hang")),
    rule("slow", "/slow", answer_at="app", answer=r.Answer(body=LINE, fault="slow_body")),
    rule("broken", "/broken", answer_at="app", answer=r.Answer(status=503, body=LINE)),
    rule("ws", "/telemetry/ws", answer_at="app", answer=r.Answer(body=LINE, websocket=True)),
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sidecar, App, Host]]:
    directory = tmp_path_factory.mktemp("app")
    (directory / "token").write_text("the-token\n")
    app = App(RULES)
    told = {
        "TELEMOCK_APP_URL": f"http://127.0.0.1:{app.port}",
        "TELEMOCK_TOKEN_FILE": str(directory / "token"),
    }
    # The rules come from the app.
    with before_host(directory, bundle_of(), Host, **told) as (running, host):
        wait_for(lambda: running.health()["profiles"]["source"] == "app")
        yield running, app, host
    app.close()


Lab = tuple[Sidecar, App, Host]


@pytest.fixture(autouse=True)
def settled(lab: Lab) -> Iterator[None]:
    """After each test the app answers again, and is asked."""
    yield
    sidecar, app, _ = lab
    app.mock = app.answer

    def asked() -> bool:
        before = len(app.asked)
        sidecar.ask("/telemetry/index.html?settle")
        return len(app.asked) > before

    wait_for(asked)


def test_the_app_answers_and_is_told_which_exchange_it_is(lab: Lab) -> None:
    sidecar, app, _ = lab
    trace = "0af7651916cd43dd8448eb211c80319c"
    sent = {
        "TraceParent": f"00-{trace}-b7ad6b7169203331-01",
        "telemock-record": "forged-1",
        "X-Own": "1",
    }
    answer, body = sidecar.ask("/telemetry/index.html?v=2", "POST", b"hello", sent)
    assert (answer.status, body) == (200, b"from the app\n")
    record = sidecar.record(lambda x: bool(x.request and ("v", "2") in x.request.query))
    assert record.answered_by == "app" and record.answer_ns > 0
    assert record.trace_id == trace
    head, got = next(x for x in reversed(app.asked) if b"v=2" in x[0])
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /telemetry/index.html?v=2 http/1.1"
    assert got == b"hello"
    assert f"host: {HOST}" in lines and "x-own: 1" in lines
    assert [x for x in lines if x.startswith("telemock-record:")] == [
        f"telemock-record: {record.id}"
    ]
    assert "telemock-rule: cribl/index" in lines and "telemock-scheme: https" in lines
    assert [x for x in lines if x.startswith("traceparent:")] == [
        f"traceparent: 00-{trace}-{record.span_id}-01"
    ]


def test_connections_to_the_app_are_kept(lab: Lab) -> None:
    sidecar, app, _ = lab
    sidecar.ask("/telemetry/index.html")
    before = app.accepted
    for _ in range(5):
        assert sidecar.ask("/telemetry/index.html")[1] == b"from the app\n"
    assert app.accepted <= before + 1  # one more may be the profiles' or the shipper's


def test_head_gets_the_apps_headers_only(lab: Lab) -> None:
    sidecar, _, _ = lab
    answer, body = sidecar.ask("/telemetry/index.html", "HEAD")
    assert (answer.status, body) == (200, b"")
    assert sidecar.ask("/telemetry/index.html")[1] == b"from the app\n"


def test_a_kept_connection_that_died_is_replaced(lab: Lab) -> None:
    sidecar, app, _ = lab

    kept: list[socket.socket] = []

    def answer_and_wait(connection: socket.socket, head: bytes, body: bytes) -> None:
        kept.append(connection)
        app.answer(connection, head, body)

    app.mock = answer_and_wait
    for _ in range(4):
        assert sidecar.ask("/telemetry/index.html")[1] == b"from the app\n"
        kept.pop().shutdown(socket.SHUT_RDWR)


def broken(connection: socket.socket, head: bytes, body: bytes) -> None:
    send(connection, b"Internal Server Error", b"500 Internal Server Error")


def cut(connection: socket.socket, head: bytes, body: bytes) -> None:
    connection.shutdown(socket.SHUT_RDWR)
    raise EOFError


def nonsense(connection: socket.socket, head: bytes, body: bytes) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")


def marked(connection: socket.socket, head: bytes, body: bytes) -> None:
    send(connection, b"", b"200 OK", b"telemock-error: template\r\n")


@pytest.mark.parametrize("failing", [broken, cut, nonsense, marked])
def test_static_answer_when_the_app_fails(lab: Lab, failing: object) -> None:
    sidecar, app, _ = lab
    app.mock = failing  # type: ignore[assignment]
    name = failing.__name__  # type: ignore[attr-defined]
    assert sidecar.ask(f"/telemetry/index.html?{name}")[1] == LINE
    record = sidecar.record(lambda x: bool(x.request and (name, "") in x.request.query))
    assert (record.answered_by, record.reason) == ("sidecar", "app_error")


def test_a_failed_app_is_left_alone_for_a_moment(lab: Lab) -> None:
    sidecar, app, _ = lab
    app.mock = cut
    sidecar.ask("/telemetry/index.html")
    before = len(app.asked)
    assert sidecar.ask("/telemetry/index.html?again")[1] == LINE
    assert len(app.asked) == before
    record = sidecar.record(lambda x: bool(x.request and ("again", "") in x.request.query))
    assert record.reason == "circuit_open"


def test_the_rules_own_error_status_is_no_failure(lab: Lab) -> None:
    sidecar, app, _ = lab
    app.mock = lambda c, head, body: send(c, b"as told", b"503 Service Unavailable")
    answer, body = sidecar.ask("/broken")
    assert (answer.status, body) == (503, b"as told")
    assert sidecar.record_of("/broken").answered_by == "app"


def test_reset_and_hang_reach_the_client(lab: Lab) -> None:
    sidecar, app, _ = lab
    app.mock = cut
    assert sidecar.raw(b"GET /reset HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n") == b""
    record = sidecar.record_of("/reset")
    assert (record.kind, record.answered_by, record.response) == ("exchange", "app", None)
    held = threading.Event()
    app.mock = lambda connection, head, body: (held.wait(20), None)[1]
    with sidecar.connect() as connection:
        connection.settimeout(1)
        connection.sendall(b"GET /hang HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(1)
    held.set()
    assert sidecar.record_of("/hang").reason == "client_gone"


def test_a_slow_body_arrives_slowly(lab: Lab) -> None:
    sidecar, app, _ = lab
    going_on = threading.Event()

    def slowly(connection: socket.socket, head: bytes, body: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab")
        going_on.wait(10)
        connection.sendall(b"cd")

    app.mock = slowly
    with sidecar.connect() as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n")
        reader = Reader(connection)
        reader.until(b"\r\n\r\n")
        assert reader.until(b"ab") == b"ab"
        going_on.set()
        assert reader.until(b"cd") == b"cd"
    record = sidecar.record_of("/slow")
    assert record.answered_by == "app"
    assert record.response is not None and record.response.body is not None
    assert record.response.body.text == "abcd"
    assert record.request is not None
    assert not [n for n, _ in record.request.headers if n.startswith("telemock-")]


def frame(payload: bytes, *, masked: bool) -> bytes:
    head = bytes((0x81, len(payload) | (0x80 if masked else 0)))
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(c ^ key[i % 4] for i, c in enumerate(payload))


def read_frame(reader: Reader) -> bytes:
    """The payload of one small frame."""
    _, length = reader.exactly(2)
    key = reader.exactly(4) if length & 0x80 else bytes(4)
    return bytes(c ^ key[i % 4] for i, c in enumerate(reader.exactly(length & 0x7F)))


def accepted(head: bytes, more: bytes = b"") -> bytes:
    key = next(x for x in head.split(b"\r\n") if x.lower().startswith(b"sec-websocket-key"))
    magic = key.partition(b":")[2].strip() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(magic).digest())  # noqa: S324 - RFC 6455
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %s\r\n%s\r\n" % (accept, more)
    )


def websocket(connection: socket.socket, head: bytes, body: bytes) -> None:
    """Accepts, greets, and answers one message."""
    connection.sendall(accepted(head) + frame(b"welcome", masked=False))
    got = read_frame(Reader(connection))
    connection.sendall(frame(b"got " + got, masked=False))
    connection.sendall(b"\x88\x02" + struct.pack("!H", 1000))
    raise EOFError


UPGRADE = (
    b"GET /telemetry/ws HTTP/1.1\r\nHost: cdn.cribl.io\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def test_a_websocket_is_answered_by_the_app_and_its_messages_recorded(lab: Lab) -> None:
    sidecar, app, host = lab
    before = host.accepted
    app.mock = websocket
    with sidecar.connect() as connection:
        connection.sendall(UPGRADE)
        reader = Reader(connection)
        assert reader.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        assert read_frame(reader) == b"welcome"
        connection.sendall(frame(b"hello", masked=True))
        assert read_frame(reader) == b"got hello"
    opened = sidecar.record_of("/telemetry/ws")
    assert opened.answered_by == "app"
    assert opened.response is not None and opened.response.status == 101
    head = app.asked[-1][0].lower()
    assert b"telemock-record: %s\r\n" % opened.id.encode() in head

    def messages() -> list[tuple[str, str | None]]:
        return [
            (x.message.sender, x.message.body.text)
            for x in sidecar.records()
            if x.message and x.message.of == opened.id
        ]

    expected = [("server", "welcome"), ("client", "hello"), ("server", "got hello")]
    wait_for(lambda: messages() == expected)
    assert host.accepted == before


def test_control_frames_between_the_fragments_of_a_compressed_message(lab: Lab) -> None:
    """Both ways: a ping, a pong nobody asked for, and another ping do not end the connection."""
    sidecar, app, _ = lab
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(b"hello " * 50) + packer.flush(zlib.Z_SYNC_FLUSH)
    packed = packed.removesuffix(b"\0\0\xff\xff")

    def fragments(masked: bool) -> bytes:
        def one(first: int, payload: bytes) -> bytes:
            return bytes([first]) + frame(payload, masked=masked)[1:]

        controls = one(0x89, b"ping") + one(0x8A, b"pong")
        return (
            one(0x41, packed[:4])
            + controls
            + one(0, packed[4:8])
            + controls
            + one(0x80, packed[8:])
        )

    def said(reader: Reader) -> tuple[bytes, int]:
        """The message, and how many control frames came within."""
        unpacker, message, controls = zlib.decompressobj(wbits=-15), b"", 0
        while True:
            first, length = reader.exactly(2)
            key = reader.exactly(4) if length & 0x80 else bytes(4)
            payload = bytes(c ^ key[i % 4] for i, c in enumerate(reader.exactly(length & 0x7F)))
            if first & 0x08:
                controls += 1
                continue
            message += unpacker.decompress(payload)
            if first & 0x80:
                return message + unpacker.decompress(b"\0\0\xff\xff"), controls

    got: list[tuple[bytes, int]] = []

    def both_ways(connection: socket.socket, head: bytes, body: bytes) -> None:
        connection.sendall(accepted(head, b"Sec-WebSocket-Extensions: permessage-deflate\r\n"))
        got.append(said(Reader(connection)))
        connection.sendall(fragments(masked=False))

    app.mock = both_ways
    offer = b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    with sidecar.connect() as connection:
        connection.sendall(UPGRADE.removesuffix(b"\r\n") + offer)
        reader = Reader(connection)
        reader.until(b"\r\n\r\n")
        connection.sendall(fragments(masked=True))
        assert said(reader) == (b"hello " * 50, 4)
    assert got == [(b"hello " * 50, 4)]
    opened = app.asked[-1][0].lower().partition(b"telemock-record: ")[2].split()[0].decode()

    def carried() -> list[tuple[str, str | None]]:
        """By control frames of this client."""
        return [
            (x.detail, x.message.body.text)
            for x in sidecar.records()
            if x.message and x.message.of == opened and x.detail
        ]

    two = [("in a ping frame", "ping"), ("in a pong frame", "pong")]
    wait_for(lambda: carried() == two * 2)


def test_a_websocket_that_passes_is_relayed_and_not_recorded(lab: Lab) -> None:
    sidecar, _, host = lab
    host.connected = lambda c: websocket(c, Reader(c).until(b"\r\n\r\n"), b"")  # type: ignore[method-assign]
    try:
        with sidecar.connect() as connection:
            connection.sendall(UPGRADE.replace(b"/telemetry/ws", b"/passes"))
            reader = Reader(connection)
            assert reader.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
            assert read_frame(reader) == b"welcome"
            connection.sendall(frame(b"hello", masked=True))
            assert read_frame(reader) == b"got hello"
    finally:
        del host.connected
    opened = sidecar.record_of("/passes")
    assert opened.action == "pass"
    assert not [x for x in sidecar.records() if x.message and x.message.of == opened.id]


def test_an_endless_websocket_message_is_cut(lab: Lab) -> None:
    sidecar, app, _ = lab

    def welcome(connection: socket.socket, head: bytes, body: bytes) -> None:
        with contextlib.suppress(EOFError):
            websocket(connection, head, body)

    app.mock = welcome
    before = sidecar.resident()
    with sidecar.connect() as connection:
        connection.sendall(UPGRADE)
        reader = Reader(connection)
        reader.until(b"\r\n\r\n")
        connection.sendall(b"\x01\xfe\xff\xff\0\0\0\0" + bytes(65535))
        more = b"\x00\xfe\xff\xff\0\0\0\0" + bytes(65535)
        with pytest.raises(OSError):
            for _ in range(2000):
                connection.sendall(more)
    assert sidecar.resident() - before < 100 * 1024 * 1024


def test_records_reach_the_app_with_the_token(lab: Lab) -> None:
    sidecar, app, _ = lab
    sidecar.ask("/telemetry/index.html?v=shipped")
    record = sidecar.record(lambda x: x.product_version == "shipped")
    wait_for(lambda: any(x.id == record.id for x in app.records))


def test_numbers_have_no_gap(lab: Lab) -> None:
    sidecar, app, _ = lab
    wait_for(lambda: sidecar.health()["shipper"]["queued"] == 0)
    last = sidecar.health()["shipper"]["reserved"]
    wait_for(lambda: sorted(x.seq for x in app.records) == list(range(1, last + 1)))
