"""Compression that says by its first bytes what it is: gzip, zlib's deflate, zstd. Brotli says
nothing: `app.contract.decoding.compression` undoes it where a header says so."""

import zlib

from app.contract.decoding.compression import undo as undo_named

_MAGIC = (("gzip", b"\x1f\x8b"), ("zstd", b"\x28\xb5\x2f\xfd"))


def named(data: bytes) -> str:
    """The compression, "" for none."""
    if data[:1] in b"{[":  # most bodies, and nothing
        return ""
    for name, magic in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:1] == b"\x78" and len(data) > 2 and not int.from_bytes(data[:2]) % 31:
        return "deflate"
    return ""


def opened(data: bytes, cap: int) -> tuple[bytes, bool] | None:
    """At most `cap` bytes, and True if they are all; None where they are damaged, or nothing of
    these."""
    name = named(data)
    return undo_named(name, data, cap) if name else None


def is_all(data: bytes) -> bool:
    """True if the compressed bytes have their end, and nothing behind it, which no reader of them
    shows. For bytes that `opened` has opened, and so found to be no more than a cap."""
    name = named(data)
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
    wbits = zlib.MAX_WBITS | 16 if name == "gzip" else zlib.MAX_WBITS
    stream = zlib.compressobj(wbits=wbits)
    return stream.compress(new) + stream.flush()
