"""Multipart bodies (`multipart/form-data`, `mixed`, `related`): a part is named by its `name=`;
what its head says besides stands under `NAME.@filename`, `NAME.@content-type` and so on, and what
is before the first part and behind the last under `@preamble` and `@epilogue`.

A part may be multipart itself: its bytes are split in turn. Bounded by MOST; linear in the bytes.
"""

import re
from collections.abc import Iterator

from app.contract.decoding.bounds import MOST
from app.contract.decoding.part import Part

# The first delimiter, behind a preamble, with a header of the first part. A
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
_LINE = re.compile(rb"([^\r\n:]*+)(:?[ \t]*+)([^\r\n]*+(?:\r?\n[ \t]++[^\r\n]++)*+)(?:\r?\n)?")
_PARAMETER = re.compile(
    rb";[ \t]*+([\w!#$%&'*+.^`|~-]{1,64}?)(\*?)[ \t]*+=[ \t]*+"
    rb"(?:\"((?:[^\"\\\r\n]|\\.)*+)\"?|'([^'\r\n]*+)'?|([^\s;\"'][^\s;\"]*+))"
)
_PLAIN = re.compile(  # most heads: in a fifth of the time
    rb"content-disposition: form-data; name=\"[^\"\\\r\n]*+\"", re.IGNORECASE
)
_DISPOSITIONS = (b"form-data", b"attachment", b"inline", b"file", b"")


def split(data: bytes) -> list[Part] | None:
    """The parts, and what is beside their contents, in order; one that was cut goes to the end."""
    first = _FIRST.search(data)
    if first is None or _BINARY.search(data, 0, first.start()):
        return None
    delimiter = b"--" + first.group(1)
    at = first.end()
    parts = [*_beside("@preamble", data, 0, first.start())]
    while len(parts) < MOST:
        end, following, behind = _delimiter(data, delimiter, max(at - 2, 0))
        head = _END.search(data, max(at - 2, 0), min(end, at + _HEAD))
        if head is not None:
            to = max(at, head.start())
            said = _NAME.search(data, at, to)
            name = _name(said)
            if not _PLAIN.fullmatch(data, at, to):
                parts += _head(name, data, at, to, said.end() if said else -1)
            parts.append(Part(name, min(head.end(), end), end))
        else:
            parts += _beside("", data, at, end)
        if following < 0:
            parts += _beside("@epilogue", data, behind, len(data))
            return parts or None
        at = following
    return None


def _beside(name: str, data: bytes, start: int, end: int) -> Iterator[Part]:
    """The part without blanks around it, if anything is left."""
    said = data[start:end]
    if said.strip():
        yield Part(name, end - len(said.lstrip()), start + len(said.rstrip()))


def _head(name: str, data: bytes, at: int, end: int, named: int) -> Iterator[Part]:
    """All of a part's head but its name, which ends at `named`."""
    ahead = f"{name}.@" if name else "@"
    while at < end and (line := _LINE.match(data, at, end)) and line.end() > at:
        at = line.end()
        field = line[1].decode("utf-8", "replace").strip().lower()
        if not line[2]:
            yield from _beside(ahead, data, *line.span())
        elif field != "content-disposition" or not _is_usual(line[3]):
            yield from _beside(ahead + field, data, *line.span(3))
        else:
            for found in _PARAMETER.finditer(data, *line.span(3)):
                if found.end(found.lastindex or 0) != named:
                    said = found[1].decode("utf-8", "replace").lower()
                    yield from _beside(ahead + said, data, *found.span(found.lastindex or 0))


def _is_usual(disposition: bytes) -> bool:
    """True if it is a word that says nothing, and parameters."""
    return _PARAMETER.sub(b"", disposition).strip(b" \t\r\n;").lower() in _DISPOSITIONS


def _delimiter(data: bytes, delimiter: bytes, at: int) -> tuple[int, int, int]:
    """Finds where the part ends, and where the next one begins: -1 for none; and then where the
    last delimiter ends."""
    while (found := data.find(b"\n" + delimiter, at)) >= 0:
        behind = found + 1 + len(delimiter)
        end = found - data.startswith(b"\r", found - 1)
        if data.startswith(b"--", behind):
            return end, -1, behind + 2
        line = data.find(b"\n", behind)
        line = len(data) if line < 0 else line
        if not data[behind : min(line, behind + 80)].strip():
            return end, line + 1, 0
        at = behind
    return len(data), -1, len(data)


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
