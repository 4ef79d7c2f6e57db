"""app/contract/decoding/protobuf.py: numbered fields, and lengths that follow."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.decoding import protobuf
from tests.unit.app.contract.decoding.timing import linear


def key(number: int, wire: int) -> bytes:
    return protobuf.encoded(number << 3 | wire)


def text(number: int, value: bytes) -> bytes:
    return key(number, 2) + protobuf.encoded(len(value)) + value


MESSAGE = (
    text(1, b"abc") + key(2, 0) + protobuf.encoded(300) + text(3, text(1, b"inner"))
    + key(4, 1) + struct.pack("<d", 1.5) + key(5, 5) + struct.pack("<f", 0.5) + text(300, b"")
)  # fmt: skip


def test_fields_are_named_by_their_numbers() -> None:
    parts = protobuf.split(MESSAGE)
    fields = protobuf.fields(MESSAGE)
    assert parts is not None and fields is not None
    assert [p.name for p in parts] == ["1", "2", "3", "4", "5", "300"]
    assert MESSAGE[parts[0].start : parts[0].end] == b"abc"
    inner = MESSAGE[parts[2].start : parts[2].end]
    assert [p.name for p in protobuf.split(inner) or ()] == ["1"]
    assert [protobuf.number(MESSAGE, f) for f in fields] == [None, 300, None, 1.5, 0.5, None]


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", b"\x08", b"\x0a\x05abc", b"\x0b", b"\x0f\x00", b"\x08" + b"\xff" * 11,
     b"\x0d\x00", b"\xff" * 9, b"hello world, this is text", text(1 << 20, b"")],
)  # fmt: skip
def test_other_bytes_are_none(data: bytes) -> None:
    assert protobuf.split(data) is None


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_only_changed_fields_and_their_lengths_change(values: list[bytes]) -> None:
    def message(values: list[bytes]) -> bytes:
        return b"".join(text(i, value) for i, value in enumerate(values, 1))

    data = message(values)
    parts = protobuf.split(data)
    assert parts is not None and [data[p.start : p.end] for p in parts] == values
    assert protobuf.join(data, parts, values) == data
    values[0] = b"*" * 150
    assert protobuf.join(data, parts, values) == message(values)


@given(st.binary(max_size=60))
def test_any_bytes_are_split_or_refused(data: bytes) -> None:
    parts = protobuf.split(data)
    if parts is not None:
        assert protobuf.join(data, parts, [data[p.start : p.end] for p in parts]) == data


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=4))
def test_messages_of_grpc_stand_behind_their_lengths(messages: list[bytes]) -> None:
    data = b"".join(b"\0" + len(m).to_bytes(4) + m for m in messages)
    parts = protobuf.framed(data)
    assert parts is not None and [data[p.start : p.end] for p in parts] == messages
    assert protobuf.join_framed(data, parts, messages) == data
    assert protobuf.framed(data + b"\0") is None and protobuf.framed(b"\1" + data[1:]) is None


@pytest.mark.parametrize("filler", [b"\x08\x00", b"\x0a\x00", b"\xff", b"\x80", b"\x0a\x7f"])
def test_hostile_bytes_take_linear_time(filler: bytes) -> None:
    assert linear(protobuf.split, lambda n: filler * n, 15_000)
    assert linear(protobuf.framed, lambda n: b"\0" * 5 * n, 15_000)


def test_a_million_fields_are_refused() -> None:
    assert protobuf.split(b"\x08\x00" * 1_000_000) is None
