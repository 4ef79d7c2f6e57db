"""Undoes content encodings within bounds: trusts no size and no ratio that a peer claims.

Used by `app.contract.body` for a Content-Encoding, and by `read` for what is compressed inside.
"""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

BEHIND = "behind"  # the name of bytes behind the end
_FLAGS = ((4, "extra"), (8, "name"), (16, "comment"))  # of a gzip header, in their order
_MEMBERS = 64  # concatenated gzip members that are undone
_WINDOW = 8 << 20  # bytes of memory a zstd frame may ask for (the limit HTTP sets, RFC 9659)


class Aside(NamedTuple):
    """Bytes that a compressed stream carries and no reader of its content shows: in the head of a
    gzip member, in a skippable frame of zstd, or behind the end."""

    name: str
    value: bytes


class Undone(NamedTuple):
    """At most `cap` bytes; `whole` if they are all of them."""

    content: bytes
    whole: bool
    asides: tuple[Aside, ...] = ()


def undo(encoding: str, data: bytes, cap: int) -> Undone | None:
    """None for another encoding.

    Imports a decompressor on first use: most bodies of most pods are plain, and it would delay the
    sidecar's start.
    """
    try:
        if encoding in ("gzip", "x-gzip"):
            return _inflate(data, cap, zlib.MAX_WBITS | 16)
        if encoding == "deflate":
            try:
                return _inflate(data, cap, zlib.MAX_WBITS)
            except zlib.error:  # many servers omit the zlib header
                return _inflate(data, cap, -zlib.MAX_WBITS)
        if encoding == "deflate-raw":
            return _inflate(data, cap, -zlib.MAX_WBITS)
        if encoding == "br":
            return _brotli(data, cap)
        if encoding == "zstd":
            return _zstd(data, cap)
    except zlib.error:
        pass
    return None


def _inflate(data: bytes, cap: int, wbits: int) -> Undone:
    out = b""
    asides: list[Aside] = []
    for _ in range(_MEMBERS):
        if data[:2] == _GZIP and data[3:4] > b"\1":
            asides += _in_head(data)
        stream = zlib.decompressobj(wbits)
        out += stream.decompress(data, cap - len(out) + 1)
        if not stream.eof or len(out) > cap:
            return Undone(out[:cap], False)
        data = stream.unused_data
        if wbits != zlib.MAX_WBITS | 16 or not data.startswith(_GZIP):
            if data.strip(b"\0"):  # padding says nothing
                asides.append(Aside(BEHIND, data))
            return Undone(out, True, tuple(asides))
    return Undone(out, False)


_GZIP = b"\x1f\x8b"


def _in_head(data: bytes) -> Iterator[Aside]:
    """The fields of a gzip member's head that its content does not need (RFC 1952)."""
    at = 10
    for flag, name in _FLAGS:
        if data[3] & flag:
            if name == "extra":
                at += 2
                end = after = at + int.from_bytes(data[at - 2 : at], "little")
            else:
                end = data.find(b"\0", at)
                end = len(data) if end < 0 else end
                after = end + 1
            if data[at:end]:
                yield Aside(name, data[at:end])
            at = after


def with_asides(encoding: str, data: bytes, asides: tuple[Aside, ...]) -> bytes:
    """The compressed bytes with these, each in an empty member or a frame of its own."""
    beside, behind = [], []
    for name, value in asides:
        if name == BEHIND:
            behind.append(value)
        elif encoding == "zstd":
            beside.append(_SKIPPED + len(value).to_bytes(4, "little") + value)
        else:
            flag = {name: flag for flag, name in _FLAGS}[name]
            value = value[:0xFFFF]
            size = len(value).to_bytes(2, "little")
            head = size + value if name == "extra" else value + b"\0"
            beside.append(_GZIP + bytes((8, flag)) + bytes(6) + head + b"\3\0" + bytes(8))
    return b"".join([data, *beside, *behind])


def _brotli(data: bytes, cap: int) -> Undone | None:
    import brotli  # type: ignore[import-untyped]

    stream = brotli.Decompressor()
    try:
        out = stream.process(data, output_buffer_limit=cap + 1)
    except brotli.error:
        return None
    return Undone(out[:cap], stream.is_finished() and len(out) <= cap)


def _zstd(data: bytes, cap: int) -> Undone | None:
    import zstandard

    asides, ended = _beside_frames(data)
    if ended and asides and asides[-1].name == BEHIND:
        data = data[: -len(asides[-1].value)]
    stream = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    try:
        out = stream.stream_reader(data, read_across_frames=True).read(cap + 1)
    except zstandard.ZstdError:
        return None
    whole = ended and len(out) <= cap
    return Undone(out[:cap], whole, tuple(asides) if whole else ())


_FRAME, _SKIPPED = b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"


def _beside_frames(data: bytes) -> tuple[list[Aside], bool]:
    """Skippable frames, and bytes behind the last frame (RFC 8878); and True if that has its
    end."""
    asides: list[Aside] = []
    at, size = 0, len(data)
    while at < size:
        if data.startswith(_FRAME, at):
            at = _frame_end(data, at)
        elif size - at >= 8 and is_skippable(data[at : at + 4]) and len(asides) < _MEMBERS:
            start, at = at + 8, at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            if data[start:at]:
                asides.append(Aside("skipped", data[start:at]))
        else:
            return [*asides, Aside(BEHIND, data[at:])], at > 0
    return asides, at == size


def is_skippable(magic: bytes) -> bool:
    """True of the first bytes of a frame that zstd's readers skip."""
    return magic[1:4] == _SKIPPED[1:] and magic[0] & 0xF0 == 0x50


def _frame_end(data: bytes, at: int) -> int:
    said = data[at + 4] if at + 4 < len(data) else 0
    single = said >> 5 & 1
    at += 5 + (1 - single) + (0, 1, 2, 4)[said & 3] + (single, 2, 4, 8)[said >> 6]
    last = 0
    while not last:
        if at + 3 > len(data):
            return len(data) + 1
        block = int.from_bytes(data[at : at + 3], "little")
        last = block & 1
        at += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
    return at + 4 * (said >> 2 & 1)
