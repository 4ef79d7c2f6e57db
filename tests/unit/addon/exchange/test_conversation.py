"""addon/exchange/conversation.py: where a request ends, and what clients get in any order."""

from typing import Any

import pytest
from h11._receivebuffer import ReceiveBuffer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mitmproxy.net.http import http1, validate

from addon.exchange.conversation import may_become_head, read_head
from addon.target.hello import HEAD_CAP
from tests.conversing import REAL
from tests.conversing import Client as Conversing

MOCKED = b"GET /telemetry/index.html?v=4.1 HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n"

# Framing: whatever is read here, mitmproxy's parser reads in the same way.


def by_mitmproxy(data: bytes) -> tuple[Any, int] | None:
    """The request at the beginning of these bytes and the size of its head; None while it has no
    end. Raises ValueError where mitmproxy refuses it."""
    buffer = ReceiveBuffer()
    buffer += data
    lines = buffer.maybe_extract_lines()
    if lines is None:
        return None
    if not lines:
        raise ValueError("an empty line first")
    request = http1.read_request_head([bytes(x) for x in lines])
    validate.validate_headers(request)
    return request, len(data) - len(buffer)


PIECES = st.sampled_from(
    [b"GET", b"POST", b"get", b" ", b"  ", b"/", b"/a?b=c", b"http://x/", b" HTTP/1.1",
     b" HTTP/1.0", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b"\0", b"\t", b":",
     b"Host: a", b"host:b",
     b"Content-Length: 5", b"content-length: 05", b"Content-Length: +5", b"Content-Length:",
     b"Content-Length : 5", b"content-length: 5, 5", b"Transfer-Encoding: chunked", b"X: y",
     b"X:  y \t", b" folded", b"X\xff: y", b"X: \xe9\xff", b"X: a\x0bb", b"body", b"\x1c"]
)  # fmt: skip
FIELDS = st.lists(
    st.sampled_from([b"X: y", b"Content-Length: 5", b"Content-Length:\t0 ", b"Connection: close",
                     b"A:", b"Transfer-Encoding: identity", b"Cookie: \xff=1", b"Te: trailers",
                     b"Host: b", b"X : y", b"X:\ty\t", b" y", b"\xc3\xa9: x",
                     b"content-length: 7"]),
    max_size=5,
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map(b"".join))
@example(b"GET / HTTP/1.1\nHost: a\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost: a\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n")
def test_any_bytes_are_read_as_mitmproxy_reads_them(data: bytes) -> None:
    agree(data)


@given(st.sampled_from([b"GET", b"POST", b"BREW"]), FIELDS, st.binary(max_size=20))
def test_any_request_is_read_as_mitmproxy_reads_it(
    method: bytes, fields: list[bytes], body: bytes
) -> None:
    agree(b"\r\n".join([method + b" /a?b HTTP/1.1", b"Host: a", *fields, b"", body]))


def agree(data: bytes) -> None:
    head = read_head(data)
    if head is not None:
        found = by_mitmproxy(data)
        assert found is not None
        request, size = found
        assert (request.data.method, request.data.path) == (head.method, head.target)
        assert request.data.headers.fields == head.fields
        assert size == head.size
        assert http1.expected_http_body_size(request) == head.length
        assert head.last or not http1.connection_close("HTTP/1.1", request.headers)
    elif may_become_head(data):
        assert by_mitmproxy(data) is None


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 0\r\nContent-Length: 5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 05\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 5\x0b\r\n",
        b"Content-Length : 5\r\n",
        b"Content-Length:\r\n 5\r\n",
        b"Content-Length: 1" + b"0" * 30 + b"\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"X: a\nContent-Length: 5\r\n",
        b"X: a\rContent-Length: 5\r\n",
        b"X: a\0\r\n",
        b"X\r\n",
        b": a\r\n",
        b"Host: other.example\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: websocket\r\n",
        b"Trailer: x\r\n",
    ],
)
def test_no_other_form_is_taken(fields: bytes) -> None:
    data = b"POST /events HTTP/1.1\r\nHost: cdn.cribl.io\r\n" + fields + b"\r\n"
    assert read_head(data) is None and not may_become_head(data)


@pytest.mark.parametrize(
    "first",
    [b"GET / HTTP/1.0", b"GET / HTTP/2.0", b"get / HTTP/1.1", b"CONNECT a:443 HTTP/1.1",
     b"GET http://a/ HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ",
     b"GET /\xe9 HTTP/1.1", b"GET /a\tb HTTP/1.1", b"", b" GET / HTTP/1.1"],
)  # fmt: skip
def test_no_other_first_line_is_taken(first: bytes) -> None:
    assert read_head(first + b"\r\nHost: a\r\n\r\n") is None


def test_a_head_is_waited_for_only_while_it_can_become_one() -> None:
    assert all(may_become_head(MOCKED[:n]) for n in range(1, len(MOCKED)))
    assert not may_become_head(b"GET / HTTP/1.1\nHost: a")
    assert not may_become_head(b"\r\nGET /")
    assert not may_become_head(b"G" * (HEAD_CAP + 1))


# Answering.


def test_what_is_for_the_real_host_goes_there_also_when_the_client_has_left_meanwhile() -> None:
    client = Conversing()
    client.reads_no_more()
    client.sends(paths=[REAL], body=b"")
    client.arrives(size=400)
    client.leaves()
    client.reads_again()
    client.nobody_waits_for_nothing()
    assert client.talk.over == client.talk.over and client.talk.over


TestConversation = Conversing.TestCase
TestConversation.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
