"""HTTP/2 without TLS on a port that a profile names: answered, forwarded, and recorded, as gRPC in
plain is sent."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

from app.contract import rules as r
from tests.integration.test_lines import HOST, PORT, Lab, Start, bundle, of, start
from tests.peers import Listener

__all__ = ["start"]  # the fixture

pytestmark = pytest.mark.root
PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Peer:
    """One side of a connection of HTTP/2."""

    def __init__(self, connection: socket.socket, *, client: bool) -> None:
        self.socket = connection
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=client))
        self.http.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.socket.sendall(self.http.data_to_send())

    def events(self) -> Iterator[Any]:
        while data := self.socket.recv(65536):
            yield from self.http.receive_data(data)
            self.flush()


class Vendor(Listener):
    """A real host that knows HTTP/2 without TLS, and nothing else."""

    def __init__(self, context: ssl.SSLContext | None, port: int) -> None:
        self.asked: list[dict[str, str]] = []
        super().__init__(context, port=port)

    def connected(self, connection: socket.socket) -> None:
        peer = Peer(connection, client=False)
        for event in peer.events():
            if isinstance(event, h2.events.RequestReceived):
                self.asked.append({bytes(n).decode(): bytes(v).decode() for n, v in event.headers})
            elif isinstance(event, h2.events.StreamEnded):
                peer.http.send_headers(event.stream_id, [(":status", "200")])
                peer.http.send_data(event.stream_id, b"real", end_stream=True)
                peer.flush()


def asked(connection: socket.socket, body: bytes = b'{"version":"3.9.1"}') -> tuple[int, bytes]:
    """Sends one request; its status and body, status 0 where the other side ended it."""
    peer = Peer(connection, client=True)
    head = [(":method", "POST"), (":path", PATH), (":authority", f"{HOST}:{PORT}"),
            (":scheme", "http"), ("content-type", "application/json")]  # fmt: skip
    peer.http.send_headers(1, head)
    peer.http.send_data(1, body, end_stream=True)
    peer.flush()
    status, content = 0, b""
    with contextlib.suppress(ConnectionError):
        for event in peer.events():
            if isinstance(event, h2.events.ResponseReceived):
                status = int(dict(event.headers)[b":status"])
            elif isinstance(event, h2.events.DataReceived):
                content += event.data
            elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                break
    return status, content


@pytest.mark.parametrize("way", [Lab.plain, Lab.tunnel], ids=["redirected", "CONNECT"])
def test_it_is_answered_and_recorded_as_a_request(start: Start, way: Any) -> None:
    lab = start(bundle())
    with way(lab) as client:
        assert asked(client) == (200, b"hi")
    (one,) = lab.wait(1)
    assert one.request is not None
    assert (one.request.method, one.request.scheme, one.request.path) == ("POST", "http", PATH)
    assert (one.host, one.request.port, one.request.http_version) == (HOST, PORT, "HTTP/2.0")
    assert (of(one), one.product_version, one.tls) == ("answered", "3.9.1", None)
    assert lab.vendor.got == b""


def test_it_is_forwarded_as_it_came(start: Start) -> None:
    vendors: list[Vendor] = []
    lab = start(bundle("observe"), tls=False, TELEMOCK_RESOLVE=f"{HOST}:{PORT}=127.0.0.1:7002")
    try:
        vendors.append(lab.namespace.inside(Vendor, None, 7002))
        with lab.plain() as client:
            assert asked(client) == (200, b"real")
        (one,) = lab.wait(1)
        assert of(one) == "delivered" and one.response is not None and one.response.status == 200
        assert [said[":path"] for said in vendors[0].asked] == [PATH]
        assert vendors[0].asked[0][":authority"] == f"{HOST}:{PORT}"
    finally:
        for vendor in vendors:
            vendor.close()


def test_it_is_refused_where_the_rule_says_so(start: Start) -> None:
    lab = start(bundle("block"))
    with lab.plain() as client:
        status, _ = asked(client)
    (one,) = lab.wait(1)
    assert status != 200 and of(one) == "refused"
    assert lab.vendor.got == b""


def test_an_upgrade_to_it_is_answered_as_if_it_were_not_asked_for(start: Start) -> None:
    """As RFC 9113 has it, 3.1: no server has to take it, and clients do without."""
    lab = start(bundle())
    with lab.plain() as client:
        client.sendall(
            b"GET /v1 HTTP/1.1\r\nHost: kong.test:61833\r\nConnection: Upgrade, HTTP2-Settings, "
            b"close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
        )
        got = b""
        while data := client.recv(65536):
            got += data
    assert got.startswith(b"HTTP/1.1 200 ") and got.endswith(b"hi")
    (one,) = lab.wait(1)
    assert one.request is not None and of(one) == "answered"


def test_a_rule_for_a_path_decides_there_too(start: Start) -> None:
    page = r.Rule("page", "mock", match=r.Match(paths=(r.Path("exact", PATH),)),
                  answer=r.Answer(body=b"page"), answer_at="sidecar")  # fmt: skip
    profile = bundle("block").rules.profiles[0]
    for rules in ((page, *profile.rules), (page,)):  # the last takes no lines
        lab = start(r.Bundle(r.RuleSet((r.Profile("kong", "Kong", profile.hosts, rules),))))
        with lab.plain() as client:
            assert asked(client) == (200, b"page")
