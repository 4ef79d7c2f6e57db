"""Finds what can be read of a body that was cut at a cap: its beginning, ended where its last whole
value does. A value that the cut went through is left out: half a version is another version.

Called by `app.contract.decoding.read`.
"""

import re
from typing import NamedTuple

from app.contract.decoding import base64, compressed, envelope, form, multipart
from app.contract.decoding.bounds import CHAIN, MOST
from app.contract.decoding.formats import named_by
from app.contract.record import BODY_CAP

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]|"', re.DOTALL)
_ENDS = {b"{": b"}", b"[": b"]"}
_AHEAD = b"\xef\xbb\xbf \t\r\n"
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\s-]{64,}={0,2}")
_DELIMITER = re.compile(rb"\s*(--[^\r\n]{1,200})")


class Beginning(NamedTuple):
    """The decodings that were undone, and the bytes that can be read as if they were a whole body;
    b"" for none."""

    chain: tuple[str, ...]
    data: bytes


def beginning(data: bytes, content_type: str) -> Beginning:
    chain: tuple[str, ...] = ()
    while len(chain) < CHAIN:
        if name := compressed.named(data, tries=False):
            found = compressed.opened(data, BODY_CAP)
            inner = found[0] if found else b""
        elif _BASE64.fullmatch(data):
            name, inner = "base64", base64.undo(data, BODY_CAP, cut=True) or b""
        else:
            break
        data, chain = inner, (*chain, name)
    return Beginning(chain, _ended(data, content_type.lower()))


def _ended(data: bytes, said: str) -> bytes:
    begun = data.lstrip(_AHEAD)
    if begun[:1] in (b"{", b"["):
        if parts := envelope.split(data):
            *_, header, item = parts
            begun = b"" if item.name.endswith(envelope.HEADER) else _json(data[item.start :])
            return data[: item.start] + begun if begun else data[: header.start]
        return _json(data.partition(b"\n")[0] if "envelope" in said else data)
    if (delimiter := _DELIMITER.match(data)) and multipart.split(data):
        end = data.rfind(b"\n" + delimiter[1])
        return data[: end + 1] + delimiter[1] + b"--" if end > 0 else b""
    if begun[:1] == b"<":
        return data[: data.rfind(b"<")]
    if b"\n" in begun:  # CSV, and lines of forms
        return data[: data.rfind(b"\n") + 1]
    fields = data[: max(data.rfind(b"&"), 0)]
    is_form = "urlencoded" in said or form.is_form(fields.decode("latin-1"))
    return fields if is_form and not named_by(said) else b""


def _json(data: bytes) -> bytes:
    """The documents up to the last whole value, closed; b"" for none."""
    ends: list[bytes] = []
    end = 0
    for number, token in enumerate(_TOKEN.finditer(data)):
        written = token.group()
        if written == b'"' or number > MOST:  # it has no end
            break
        if written in _ENDS:
            ends.append(_ENDS[written])
            end = token.end()
        elif written == b",":
            end = token.start()
        elif ends and written == ends[-1]:
            ends.pop()
            end = token.end()
    return data[:end] + b"".join(reversed(ends))
