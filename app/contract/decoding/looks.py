"""Names what bytes that cannot be read look like."""

import math
from collections import Counter

_MAGIC = (
    (b"\x1f\x8b", "gzip, damaged"),
    (b"\x28\xb5\x2f\xfd", "zstd, damaged"),
    (b"\x89PNG", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP archive"),
    (b"PAR1", "Parquet"),
    (b"Obj\x01", "Avro"),
    (b"SQLite format 3", "SQLite"),
    (b"\x7fELF", "program"),
    (b"\xfd7zXZ", "xz"),
    (b"BZh", "bzip2"),
    (b"-----BEGIN PGP", "encrypted"),
    (b"age-encryption.org", "encrypted"),
    (b"Salted__", "encrypted"),
)
_NAMED = ("json", "xml", "protobuf", "grpc", "msgpack", "avro", "multipart", "csv", "thrift")
ENOUGH = 128  # bytes from which on a measure says something
_HEAD = 4_096


def looks(data: bytes, content_type: str = "") -> str:
    """In a word or two, "" if nobody can tell."""
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image"
    said = content_type.lower()
    if said.startswith(("image/", "audio/", "video/", "font/")):
        return said.partition("/")[0]
    named = next((name for name in _NAMED if name in said), "")
    if named:
        return f"{named}, damaged"
    head = data[:_HEAD]
    if head.isascii() and head.decode("ascii").replace("\n", "").replace("\t", "").isprintable():
        return "text"
    # Random bytes hold more, of 40,000 of each of twelve sizes; text and numbers less than 7 bits.
    if len(head) >= ENOUGH and _entropy(head) > min(math.log2(len(head)) - 1.15, 7.0):
        return "encrypted"
    if data and data[0] & 0x80 and data[0] >> 4 in (8, 9):
        return "msgpack"
    return ""


def _entropy(data: bytes) -> float:
    """Bits of information in a byte."""
    size = len(data)
    return -sum(n / size * math.log2(n / size) for n in Counter(data).values())
