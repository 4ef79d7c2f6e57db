"""XML: elements named by their path, their attributes by `@name`, comments by `#comment`, what is
in a tag and no attribute by `@`, ends of elements that are not open by `#end`.

A scanner of tags, no parser: it expands no entity, reads no declaration and asks for nothing. What
declares entities, nests deeper than DEPTH or has a path of more than _PATH characters, is refused.
"""

import html
import re
from collections.abc import Sequence
from typing import NamedTuple

from app.contract.decoding.bounds import DEPTH, MOST
from app.contract.decoding.part import Part
from app.contract.decoding.splice import splice

_BEGINS = re.compile(rb"\s{0,64}<(?:\?xml\b|!DOCTYPE\b|!--|[A-Za-z_])")
_NAME = rb"[A-Za-z_\x80-\xff][\w.:\x80-\xff-]{0,255}"
_TOKEN = re.compile(
    rb"<(?:!--(?P<comment>.*?)(?:-->|\Z)|!\[CDATA\[(?P<cdata>.*?)(?:\]\]>|\Z)"
    rb"|\?(?P<pi>.*?)(?:\?>|\Z)|!(?P<doctype>[^>\[]*)(?P<subset>\[)?>?"
    rb"|/(?P<close>" + _NAME + rb")\s*>"
    rb"|(?P<open>"
    + _NAME
    + rb")(?P<within>(?:[^<>\"']|\"[^\"<]*(?:\"|\Z)|'[^'<]*(?:'|\Z))*+)(?P<end>>|\Z))",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(
    rb"(" + _NAME + rb")\s*=\s*(?:\"([^\"<]*)\"?|'([^'<]*)'?)",
)
# Text that stands for itself; `&` begins what the five predefined names and numbers stand for.
_ENTITY = re.compile(rb"&(?:#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6}|amp|lt|gt|quot|apos);")
_PATH = 512


class Item(NamedTuple):
    """A part; the element that it belongs to, and that one's parent, by where they begin."""

    part: Part
    element: int
    parent: int


def split(data: bytes) -> list[Part] | None:
    """Texts, attributes and comments, in order; without those of white space alone."""
    found = items(data)
    return None if found is None else [item.part for item in found]


def items(data: bytes) -> list[Item] | None:
    """The parts, each with its element."""
    if not _BEGINS.match(data):
        return None
    found: list[Item] = []
    path = [""]
    starts, done = [0], 0

    def add(name: str, start: int, end: int) -> None:
        if data[start:end].strip():
            found.append(Item(Part(_step(path[-1], name), start, end), starts[-1], starts[-2:][0]))

    while (token := _TOKEN.search(data, done)) is not None:
        add("", done, token.start())
        done = token.end()
        kind = token.lastgroup if token.lastgroup != "end" else "open"
        if kind == "subset" or len(path) > DEPTH or len(path[-1]) > _PATH or len(found) > MOST:
            return None
        if kind == "close":
            if len(path) > 1 and path[-1] == _step(path[-2], _text(token["close"])):
                path.pop()
                starts.pop()
            else:
                add("#end", *token.span("close"))
        elif kind == "open":
            path.append(_step(path[-1], _text(token["open"])))
            starts.append(token.start())
            at, end = token.span("within")
            empty = end > at and data[end - 1] == ord("/")
            read = at
            for attribute in _ATTRIBUTE.finditer(data, at, end):
                group = 2 if attribute.group(2) is not None else 3
                add("@", read, attribute.start())
                add("@" + _text(attribute.group(1)), *attribute.span(group))
                read = attribute.end()
            add("@", read, end - empty)
            if empty:
                path.pop()
                starts.pop()
        elif kind in ("comment", "pi", "doctype"):
            add("#comment", *token.span(kind))
        elif kind == "cdata":
            add("", *token.span("cdata"))
    add("", done, len(data))
    return found or None


def _step(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def unescape(raw: bytes) -> bytes:
    """Reads a text or an attribute: the entities that XML itself has, and no other."""
    if b"&" not in raw:
        return raw
    return _ENTITY.sub(lambda m: html.unescape(m.group().decode()).encode(), raw)


def value(data: bytes, part: Part) -> bytes:
    """Reads a part: in CDATA and in comments every byte stands for itself."""
    raw = data[part.start : part.end]
    return raw if _is_bare(data, part) else unescape(raw)


def _is_bare(data: bytes, part: Part) -> bool:
    return data.endswith(b"<![CDATA[", 0, part.start) or part.name.endswith("#comment")


def join(data: bytes, parts: Sequence[Part], values: Sequence[bytes]) -> bytes:
    """The document with these values, which say what `value` reads."""
    written = []
    for part, new in zip(parts, values, strict=True):
        old = data[part.start : part.end]
        bare = _is_bare(data, part)
        if new == (old if bare else unescape(old)):
            written.append(old)
        elif bare:
            written.append(new.replace(b"]]>", b"").replace(b"--", b"- "))
        else:
            new = new.replace(b"&", b"&amp;").replace(b"<", b"&lt;")
            new = new.replace(b">", b"&gt;") if b"&gt;" in old or b"]]>" in new else new
            quote = data[part.start - 1 : part.start]
            if quote == b'"' or b"&quot;" in old:
                new = new.replace(b'"', b"&quot;")
            written.append(new.replace(b"'", b"&#39;") if quote == b"'" else new)
    return splice(data, parts, written)
