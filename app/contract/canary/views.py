"""Undoes the encodings of one value, layer by layer: each view is the value as some reader of it
would have it. Bounded by depth, number and bytes; used by `search`.

It shares compression and percent-encoding with `app.contract.decoding`, and no more: that reads a
whole text in the way a server would, this each word of it in every way (hex as base64, too).
"""

import base64
import binascii
import html
import quopri
import re
from collections.abc import Callable, Iterator

from app.contract.decoding import compressed, percent

DEPTH = 5
MOST = 96  # views of one value
BYTES = 1 << 20  # of all views of one value
_HEAD = 4_096  # bytes that say whether a view is text
_TOKENS = 24  # encoded words that are decoded of one view

_ESCAPE = re.compile(rb"\\(?:u\{?([0-9a-fA-F]{1,6})\}?|x([0-9a-fA-F]{2})|([0-7]{3})|([\"\\/]))")
_QUOTED = re.compile(rb"=[0-9A-Fa-f]{2}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}")
_BASE64_URL = re.compile(rb"[A-Za-z0-9_-]{16,}={0,2}")
_BASE64_LINES = re.compile(rb"[A-Za-z0-9+/]{40,80}(?:\r?\n[A-Za-z0-9+/=]{1,80})+")
_BASE32 = re.compile(rb"[A-Za-z2-7]{16,}={0,6}")
_HEX = re.compile(rb"(?:(?:[0-9a-fA-F]{2}){8,}|[0-9a-fA-F]{2}(?:[: -][0-9a-fA-F]{2}){7,})")
_LIST = re.compile(rb"[0-9]{1,3}(?:,\s*[0-9]{1,3}){7,}")
_PRINTABLE = re.compile(rb"[\t\n\r\x20-\x7e]")

Layer = tuple[str, bytes]  # the encoding's name, and the value without it


def views(data: bytes, cap: int) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """The value itself, and then what is in it, each with the names of the layers around it."""
    seen = {data}
    now: list[tuple[tuple[str, ...], bytes]] = [((), data)]
    left = BYTES
    while now:
        following = []
        for chain, view in now:
            yield chain, view
            if len(chain) >= DEPTH:
                continue
            for name, inner in _layers(view, cap):
                if inner in seen or len(seen) >= MOST or len(inner) > left:
                    continue
                seen.add(inner)
                left -= len(inner)
                following.append(((*chain, name), inner))
        now = following


def _layers(view: bytes, cap: int) -> Iterator[Layer]:
    if name := compressed.named(view):
        if (opened := compressed.opened(view, cap)) is not None:
            yield name, opened[0]
        return
    yield from _texts(view, cap) if _is_text(view) else ()
    if b"\0" in view and view.count(b"\0") * 4 >= len(view):
        yield "UTF-16", view.replace(b"\0", b"")
    for pattern, name, decode in _WORDS:
        for number, match in enumerate(pattern.finditer(view)):
            if number >= _TOKENS:
                break
            if (decoded := decode(match.group())) and decoded != view:
                yield name, decoded


def _is_text(view: bytes) -> bool:
    head = view[:_HEAD]
    return len(_PRINTABLE.findall(head)) * 10 >= len(head) * 7


def _texts(view: bytes, cap: int) -> Iterator[Layer]:
    if b"%" in view and (undone := percent.undo(view, cap)) is not None:
        yield "percent-encoding", undone
    if b"\\" in view and (plain := _ESCAPE.sub(_unescaped, view)) != view:
        yield "escapes", plain
    if b"&" in view and b";" in view:
        text = view.decode("latin-1")
        if (unescaped := html.unescape(text)) != text:
            yield "HTML entities", unescaped.encode("utf-8", "surrogatepass")
    if b"=" in view and _QUOTED.search(view) and (plain := quopri.decodestring(view)) != view:
        yield "quoted-printable", plain


def _unescaped(match: re.Match[bytes]) -> bytes:
    wide, narrow, octal, char = match.groups()
    if char:
        return bytes(char)
    number = int(wide or narrow, 16) if wide or narrow else int(octal, 8)
    if wide and number < 0x110000:
        return chr(number).encode("utf-8", "surrogatepass")
    return bytes([number & 0xFF])


def _base64(word: bytes) -> bytes:
    bare = word.rstrip(b"=").translate(_TO_STANDARD)
    bare = bare[: len(bare) - (len(bare) % 4 == 1)]
    try:
        return base64.b64decode(bare + b"=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        return b""


def _lines(word: bytes) -> bytes:
    return _base64(word.replace(b"\r", b"").replace(b"\n", b""))


def _base32(word: bytes) -> bytes:
    bare = word.rstrip(b"=").upper()
    try:
        found = base64.b32decode(bare + b"=" * (-len(bare) % 8))
    except (binascii.Error, ValueError):
        return b""
    # Any long word is base32, too: of what it holds only text is worth a look.
    return found if len(_PRINTABLE.findall(found)) * 10 >= len(found) * 9 else b""


def _hex(word: bytes) -> bytes:
    found = bytes.fromhex(word.translate(None, b": -").decode())
    return found if len(_PRINTABLE.findall(found)) * 10 >= len(found) * 9 else b""


def _listed(word: bytes) -> bytes:
    numbers = [int(n) for n in word.split(b",")]
    return bytes(numbers) if max(numbers) < 256 else b""


_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_WORDS: tuple[tuple[re.Pattern[bytes], str, Callable[[bytes], bytes]], ...] = (
    (_BASE64, "base64", _base64),
    (_BASE64_URL, "base64", _base64),
    (_BASE64_LINES, "base64", _lines),
    (_BASE32, "base32", _base32),
    (_HEX, "hex", _hex),
    (_LIST, "a list of bytes", _listed),
)
