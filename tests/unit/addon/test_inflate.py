"""addon/inflate.py: compressed messages up to a bound."""

import zlib

import pytest
from wsproto import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection

from addon.inflate import Inflate
from tests.attacks.host import MIB, bomb, frame


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inflate, "most", 10_000)


def server() -> tuple[Connection, Inflate]:
    extension = Inflate()
    extension.finalize("permessage-deflate")
    return Connection(ConnectionType.SERVER, [extension]), extension


def packed(content: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = deflate.compress(content) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return frame(data[:-4], masked=True, first=0xC2)


def received(connection: Connection, data: bytes) -> list[object]:
    connection.receive_data(data)
    return list(connection.events())


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("times", [1, 5])
def test_messages_up_to_the_bound_are_inflated(times: int) -> None:
    connection, extension = server()
    for _ in range(times):  # each counts anew
        events = received(connection, packed(b"x" * 10_000))
        content = b"".join(bytes(x.data) for x in events if isinstance(x, BytesMessage))
        assert content == b"x" * 10_000
    assert not extension.over


@pytest.mark.usefixtures("small")
def test_a_larger_one_ends_the_connection() -> None:
    connection, extension = server()
    (event,) = received(connection, packed(b"x" * 10_001))
    assert isinstance(event, CloseConnection) and event.code == 1009
    assert extension.over


def test_a_bomb_is_inflated_no_further_than_the_bound() -> None:
    connection, extension = server()
    data = bomb(masked=True)
    assert len(data) < MIB
    inflated = 0
    for begin in range(0, len(data), 65536):
        for event in received(connection, data[begin : begin + 65536]):
            inflated += len(event.data) if isinstance(event, BytesMessage) else 0
        if extension.over:
            break
    assert extension.over and inflated <= Inflate.most


def test_what_is_not_compressed_is_not_counted() -> None:
    connection, extension = server()
    (event,) = received(connection, frame(b"x" * 70_000, masked=True, first=0x82))
    assert isinstance(event, BytesMessage) and not extension.over
