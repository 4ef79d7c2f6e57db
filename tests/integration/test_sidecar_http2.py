"""HTTP/2 towards the client, HTTP/1 towards the real host."""

import hashlib
import json
import os
import socket
from collections.abc import Iterator

import h2.connection
import h2.events
import pytest

from tests.peers import Host, Reader
from tests.sidecar import HOST, LINE, Sidecar, before_host, bundle_of, rule
from tests.waiting import wait_for

RULES = bundle_of(
    rule("index", "/telemetry/index.html"),
    rule("observe", "/observe", "observe"),
    rule("block", "/block", "block"),
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sidecar, Host]]:
    with before_host(tmp_path_factory.mktemp("http2"), RULES, Host) as lab:
        yield lab


class Client:
    """One HTTP/2 connection."""

    def __init__(self, sidecar: Sidecar) -> None:
        context = sidecar.trust()
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(sidecar.connect(tls=False), server_hostname=HOST)
        self.http = h2.connection.H2Connection()
        self.http.initiate_connection()
        self.bodies: dict[int, bytes] = {}
        self.statuses: dict[int, int] = {}
        self.ended: set[int] = set()

    def start(self, path: str, method: str = "POST", *, end: bool = False) -> int:
        stream: int = self.http.get_next_available_stream_id()
        head = [(":method", method), (":path", path), (":authority", HOST), (":scheme", "https")]
        self.http.send_headers(stream, head, end_stream=end)
        self.flush()
        return stream

    def flush(self) -> None:
        self.socket.sendall(self.http.data_to_send())

    def send(self, stream: int, data: bytes) -> None:
        while data:
            while not (room := self.http.local_flow_control_window(stream)):
                self.receive()
            size = min(room, len(data), self.http.max_outbound_frame_size)
            self.http.send_data(stream, data[:size])
            data = data[size:]
            self.flush()

    def receive(self) -> None:
        for event in self.http.receive_data(self.socket.recv(65536)):
            if isinstance(event, h2.events.ResponseReceived):
                self.statuses[event.stream_id] = int(dict(event.headers)[b":status"])
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id)
            elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                raise ConnectionError(event)
        self.flush()

    def answer(self, stream: int) -> tuple[int, bytes]:
        while stream not in self.ended:
            self.receive()
        return self.statuses[stream], self.bodies.get(stream, b"")


Lab = tuple[Sidecar, Host]


def test_streams_of_one_connection_are_answered(lab: Lab) -> None:
    client = Client(lab[0])
    streams = [client.start("/telemetry/index.html", "GET", end=True) for _ in range(5)]
    blocked = client.start("/block", "GET", end=True)
    assert [client.answer(s) for s in streams] == [(200, LINE)] * 5
    assert client.answer(blocked)[0] == 403
    record = lab[0].record_of("/block")
    assert record.request is not None and record.request.http_version == "HTTP/2.0"
    assert record.request.host == HOST
    assert record.tls is not None and record.tls.alpn == "h2"
    client.socket.close()


@pytest.mark.parametrize("path", ["/observe", "/telemetry/index.html", "/other/x"])
def test_a_body_of_unknown_length(lab: Lab, path: str) -> None:
    """Framed towards the real host, or it would read the body as its next request."""
    client = Client(lab[0])
    body = os.urandom(3_000_000)
    stream = client.start(path)
    client.send(stream, body)
    client.http.end_stream(stream)
    client.flush()
    status, answered = client.answer(stream)
    assert status == 200
    if path == "/telemetry/index.html":
        assert answered == LINE
    else:
        assert json.loads(answered)["sha256"] == hashlib.sha256(body).hexdigest()
        assert "transfer-encoding: chunked" in json.loads(answered)["head"]
    client.socket.close()


@pytest.mark.parametrize("path", ["/observe", "/telemetry/index.html", "/other/x"])
def test_trailers_are_answered_with_501(lab: Lab, path: str) -> None:
    client = Client(lab[0])
    already = lab[0].recorded()
    stream = client.start(path)
    client.send(stream, b"hello")
    client.http.send_headers(stream, [("x-sum", "1")], end_stream=True)
    client.flush()
    assert client.answer(stream)[0] == 501
    record = wait_for(lambda: lab[0].records()[already:])[-1]
    assert (record.kind, record.reason) == ("refused", "trailers")
    # The connection goes on.
    assert client.answer(client.start("/telemetry/index.html", "GET", end=True)) == (200, LINE)
    client.socket.close()


def test_a_chunked_answer_with_trailers(lab: Lab) -> None:
    running, host = lab

    def chunked(connection: socket.socket) -> None:
        Reader(connection).until(b"\r\n\r\n")
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
        )

    host.connected = chunked  # type: ignore[method-assign]
    try:
        client = Client(running)
        assert client.answer(client.start("/observe", "GET", end=True)) == (200, b"ok")
        client.socket.close()
    finally:
        del host.connected
