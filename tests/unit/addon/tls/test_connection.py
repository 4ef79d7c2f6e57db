"""addon/tls/connection.py: TLS between two buffers, for us and as mitmproxy asks for it."""

import contextlib
import ssl

import pytest
import trustme
from OpenSSL import SSL

from addon.tls.connection import RECORD, Connection
from tests.sidecar import HOST


def handshake(
    server: Connection,
    trusting: ssl.SSLContext,
    session: ssl.SSLSession | None = None,
    name: str = HOST,
) -> ssl.SSLObject:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(incoming, outgoing, server_hostname=name, session=session)
    for _ in range(10):
        for side in (client.do_handshake, server.do_handshake, lambda: client.read(1)):
            with contextlib.suppress(ssl.SSLWantReadError, SSL.WantReadError):
                side()
            if data := outgoing.read():
                server.bio_write(data)
            with contextlib.suppress(SSL.WantReadError):
                incoming.write(server.bio_read(65536))
    return client


@pytest.fixture
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's, and of a client that trusts it."""
    ca, server, client = trustme.CA(), *(ssl.SSLContext(x) for x in (
        ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT))  # fmt: skip
    ca.issue_cert(HOST).configure_cert(server)
    ca.configure_trust(client)
    return server, client


def pair(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> tuple[Connection, "Client"]:
    """A server's connection and its client, once they have shaken hands."""
    server, client = Connection(contexts[0]), Client(contexts[1])
    while not client.shaken():
        server.take(client.sent())
        server.shake()
        client.get(server.out())
    server.take(client.sent())
    assert server.shake() and server.shaken and not server.heard
    client.get(server.out())
    return server, client


class Client:
    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=HOST)

    def shaken(self) -> bool:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
            return True
        return False

    def sent(self) -> bytes:
        return self.outgoing.read()

    def get(self, data: bytes) -> None:
        self.incoming.write(data)

    def read(self) -> bytes:
        found = b""
        with contextlib.suppress(ssl.SSLWantReadError):
            while data := self.tls.read(RECORD):
                found += data
        return found


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_is_read_leaves_nothing_of_a_record_behind(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], version: ssl.TLSVersion
) -> None:
    contexts[1].maximum_version = version
    server, client = pair(contexts)
    sent = [b"x" * size for size in (1, RECORD - 1, RECORD, 1, RECORD + 1, 3 * RECORD, 100)]
    for data in sent:
        client.tls.write(data)
    wire, found = client.sent(), b""
    for begin in range(0, len(wire), 1000):  # records come in pieces, and several in one
        server.take(wire[begin : begin + 1000])
        while plain := server.plain():
            found += plain
        assert not server._ssl.pending()
    assert found == b"".join(sent)


def test_content_goes_both_ways_in_records(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, client = pair(contexts)
    client.tls.write(b"a request")
    server.take(client.sent())
    assert server.plain() == b"a request" and server.plain() == b""
    assert server.heard and not server.ended and server.waiting == 0
    answer = b"x" * (3 * RECORD + 1)
    server.seal(answer)
    client.get(server.out())
    assert client.read() == answer
    assert server.received > len(answer) and server.sent > 0


def test_a_goodbye_ends_it(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = pair(contexts)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.tls.unwrap()
    server.take(client.sent())
    assert server.plain() == b"" and server.ended and server.error == ""
    server.part()
    client.get(server.out())
    with pytest.raises(ssl.SSLZeroReturnError):
        client.tls.read(1)
    server.seal(b"nobody hears it")  # is no error


def test_what_is_no_tls_is_said(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server = Connection(contexts[0])
    server.take(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ssl.SSLError):
        server.shake()
    assert server.error == "http request" and not server.shaken
    spoiled, _ = pair(contexts)
    spoiled.take(b"\x17\x03\x03\x00\x02no")
    assert spoiled.plain() == b"" and spoiled.ended and spoiled.error


def test_mitmproxy_gets_a_connection_whose_handshake_is_done(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, client = pair(contexts)
    server.leave(b"read already")
    server.bio_write(b"the first bytes again, which are not for it")
    server.do_handshake()
    assert server.recv(65536) == b"read already"
    with pytest.raises(SSL.WantReadError):
        server.recv(65536)
    client.tls.write(b"and more")
    server.bio_write(client.sent())
    assert server.recv(65536) == b"and more"
