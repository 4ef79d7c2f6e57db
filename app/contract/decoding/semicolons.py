"""Lines of pairs between semicolons, with syslog's priority before them or without:
`<14>version=3.9;hostname=a`.

Read so only behind a priority, or where a rule says `pairs`: to servers of forms a semicolon may be
a part of a value.
"""

import re
from collections.abc import Iterator

from app.contract.decoding.bounds import MOST
from app.contract.decoding.part import Part

_BEGIN = re.compile(rb"(?:<\d{1,3}>)?(?=[\w.:@-]{1,128}=)")
# A value goes on to where the next pair begins: JSON in it may hold a semicolon.
_PAIR = re.compile(rb"([\w.:@-]{1,128})=((?:[^;]|;(?![\w.:@-]{1,128}=))*+);?")


def split(data: bytes) -> list[Part] | None:
    """The values of all lines; None if a line is none of pairs, or there are too many."""
    found: list[Part] = []
    start = 0
    for line in data.splitlines(keepends=True):
        written = line.rstrip(b"\r\n")
        if written.strip():
            begun = _BEGIN.match(written)
            if begun is None:
                return None
            found += _pairs(data, start + begun.end(), start + len(written))
            if len(found) > MOST:
                return None
        start += len(line)
    return found or None


def _pairs(data: bytes, at: int, end: int) -> Iterator[Part]:
    for pair in _PAIR.finditer(data, at, end):
        yield Part(pair[1].decode("utf-8", "replace"), *pair.span(2))
