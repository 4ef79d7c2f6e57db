"""Multipart bodies (`multipart/form-data`, `mixed`, `related`): a part is named by its `name=`.

A part may be multipart itself: its bytes are split in turn. Bounded by MOST; linear in the bytes.
"""

import re

from app.contract.decoding.bounds import MOST
from app.contract.decoding.part import Part

# The first delimiter, behind a preamble that no reader shows, with a header of the first part. A
# private key in a text may look so.
_FIRST = re.compile(
    rb"(?:^|\n)--(?!---BEGIN )([^\r\n]{1,200}?)[ \t]*\r?\n(?=[A-Za-z-]{1,64}[ \t]*:|\r?\n)"
)
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_HEAD = 16 << 10  # bytes of a part's head
_END = re.compile(rb"\r?\n[ \t]*\r?\n")
_NAME = re.compile(
    rb"content-disposition[ \t]*:[^\n]*?[;\s]name[ \t]*(\*?)[ \t]*=[ \t]*"
    rb"(?:\"((?:[^\"\\\r\n]|\\.)*)|'([^'\r\n]*)|([^\s;\"'][^\s;\"]*))",
    re.IGNORECASE,
)


def split(data: bytes) -> list[Part] | None:
    """The contents of the parts; of one that was cut, to the end."""
    first = _FIRST.search(data)
    if first is None or _BINARY.search(data, 0, first.start()):
        return None
    delimiter = b"--" + first.group(1)
    at = first.end()
    parts: list[Part] = []
    while len(parts) < MOST:
        end, following = _delimiter(data, delimiter, max(at - 2, 0))
        head = _END.search(data, max(at - 2, 0), min(end, at + _HEAD))
        if head is not None:
            name = _NAME.search(data, at, max(at, head.start()))
            parts.append(Part(_name(name), min(head.end(), end), end))
        if following < 0:
            return parts or None
        at = following
    return None


def _delimiter(data: bytes, delimiter: bytes, at: int) -> tuple[int, int]:
    """Finds where the part ends, and where the next one begins: -1 for none."""
    while (found := data.find(b"\n" + delimiter, at)) >= 0:
        behind = found + 1 + len(delimiter)
        end = found - data.startswith(b"\r", found - 1)
        if data.startswith(b"--", behind):
            return end, -1
        line = data.find(b"\n", behind)
        line = len(data) if line < 0 else line
        if not data[behind : min(line, behind + 80)].strip():
            return end, line + 1
        at = behind
    return len(data), -1


def _name(found: re.Match[bytes] | None) -> str:
    if found is None:
        return ""
    star, double, single, bare = found.groups()
    written = next(value for value in (double, single, bare) if value is not None)
    name = re.sub(r"\\(.)", r"\1", written.decode("utf-8", "replace"))
    if star:  # RFC 5987: charset'language'name
        from urllib.parse import unquote

        name = unquote(name.rpartition("'")[2])
    return name
