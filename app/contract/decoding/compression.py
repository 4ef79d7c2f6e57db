"""Undoes content encodings within bounds: trusts no size and no ratio that a peer claims.

Used by `app.contract.body` for a Content-Encoding, and by `read` for what is compressed inside.
"""

import zlib

_MEMBERS = 64  # concatenated gzip members that are undone
_WINDOW = 8 << 20  # bytes of memory a zstd frame may ask for (the limit HTTP sets, RFC 9659)


def undo(encoding: str, data: bytes, cap: int) -> tuple[bytes, bool] | None:
    """At most `cap` bytes, and True if they are all of them; None for another encoding.

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


def _inflate(data: bytes, cap: int, wbits: int) -> tuple[bytes, bool]:
    out = b""
    for _ in range(_MEMBERS):
        stream = zlib.decompressobj(wbits)
        out += stream.decompress(data, cap - len(out) + 1)
        if not stream.eof or len(out) > cap:
            return out[:cap], False
        data = stream.unused_data
        if not data.startswith(b"\x1f\x8b"):  # bytes after the end do not belong to the body
            return out, True
    return out, False


def _brotli(data: bytes, cap: int) -> tuple[bytes, bool] | None:
    import brotli  # type: ignore[import-untyped]

    stream = brotli.Decompressor()
    try:
        out = stream.process(data, output_buffer_limit=cap + 1)
    except brotli.error:
        return None
    return out[:cap], stream.is_finished() and len(out) <= cap


def _zstd(data: bytes, cap: int) -> tuple[bytes, bool] | None:
    import zstandard

    stream = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    try:
        out = stream.stream_reader(data, read_across_frames=True).read(cap + 1)
    except zstandard.ZstdError:
        return None
    return out[:cap], len(out) <= cap
