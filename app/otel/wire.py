"""Protobuf's wire format, as far as OTLP's few messages need it.

`app.otel.otlp` and `app.otel.points` write with it, `app.otel.session` reads an answer. The
generated classes and their runtime would add 2.8 MB to every sidecar.

Each writer gives one field whole, also where its value is the default: to a parser that is the
same as none.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Literal

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_SMALL = tuple(bytes((n,)) for n in range(0x80))
_UINT64 = (1 << 64) - 1
_LONGEST = 10  # bytes of a varint


def varint(value: int) -> bytes:
    """Of a number that is not negative."""
    if value < 0x80:
        return _SMALL[value]
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """An int64, bool or enum."""
    return varint(field << 3 | _VARINT) + varint(value & _UINT64)


def fixed64(field: int, value: int) -> bytes:
    """Raises struct.error for what is no uint64."""
    return varint(field << 3 | _FIXED64) + struct.pack("<Q", value)


def fixed32(field: int, value: int) -> bytes:
    return varint(field << 3 | _FIXED32) + struct.pack("<I", value)


def double(field: int, value: float) -> bytes:
    return varint(field << 3 | _FIXED64) + struct.pack("<d", value)


def packed(field: int, kind: Literal["Q", "d"], values: Sequence[float]) -> bytes:
    """All values of a repeated fixed64 (Q) or double (d)."""
    return message(field, struct.pack(f"<{len(values)}{kind}", *values))


def message(field: int, data: bytes) -> bytes:
    """Bytes, or a message within the message."""
    tag, size = field << 3 | _BYTES, len(data)
    if tag < 0x80 and size < 0x80:  # most are
        return _SMALL[tag] + _SMALL[size] + data
    return varint(tag) + varint(size) + data


def begin(field: int, size: int) -> bytes:
    """What stands before a message of this size within the message."""
    return varint(field << 3 | _BYTES) + varint(size)


def text(field: int, value: str) -> bytes:
    """Raises UnicodeEncodeError for one half of a surrogate pair."""
    return message(field, value.encode())


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a message that somebody else wrote, but for those of a fixed size,
    which nothing that is read here has. Raises ValueError when it is no message; groups, which
    protobuf gave up, are none here."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise ValueError("no protobuf")
        if size > len(data) - at:
            raise ValueError("no protobuf")
        if kind == _BYTES:
            yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number there, and where it ends."""
    value = 0
    for n, byte in enumerate(data[at : at + _LONGEST]):
        value |= (byte & 0x7F) << 7 * n
        if byte < 0x80:
            return value & _UINT64, at + n + 1
    raise ValueError("no protobuf")
