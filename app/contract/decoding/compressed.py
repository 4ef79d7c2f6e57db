"""Compression without a header that says so: gzip, zlib's deflate and zstd by their first bytes;
brotli and raw deflate, which have none, where all of the bytes are such and stand for text."""

import re
import zlib

from app.contract.decoding.compression import undo as undo_named
from app.contract.record import BODY_CAP

_MAGIC = (("gzip", b"\x1f\x8b"), ("zstd", b"\x28\xb5\x2f\xfd"))
TRIED = ("br", "deflate-raw")
# How base64 of such begins: brotli with a window of 22 bits, as encoders have it, and less than 64
# KiB; raw deflate of short JSON. Of random tokens one in 80 does: the masking looks at each.
IN_BASE64 = "(?:[CGi][w-z0-9+/_]|q1[Y-b]|i6tW)[A-Za-z0-9+/_]{20}"
_SHORTEST = 16  # bytes: shorter ones may be such by chance
_SURE = 28  # bytes that are not such by chance, whatever text they stand for
_DOCUMENT = re.compile(rb"\s*[{\[<\"]|[\w.%\[\]-]+=")
_JSON = (b'{"', b"[{")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def named(data: bytes, *, tries: bool = True) -> str:
    """The compression, "" for none."""
    if data[:2] in _JSON:  # most bodies
        return ""
    return _by_magic(data) or (_tried(data) if tries else "")


def _by_magic(data: bytes) -> str:
    for name, magic in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:1] == b"\x78" and len(data) > 2 and not int.from_bytes(data[:2]) % 31:
        return "deflate"
    return ""


def _tried(data: bytes) -> str:
    if not _SHORTEST <= len(data) <= BODY_CAP or _is_text(data):
        return ""
    for name in TRIED:
        found = undo_named(name, data, BODY_CAP)
        if found is None or not found[1] or not _is_text(found[0]):
            continue
        if (len(data) >= _SURE or _DOCUMENT.match(found[0])) and _is_used_up(name, data):
            return name
    return ""


def _is_text(data: bytes) -> bool:
    if _BINARY.search(data):
        return False
    try:
        return bool(data.decode())
    except UnicodeDecodeError:
        return False


def _is_used_up(name: str, data: bytes) -> bool:
    """True if nothing is behind the end. Brotli's decoder refuses that itself."""
    if name == "br":
        return True
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    stream.decompress(data)
    return not stream.unused_data


def opened(data: bytes, cap: int) -> tuple[bytes, bool] | None:
    """At most `cap` bytes, and True if they are all; None where they are damaged, or nothing of
    these."""
    name = named(data)
    return undo_named(name, data, cap) if name else None


def is_all(data: bytes) -> bool:
    """True if the compressed bytes have their end, and nothing behind it, which no reader of them
    shows. For bytes that `opened` has opened, and so found to be no more than a cap."""
    name = named(data)
    if name in TRIED:
        return True
    while data:
        if name == "zstd":
            import zstandard

            frame = zstandard.ZstdDecompressor().decompressobj()
            try:
                frame.decompress(data)
            except zstandard.ZstdError:
                return False
            eof, behind = frame.eof, frame.unused_data
        else:
            stream = zlib.decompressobj(zlib.MAX_WBITS | (16 if name == "gzip" else 0))
            try:
                stream.decompress(data)
            except zlib.error:
                return False
            eof, behind = stream.eof, stream.unused_data
        if not eof:
            return False
        data = behind
    return True


def undo(data: bytes, cap: int) -> bytes | None:
    """The bytes; None where there are more than `cap`, or some are missing."""
    found = opened(data, cap)
    return found[0] if found is not None and found[1] else None


def redo(new: bytes, old: bytes) -> bytes:
    """The bytes, compressed as the old ones were."""
    name = named(old)
    if name == "zstd":
        import zstandard

        return zstandard.compress(new)
    if name == "br":
        import brotli  # type: ignore[import-untyped]

        compressed: bytes = brotli.compress(new)
        return compressed
    wbits = {"gzip": zlib.MAX_WBITS | 16, "deflate-raw": -zlib.MAX_WBITS}.get(name, zlib.MAX_WBITS)
    stream = zlib.compressobj(wbits=wbits)
    return stream.compress(new) + stream.flush()
