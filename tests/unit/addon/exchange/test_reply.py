"""addon/exchange/reply.py: how an answer is written, and when it is a connection's last."""

import pytest
from mitmproxy.net.http import http1
from mitmproxy.test import tutils

from addon.exchange.reply import Reply, closes, reply_of, static
from app.contract import rules as r
from tests.sidecar import LINE

LENGTH = (b"content-length", b"29")


def test_an_answer_is_written_as_mitmproxy_writes_it() -> None:
    reply = Reply(200, b"OK", ((b"X-A", b"1"), LENGTH), LINE)
    response = reply.for_mitmproxy(tutils.treq())
    assert reply.bytes == http1.assemble_response_head(response) + LINE
    assert response.raw_content == LINE
    assert reply_of(response).fields == reply.fields


@pytest.mark.parametrize(
    ("status", "method", "fields", "last"),
    [
        (200, "GET", (LENGTH,), False),
        (200, "GET", (LENGTH, (b"Connection", b"Close")), True),
        (200, "GET", (LENGTH, (b"Connection", b"keep-alive, x")), False),
        (200, "GET", (), True),
        (200, "GET", (LENGTH, (b"Transfer-Encoding", b"chunked")), True),
        (204, "GET", (), False),
        (304, "GET", (), False),
        (200, "HEAD", (), False),
        (200, "HEAD", ((b"connection", b"close"),), True),
    ],
)
def test_the_last_answer_of_a_connection(
    status: int, method: str, fields: tuple[tuple[bytes, bytes], ...], last: bool
) -> None:
    assert Reply(status, b"", fields, b"", method=method).last == last


def test_http2_has_no_connection_header() -> None:
    reply = Reply(501, b"", (LENGTH, (b"Connection", b"close")), LINE)
    assert "connection" in reply.for_mitmproxy(tutils.treq()).headers
    http2 = tutils.treq(http_version=b"HTTP/2.0")
    assert "connection" not in reply.for_mitmproxy(http2).headers


def test_a_rules_own_answer_is_made_once() -> None:
    answer = r.Answer(body=LINE, headers=(("X-A", "\xe9"),))
    assert static(answer, "GET") is static(r.Answer(body=LINE, headers=(("X-A", "\xe9"),)), "GET")
    assert static(answer, "HEAD").body == b""
    assert static(answer, "GET").fields == ((b"X-A", "\xe9".encode()), LENGTH)


def test_close_is_one_of_the_words() -> None:
    assert closes([b"x,\tClose"]) and closes([b"x", b"close"])
    assert not closes([b"closed"]) and not closes([])
