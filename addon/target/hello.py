"""A cheap look at a ClientHello that arrives in pieces: parsing it anew for every byte would cost
the square of its length.

Asked by `addon.arrive.direct` and `addon.mitm.next_layer` before `addon.target.first_bytes` reads
it.
"""

from enum import Enum

from addon.target.first_bytes import HEAD_CAP

MOST_RECORDS = 64  # that one ClientHello may be cut into; real clients use one, or a few

_HEADER = 5  # bytes of a TLS record before its content
_HANDSHAKE = 0x16


class Hello(Enum):
    PARTIAL = "partial"  # more of it is to come
    READY = "ready"  # whole, or something that only the parser can tell
    SHREDDED = "shredded"  # cut into more records than any client would


def look(data: bytes | bytearray) -> Hello:
    """How far these first bytes of a connection are a ClientHello."""
    if len(data) >= HEAD_CAP:
        return Hello.READY
    at, head, content = 0, b"", 0
    for _ in range(MOST_RECORDS):
        if len(data) < at + _HEADER:
            return Hello.PARTIAL if not data or data[:1] == b"\x16" else Hello.READY
        if data[at] != _HANDSHAKE:
            return Hello.READY
        size = int.from_bytes(data[at + 3 : at + _HEADER])
        if not size:  # which the parser refuses
            return Hello.READY
        begin, at = at + _HEADER, at + _HEADER + size
        head += data[begin : min(at, begin + 4 - len(head))]
        content += size
        if len(data) < at:
            return Hello.PARTIAL
        if len(head) == 4 and content >= 4 + int.from_bytes(head[1:]):
            return Hello.READY
    return Hello.SHREDDED
