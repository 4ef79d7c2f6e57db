"""Puts changed values back into their carrier: how a carrier is joined whose values may be written
as they are."""

from collections.abc import Sequence

from app.contract.decoding.part import Part


def splice(data: bytes, parts: Sequence[Part], values: Sequence[bytes]) -> bytes:
    """The carrier with these values in place of its parts; every other byte as it came."""
    out, done = [], 0
    for part, value in zip(parts, values, strict=True):
        out += [data[done : part.start], value]
        done = part.end
    return b"".join([*out, data[done:]])
