"""Rewrites odd but unambiguous answers of real hosts to a form that mitmproxy reads: it would
answer 502, or hang.

Used by `addon.mitm.upstream` for every HTTP/1 answer to a forwarded request. An ambiguous answer
(two lengths, a length and chunks) is left as it is: mitmproxy refuses it.
"""

import re

_END = re.compile(rb"\n\r?\n")
_STATUS = re.compile(rb"(?i:(http)/)([0-9]\.[0-9])[ \t]+([0-9]{3})(?:[ \t]+(.*))?", re.DOTALL)
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LENGTH = re.compile(rb"0*(0|[1-9][0-9]{0,17})")
_NO_VALUE = re.compile(rb"[\r\n\0]+")


def final(received: bytes, *, http2: bool = False) -> bytes:
    """The received bytes without informational answers, and with a complete head rewritten.
    `http2`: the client's protocol is HTTP/2, which is stricter about a length without a
    meaning."""
    while True:
        received = received.lstrip(b"\r\n")  # some hosts end a body with one more line
        end = _END.search(received)
        if end is None:
            return received
        head, rest = received[: end.start()], received[end.end() :]
        lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
        status = _STATUS.fullmatch(lines[0])
        if status is None:
            return received
        if status[3][:1] == b"1" and status[3] != b"101":
            received = rest  # 100, 102, 103: the answer follows
            continue
        first = b"HTTP/%s %s %s" % (status[2], status[3], status[4] or b"")
        fields = _fields(lines[1:], int(status[3]), http2)
        return b"\r\n".join([first, *(b"%s: %s" % field for field in fields), b"", rest])


def too_large(received: bytes, size: int, fields: int) -> str:
    """The limit that this head, complete or not, exceeds: "size", "fields", or ""."""
    if len(received) <= min(size, 2 * fields):
        return ""
    end = _END.search(received)
    length = end.end() if end else len(received)
    if length > size:
        return "size"
    return "fields" if received.count(b"\n", 0, length) > fields + 2 else ""


def _fields(lines: list[bytes], status: int, http2: bool) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if found:  # every client reads a folded value as one line
                found[-1] = found[-1][0], found[-1][1] + b" " + line.strip()
            continue
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" \t")
        if colon and _NAME.fullmatch(name):
            found.append((name, _NO_VALUE.sub(b" ", value).strip(b" \t")))
    return _framing(found, status, http2)


def _framing(
    fields: list[tuple[bytes, bytes]], status: int, http2: bool
) -> list[tuple[bytes, bytes]]:
    """Merges equal lengths into one, and drops framing headers without a meaning."""
    codings = {value.lower() for value in _values(fields, b"transfer-encoding")}
    if status == 204 or codings == {b"identity"}:
        fields = [f for f in fields if f[0].lower() != b"transfer-encoding"]
    lengths = [_LENGTH.fullmatch(value) for value in _values(fields, b"content-length")]
    same = {found[1] if found else b"" for found in lengths}
    if len(same) != 1 or b"" in same:
        return fields
    at = [i for i, f in enumerate(fields) if f[0].lower() == b"content-length"]
    if not (http2 and status == 204):
        fields[at[0]] = fields[at[0]][0], same.pop()
        at = at[1:]
    return [f for i, f in enumerate(fields) if i not in at]


def _values(fields: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """The items of a header that is a list, over all its lines."""
    return [part.strip(b" \t") for n, v in fields if n.lower() == name for part in v.split(b",")]
