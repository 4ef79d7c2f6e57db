"""addon/target/hello.py: how far a ClientHello has come, and that it is read as mitmproxy does."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy.layers.tls import parse_client_hello
from mitmproxy.tls import ClientHello

from addon.target.hello import HEAD_CAP, MOST_RECORDS, Hello, look, parse, starts_like_tls
from tests.unit.addon.target.test_first_bytes import hello

WHOLE = hello("cdn.cribl.io")


def cut(size: int) -> bytes:
    """The same hello in records of this size."""
    content = WHOLE[5:]
    parts = [content[i : i + size] for i in range(0, len(content), size)]
    return b"".join(b"\x16\x03\x01" + len(p).to_bytes(2) + p for p in parts)


@pytest.mark.parametrize("data", [WHOLE, cut(100), cut(20)])
def test_it_is_ready_exactly_when_the_parser_reads_it(data: bytes) -> None:
    for size in range(3, len(data) + 1):
        assert (look(data[:size]) is Hello.READY) == (parse_client_hello(data[:size]) is not None)


def test_more_records_than_any_client_uses() -> None:
    assert look(cut(1)) is Hello.SHREDDED
    assert look(cut(1)[: 6 * (MOST_RECORDS - 1)]) is Hello.PARTIAL


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x00\x00", b"\x17\x03\x01\x00\x05hello",
     b"\x16\x03\x01\xff\xff" + b"x" * HEAD_CAP],
)  # fmt: skip
def test_what_only_the_parser_can_tell(data: bytes) -> None:
    assert look(data) is Hello.READY


def read_by(parser: Callable[[bytes], ClientHello | None], data: bytes) -> object:
    try:
        found = parser(data)
    except ValueError:
        return "refused"
    return found and (found.sni, found.alpn_protocols, found.extensions)


@given(
    st.integers(1, 300),
    st.integers(0, 2000),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255))),
)
@example(300, 2000, [])
def test_it_is_read_as_mitmproxy_reads_it(
    size: int, end: int, spoiled: list[tuple[int, int]]
) -> None:
    data = bytearray(cut(size)[:end])
    for at, value in spoiled:
        if at < len(data):
            data[at] = value
    assert read_by(parse, bytes(data)) == read_by(parse_client_hello, bytes(data))
    assert starts_like_tls(bytes(data)) == starts_like_tls_record(bytes(data))
