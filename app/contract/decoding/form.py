"""Forms: `a=1&b=2`."""

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from app.contract.decoding.charset import decoded
from app.contract.decoding.part import Part

# What a form is called one by, where nothing says that it is one: two fields, and nothing bare.
_FORM = re.compile(r"[\w.~*%+:\[\]$@-]+=[^\s&=\"'<>{}\\]*(&[\w.~*%+:\[\]$@-]+=[^\s&\"'<>{}\\]*)+")


def split(data: bytes, between: bytes = b"&") -> list[Part] | None:
    """The fields, None if there is no `=`."""
    if b"=" not in data:
        return None
    found = []
    start = 0
    for field in data.split(between):
        end = start + len(field)
        name, equals, value = field.partition(b"=")
        if field:
            found.append(Part(plain(name), end - len(value) if equals else end, end))
        start = end + len(between)
    return found


def plain(written: bytes, charset: str = "utf-8") -> str:
    """A name or value without its encoding."""
    if b"+" in written or b"%" in written:
        written = unquote_to_bytes(written.replace(b"+", b" "))
    return decoded(written, charset)


def are_forms(lines: Sequence[str]) -> bool:
    """True for lines of forms, of which some may have one field."""
    return any(map(is_form, lines)) and all(is_form(f"{line}&a=b") for line in lines)


def is_form(written: str) -> bool:
    return _FORM.fullmatch(written) is not None
