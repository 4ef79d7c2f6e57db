"""Keeps bodies: from bytes on the wire to the record's body.

Called by the sidecar's capture and by the mock, before masking, and by the masking itself. It never
trusts a size, a ratio or a type that a peer claims: the caller's cap bounds every step.
"""

import base64
import codecs
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from app.contract.decoding import compressed
from app.contract.decoding.compression import undo
from app.contract.record import BODY_CAP, Body

_ENCODINGS = 2  # stacked content encodings that are undone


def keep(prefix: bytes, *, size: int, sha256: str, encoding: str = "", cap: int) -> Body:
    """The record's body from the first bytes on the wire.

    `prefix` is at most `cap` bytes of `size`; `encoding` the Content-Encoding header. The content
    encoding is undone (gzip, deflate, br, zstd; at most two of them) into at most `cap` bytes; if
    it cannot be undone, no content is kept, and `withheld` tells why; unless the bytes are JSON, or
    compressed in another way than the header says: then the body is `misnamed`. Bytes that stand
    beside the content (a gzip file's name, what follows the end) stay there: then it is not undone.
    """
    body = Body(size=size, sha256=sha256, truncated=len(prefix) < size)
    data = prefix
    names = [n for n in (e.strip().lower() for e in encoding.split(",")) if n not in _PLAIN]
    if data and names:
        for name in reversed(names):
            undone = undo(name, data, cap) if len(names) <= _ENCODINGS else None
            # All bytes are here, and yet the end is not: brotli takes other bytes for a beginning.
            ends_not = undone is not None and not undone.whole and not body.truncated
            if (undone is None or ends_not) and name in _KNOWN and _is_other(data, name):
                body.misnamed = True
                break
            if undone is None or (ends_not and name == "br" and not undone.content):
                body.withheld = "encoding"
                return body
            if undone.asides:  # kept as they came: who reads the body reads those, too
                body.truncated |= len(prefix) > cap
                store(body, prefix[:cap])
                return body
            data = undone.content
            body.truncated |= not undone.whole
    body.truncated |= len(data) > cap
    store(body, data[:cap])
    return body


def _is_other(data: bytes, said: str) -> bool:
    """True if the bytes are whole, and what they are is no question."""
    name = compressed.named(data)
    if name:
        return (
            name != said and compressed.undo(data, BODY_CAP) is not None and compressed.is_all(data)
        )
    return data[:1] in b"{[" and json(data) is not NOT_JSON


def whole(data: bytes, encoding: str = "", cap: int = BODY_CAP) -> Body:
    """`keep` of a body of which all bytes are here."""
    sha256 = hashlib.sha256(data).hexdigest() if data else ""
    return keep(data[:cap], size=len(data), sha256=sha256, encoding=encoding, cap=cap)


def content(body: Body) -> bytes:
    """The kept bytes, b"" for none."""
    if body.text is not None:
        return body.text.encode("utf-8", "surrogatepass")
    if body.base64 is not None:
        try:
            return base64.b64decode(body.base64)
        except ValueError:
            return b""
    return b""


def store(body: Body, data: bytes) -> None:
    """Puts `data` into the body as text, or as base64 if it is not UTF-8. Drops a character that
    was cut in half."""
    body.text = body.base64 = None
    if not data:
        return
    if data.isascii():  # no character can be cut in half
        body.text = data.decode("ascii")
        return
    try:
        decoder = codecs.getincrementaldecoder("utf-8")()
        body.text = decoder.decode(data, final=not body.truncated)
    except UnicodeDecodeError:
        body.base64 = base64.b64encode(data).decode()


def uncompressed(data: bytes, decoders: Sequence[str], cap: int) -> tuple[bytes, bool] | None:
    """Decompresses a body compressed without a header, if a decoder names the compression: the
    bytes, and True if they are all of them; unchanged if not compressed (a masked record holds it
    decompressed), or if there is more than its content. None if it is damaged."""
    for name, magic in _MAGIC:
        if name in decoders and data.startswith(magic):
            found = undo(name, data, cap)
            return found and ((data, True) if found.asides else found[:2])
    return data, True


NOT_JSON = msgspec.UNSET


def json(data: bytes | str) -> Any:
    """The JSON value, NOT_JSON if there is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return NOT_JSON


def kinds(content_type: str) -> list[str]:
    """The format that a content type claims, none or one: json, ndjson, form."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return ["form"]
    if kind in _NDJSON:
        return ["ndjson"]
    return ["json"] if kind.endswith(("/json", "+json")) else []


_PLAIN = ("", "identity")
_KNOWN = ("gzip", "x-gzip", "deflate", "br", "zstd")
_MAGIC = (("gzip", b"\x1f\x8b"), ("zstd", b"\x28\xb5\x2f\xfd"))
_NDJSON = (
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/jsonlines",
    "application/x-json-stream",
)
