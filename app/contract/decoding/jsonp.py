"""JSONP: a call with a JSON text as its argument, which is the one part."""

import re

from app.contract.decoding.part import Part

_CALL = re.compile(
    rb"(?:\s|/\*[^*]{0,64}\*/|//[^\n]{0,64}\n){0,64}+"
    rb"(?:typeof [\w$.]{1,128} ?===? ?'function' ?&& ?)?"
    rb"[A-Za-z_$][\w$.\[\]]{0,127}\s{0,8}\(\s{0,64}(?=[\[{\"])"
)
_CLOSED = re.compile(rb"\s*\)\s*;?\s*\Z")


def split(data: bytes) -> list[Part] | None:
    """The argument; to the end where the call was cut."""
    call = _CALL.match(data)
    if call is None:
        return None
    close = data.rfind(b")", max(len(data) - 64, 0))
    closed = _CLOSED.search(data, max(close - 64, call.end())) if close >= 0 else None
    return [Part("", call.end(), closed.start() if closed else len(data))]
