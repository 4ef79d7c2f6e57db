"""Finds a ClientHello in a connection's first bytes.

`look` is the cheap check for one that arrives in pieces; `addon.arrive.direct` and
`addon.mitm.next_layer` call it first, as parsing anew for every byte would cost the square of its
length. `parse` is for `addon.target.first_bytes`.
"""

from enum import Enum

from mitmproxy.tls import ClientHello

HEAD_CAP = 64 * 1024  # bytes of a request's head, and of a ClientHello

MOST_RECORDS = 64  # into which one ClientHello may be split; real clients use one, or a few

_HEADER = 5  # bytes of a TLS record before its content
_HANDSHAKE = 0x16


class Hello(Enum):
    PARTIAL = "partial"  # more bytes are needed
    READY = "ready"  # whole, or for the parser to decide
    SHREDDED = "shredded"  # split into more records than any client would


def look(data: bytes | bytearray) -> Hello:
    """The state of a ClientHello that these first bytes may begin."""
    if len(data) >= HEAD_CAP:
        return Hello.READY
    at, head, content = 0, b"", 0
    for _ in range(MOST_RECORDS):
        if len(data) < at + _HEADER:
            return Hello.PARTIAL if not data or data[:1] == b"\x16" else Hello.READY
        if data[at] != _HANDSHAKE:
            return Hello.READY
        size = int.from_bytes(data[at + 3 : at + _HEADER])
        if not size:  # the parser refuses it
            return Hello.READY
        begin, at = at + _HEADER, at + _HEADER + size
        head += data[begin : min(at, begin + 4 - len(head))]
        content += size
        if len(data) < at:
            return Hello.PARTIAL
        if len(head) == 4 and content >= 4 + int.from_bytes(head[1:]):
            return Hello.READY
    return Hello.SHREDDED


def starts_like_tls(data: bytes) -> bool:
    """True if these may be the first bytes of a TLS record with a handshake."""
    return len(data) > 2 and data[:2] == b"\x16\x03" and data[2] <= 3


def parse(data: bytes) -> ClientHello | None:
    """None while it is incomplete. Raises ValueError if the bytes hold no ClientHello."""
    at, message = 0, b""
    while len(data) >= at + _HEADER:
        size = int.from_bytes(data[at + 3 : at + _HEADER])
        if not starts_like_tls(data[at : at + 3]) or not size:
            raise ValueError("no TLS record with a handshake")
        begin, at = at + _HEADER, at + _HEADER + size
        if len(data) < at:
            return None
        message += data[begin:at]
        if len(message) >= 4 and len(message) >= (whole := 4 + int.from_bytes(message[1:4])):
            try:
                return ClientHello(message[4:whole])
            except EOFError:
                raise ValueError("a ClientHello that is cut off") from None
    return None
