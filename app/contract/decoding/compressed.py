"""Compression without a header that says so: gzip, zlib's deflate and zstd by their first bytes;
brotli and raw deflate, which have none, where all of the bytes are such and stand for text."""

import re
import zlib

from app.contract.decoding.compression import Aside, Undone, is_skippable, with_asides
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
    if is_skippable(data):
        return "zstd"
    if data[:1] == b"\x78" and len(data) > 2 and not int.from_bytes(data[:2]) % 31:
        return "deflate"
    return ""


def _tried(data: bytes) -> str:
    if not _SHORTEST <= len(data) <= BODY_CAP or _is_text(data):
        return ""
    for name in TRIED:
        found = undo_named(name, data, BODY_CAP)
        if found is None or not found.whole or found.asides or not _is_text(found.content):
            continue
        if len(data) >= _SURE or _DOCUMENT.match(found.content):
            return name
    return ""


def _is_text(data: bytes) -> bool:
    if _BINARY.search(data):
        return False
    try:
        return bool(data.decode())
    except UnicodeDecodeError:
        return False


def opened(data: bytes, cap: int) -> Undone | None:
    """None where they are damaged, or nothing of these."""
    name = named(data)
    return undo_named(name, data, cap) if name else None


def is_all(data: bytes) -> bool:
    """True if the compressed bytes have their end, and nothing beside their content. For bytes that
    `opened` has opened, and so found to be no more than a cap."""
    found = opened(data, 4 * BODY_CAP)
    return found is not None and found.whole and not found.asides


def undo(data: bytes, cap: int) -> bytes | None:
    """The bytes; None where there are more than `cap`, or some are missing."""
    found = opened(data, cap)
    return found.content if found is not None and found.whole else None


def redo(new: bytes, old: bytes, asides: tuple[Aside, ...] = ()) -> bytes:
    """The bytes, compressed as the old ones were, and these beside them."""
    name = named(old)
    return with_asides(name, _redone(new, name), asides)


def _redone(new: bytes, name: str) -> bytes:
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
