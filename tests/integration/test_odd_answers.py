"""What a real host answers oddly but legibly arrives, with clients of HTTP/1 and of HTTP/2; what
could be read in two ways is refused. How a head is put right:
tests/unit/addon/mitm/test_legible.py."""

import http.client
import socket
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.entrances import answers_http2
from tests.peers import Listener, Reader
from tests.sidecar import HOST, Sidecar, before_host, bundle_of, rule

RULES = bundle_of(rule("observe", "/observe", "observe"))
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"content-length: 5\r\n"


class Odd(Listener):
    """Answers every request with these bytes."""

    answer = b""

    def connected(self, connection: socket.socket) -> None:
        reader = Reader(connection)
        while True:
            reader.until(b"\r\n\r\n")
            for part in self.answer.split(b"|"):
                connection.sendall(part)
            if b"close" in self.answer:
                return


Lab = tuple[Sidecar, Odd]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with before_host(tmp_path_factory.mktemp("odd"), RULES, Odd) as lab:
        yield lab


class Case(NamedTuple):
    name: str
    answer: bytes
    status: int = 200
    body: bytes = b"hello"


LEGIBLE = (
    Case("100", b"HTTP/1.1 100 Continue\r\n\r\n" + OK + LENGTH + b"\r\nhello"),
    Case("102 and 103", b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n"
         b"\r\n" + OK + LENGTH + b"\r\nhello"),
    Case("103 on its own", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n|" + OK + LENGTH
         + b"\r\nhello"),
    Case("103 cut", b"HTTP/1.1 103 Early Hi|nts\r\nlink: </a>\r\n\r|\n" + OK + LENGTH
         + b"\r\nhello"),
    Case("103, then chunks", b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK
         + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    Case("two equal lengths", OK + LENGTH * 2 + b"\r\nhello"),
    Case("a list of equal lengths", OK + b"content-length: 5, 5\r\n\r\nhello"),
    Case("a length with zeros", OK + b"content-length: 0005\r\n\r\nhello"),
    Case("204 with a length", b"HTTP/1.1 204 No Content\r\n" + LENGTH + b"\r\n", 204, b""),
    Case("204 with length 0", b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", 204, b""),
    Case("204 with chunks", b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n", 204,
         b""),
    Case("304 with a length", b"HTTP/1.1 304 Not Modified\r\n" + LENGTH + b"\r\n", 304, b""),
    Case("a blank before the colon", OK + b"content-length : 5\r\nx-a\t: 1\r\n\r\nhello"),
    Case("a folded value", OK + b"x-a: 1\r\n 2\r\n\t3\r\n" + LENGTH + b"\r\nhello"),
    Case("a fold first", OK + b" folded\r\n" + LENGTH + b"\r\nhello"),
    Case("bare line feeds", b"HTTP/1.1 200 OK\ncontent-length: 5\n\nhello"),
    Case("no reason", b"HTTP/1.1 200\r\n" + LENGTH + b"\r\nhello"),
    Case("a blank and no reason", b"HTTP/1.1 200 \r\n" + LENGTH + b"\r\nhello"),
    Case("an odd reason", b"HTTP/1.1 200 \xc3\xa9t\xe9: done\r\n" + LENGTH + b"\r\nhello"),
    Case("a small version", b"http/1.1 200 ok\r\n" + LENGTH + b"\r\nhello"),
    Case("many blanks", b"HTTP/1.1   200   OK\r\n" + LENGTH + b"\r\nhello"),
    Case("an empty line first", b"\r\n" + OK + LENGTH + b"\r\nhello"),
    Case("an empty line alone", b"\r\n|" + OK + LENGTH + b"\r\nhello"),
    Case("an empty line after it", OK + LENGTH + b"\r\nhello\r\n"),
    Case("a line without a colon", OK + b"no colon\r\n" + LENGTH + b"\r\nhello"),
    Case("a line without a name", OK + b": x\r\n" + LENGTH + b"\r\nhello"),
    Case("a name with a blank", OK + b"x a: 1\r\n" + LENGTH + b"\r\nhello"),
    Case("a name in Latin-1", OK + b"x-\xe9: 1\r\n" + LENGTH + b"\r\nhello"),
    Case("a value in Latin-1", OK + b"x-a: \xe9\r\n" + LENGTH + b"\r\nhello"),
    Case("an empty value", OK + b"x-a:\r\n" + LENGTH + b"\r\nhello"),
    Case("NUL and CR in a value", OK + b"x-a: 1\0 2\r3\r\n" + LENGTH + b"\r\nhello"),
    Case("identity", OK + b"transfer-encoding: identity\r\n" + LENGTH + b"\r\nhello"),
    Case("Chunked", OK + b"Transfer-Encoding: Chunked\r\n\r\n5;x=1\r\nhello\r\n0\r\n\r\n"),
    Case("until the end", OK + b"connection: close\r\n\r\nhello"),
    Case("HTTP/1.0", b"HTTP/1.0 200 OK\r\n" + LENGTH + b"connection: close\r\n\r\nhello"),
    Case("an unknown status", b"HTTP/1.1 599 What\r\n" + LENGTH + b"\r\nhello", 599),
    Case("headers of the connection", OK + b"keep-alive: timeout=5\r\nproxy-connection: x\r\n"
         b"upgrade: h2c\r\n" + LENGTH + b"\r\nhello"),
)  # fmt: skip
AMBIGUOUS = (
    Case("two lengths", OK + LENGTH + b"content-length: 6\r\n\r\nhello!"),
    Case("a list of two lengths", OK + b"content-length: 5, 6\r\n\r\nhello!"),
    Case("a length and chunks", OK + LENGTH
         + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    Case("chunks twice", OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n"
         b"5\r\nhello\r\n0\r\n\r\n"),
    Case("a signed length", OK + b"content-length: +5\r\n\r\nhello"),
    Case("no status", b"HTTP/1.1 OK\r\n" + LENGTH + b"\r\nhello"),
    Case("no HTTP", b"SSH-2.0-OpenSSH\r\n\r\n"),
)  # fmt: skip


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
@pytest.mark.parametrize("path", ["/observe", "/passes"])
@pytest.mark.parametrize("case", LEGIBLE, ids=[case.name for case in LEGIBLE])
def test_an_odd_answer_arrives(lab: Lab, case: Case, path: str, http2: bool) -> None:
    assert asked(lab, case, path, http2) == [(case.status, case.body)] * (2 if http2 else 1)


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
@pytest.mark.parametrize("case", AMBIGUOUS, ids=[case.name for case in AMBIGUOUS])
def test_an_ambiguous_answer_is_refused(lab: Lab, case: Case, http2: bool) -> None:
    ((status, _),) = asked(lab, case, "/observe", http2)[:1]
    assert status == 502


def asked(lab: Lab, case: Case, path: str, http2: bool) -> list[tuple[int, bytes]]:
    sidecar, host = lab
    host.answer = case.answer
    context = sidecar.trust()
    context.set_alpn_protocols(["h2" if http2 else "http/1.1"])
    with context.wrap_socket(sidecar.connect(tls=False), server_hostname=HOST) as client:
        client.settimeout(5)
        if http2:
            return answers_http2(client, path, 2, pipelined=True)
        return read(client, path)


def read(client: socket.socket, path: str) -> list[tuple[int, bytes]]:
    """One answer, as a client reads it that knows how it may end."""
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    client.sendall(request.encode())
    answer = http.client.HTTPResponse(client, method="GET")
    answer.begin()
    return [(answer.status, answer.read())]
