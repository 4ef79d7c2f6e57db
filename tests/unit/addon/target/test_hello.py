"""addon/target/hello.py: how far a ClientHello has come."""

import pytest
from mitmproxy.proxy.layers.tls import parse_client_hello

from addon.target.first_bytes import HEAD_CAP
from addon.target.hello import MOST_RECORDS, Hello, look
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
