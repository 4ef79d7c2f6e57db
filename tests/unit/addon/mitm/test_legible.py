"""addon/mitm/legible.py: heads put right; what arrives: tests/integration/test_odd_answers.py."""

import pytest
from h11._receivebuffer import ReceiveBuffer
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.net.http import http1, validate

from addon.mitm.legible import final

OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = OK + b"Content-Type: text/html\r\nx-a: 1\r\nX-A: 2\r\ncontent-length: 5\r\n\r\nhello"


def test_a_usual_head_stays_as_it_is() -> None:
    assert final(PLAIN) == PLAIN
    for cut in range(len(PLAIN)):
        assert final(PLAIN[:cut]) == PLAIN[:cut]


@pytest.mark.parametrize("status", [100, 102, 103, 110])
def test_an_informational_answer_is_left_out_and_101_is_none(status: int) -> None:
    assert final(b"HTTP/1.1 %d Wait\r\nlink: </a>\r\n\r\n" % status * 2 + PLAIN) == PLAIN
    switch = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n\x81\x00"
    assert final(switch) == switch


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (b"http/1.0  200\nA : 1\n\n", b"HTTP/1.0 200 \r\nA: 1\r\n\r\n"),
        (OK + b"a: 1\r\n \t2\r\n\t3 \r\n\r\n", OK + b"a: 1 2 3\r\n\r\n"),
        (OK + b"content-length: 05\r\nContent-Length: 5, 5\r\n\r\n",
         OK + b"content-length: 5\r\n\r\n"),
        (OK + b"no colon\r\n: no name\r\nb c: 1\r\nd: 2\r\n\r\n", OK + b"d: 2\r\n\r\n"),
        (OK + b"a: \0 1\r2\r\n\r\n", OK + b"a: 1 2\r\n\r\n"),
        (OK + b"transfer-encoding: Identity\r\n\r\n", OK + b"\r\n"),
    ],
)  # fmt: skip
def test_heads_are_put_right(head: bytes, wanted: bytes) -> None:
    assert final(head) == wanted


@pytest.mark.parametrize(
    "fields",
    [
        b"content-length: 5\r\ncontent-length: 6\r\n",
        b"content-length: 5, 6\r\n",
        b"content-length: +5\r\n",
        b"content-length: \r\n",
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
    ],
)
def test_what_could_be_read_in_two_ways_stays_so(fields: bytes) -> None:
    """And mitmproxy refuses it."""
    assert final(OK + fields + b"\r\n") == OK + fields + b"\r\n"
    with pytest.raises(ValueError):
        validate.validate_headers(read(OK + fields + b"\r\n"))


def test_a_length_of_204_is_for_clients_that_ignore_it() -> None:
    head = b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n"
    assert final(head) == head
    assert final(head, http2=True) == b"HTTP/1.1 204 No Content\r\n\r\n"


def read(head: bytes) -> object:
    buffer = ReceiveBuffer()
    buffer += head
    return http1.read_response_head([bytes(line) for line in buffer.maybe_extract_lines() or ()])


LINE = st.sampled_from(
    [b"a: 1", b"b : 2", b" fold", b"content-length: 3", b"Content-Length: 4", b"x", b":", b"\0: 1",
     b"transfer-encoding: chunked", b"TRANSFER-ENCODING: identity", b"c: \xff", b"d\r: 1"]
)  # fmt: skip


@given(
    st.lists(LINE, max_size=6), st.sampled_from([b"\r\n", b"\n"]), st.sampled_from([b"200", b"204"])
)
def test_whatever_the_head_it_is_put_right_once_and_mitmproxy_can_read_it(
    lines: list[bytes], end: bytes, status: bytes
) -> None:
    head = end.join([b"HTTP/1.1 " + status, *lines, b"", b"body"])
    once = final(head)
    assert final(once) == once and once.endswith(b"\r\n\r\nbody")
    read(once)


@given(st.binary(max_size=80))
def test_any_bytes_are_taken(data: bytes) -> None:
    assert final(final(data)) == final(data)
