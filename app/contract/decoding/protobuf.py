"""Protobuf without a descriptor: one level of a message's fields, named by their numbers.

A field of bytes may be a text, a message of its own or neither; its reader tries them in this
order. Groups, which nobody sends any more, are refused. Also messages behind gRPC's prefixes.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from app.contract.decoding.bounds import MOST
from app.contract.decoding.part import Part

_HIGHEST = 1 << 19  # a field's number; the format has 2^29, and nobody uses them
VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
_PREFIX = 5  # bytes before a message of gRPC: whether it is compressed, its length


class NumberedField(NamedTuple):
    """A field's number and wire type; where its key, and where its value begins and ends."""

    number: int
    wire: int
    key: int
    start: int
    end: int


def split(data: bytes) -> list[Part] | None:
    """The fields, numbers too, as they are encoded."""
    found = fields(data)
    return None if found is None else [Part(str(f.number), f.start, f.end) for f in found]


def fields(data: bytes, cut: bool = False) -> list[NumberedField] | None:
    """The fields, if all of the bytes are such. The last one may be `cut`."""
    found: list[NumberedField] = []
    at, size = 0, len(data)
    while at < size:
        key = at
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if not 0 < number <= _HIGHEST or len(found) >= MOST:
            return None
        start = at
        if wire == VARINT:
            _, at = varint(data, at)
        elif wire == BYTES:
            length, start = varint(data, at)
            at = start + length
        elif wire in (EIGHT, FOUR):
            at += 8 if wire == EIGHT else 4
        else:
            return None
        if cut and found and wire == BYTES and 0 <= start <= size < at:
            at = size
        if at > size or start < 0 or at < start:
            return None
        found.append(NumberedField(number, wire, key, start, at))
    return found or None


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends; (0, -1) where there is none."""
    value = 0
    for shift in range(0, 64, 7):
        if not 0 <= at < len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    return 0, -1


def number(data: bytes, field: NumberedField) -> int | float | None:
    """A number as its wire type reads it: unsigned, or as floating point; None for bytes."""
    if field.wire == VARINT:
        return varint(data, field.start)[0]
    if field.wire == BYTES:
        return None
    unpacked: tuple[float] = struct.unpack_from(
        "<d" if field.wire == EIGHT else "<f", data, field.start
    )
    return unpacked[0]


def encoded(value: int) -> bytes:
    """As a varint."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def join(data: bytes, parts: Sequence[Part], values: Sequence[bytes]) -> bytes:
    """The message with these values; lengths are rewritten, and only of what changed."""
    out: list[bytes] = []
    done = 0
    for field, part, value in zip(fields(data) or (), parts, values, strict=True):
        if value == data[part.start : part.end]:
            continue
        _, behind = varint(data, field.key)
        length = encoded(len(value)) if field.wire == BYTES else b""
        out += [data[done:behind], length, value]
        done = part.end
    return b"".join([*out, data[done:]])


def framed(data: bytes) -> list[Part] | None:
    """The messages of a gRPC body that are not compressed, if all of it is such."""
    found: list[Part] = []
    at = 0
    while at < len(data):
        if data[at : at + 1] != b"\0" or len(data) < at + _PREFIX or len(found) >= MOST:
            return None
        start = at + _PREFIX
        at = start + int.from_bytes(data[start - 4 : start])
        if at > len(data):
            return None
        found.append(Part("", start, at))
    return found or None


def join_framed(data: bytes, parts: Sequence[Part], values: Sequence[bytes]) -> bytes:
    del data
    return b"".join(b"\0" + len(v).to_bytes(4) + v for v in values[: len(parts)])
