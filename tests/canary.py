"""Looks for a secret in bytes, in every form in which masking must not have left it.

Used by the tests of the masking and by those that search data directories, logs and output. It
shares no code with what it tests. Compressed bytes are opened by the caller, gzip in base64 here.
"""

import base64
import contextlib
import html
import json
import re
import zlib
from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

_RUN = re.compile(rb"[A-Za-z0-9+/_-]{6,}")
_GZIP = b"\x1f\x8b\x08"
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){8,}")
_ESCAPE = re.compile(rb"\\(?:u00([0-9a-fA-F]{2})|(.))")


def find_secret(haystack: bytes, secret: str) -> list[str]:
    """The encodings in which `secret` stands in `haystack`; empty when it is nowhere."""
    plain = secret.encode()
    found = ["raw"] if plain in haystack else []
    coded = haystack.replace(plain, b"")  # what is left hides it, if at all
    once = unquote_to_bytes(coded)
    spaced = once.replace(b"+", b" ")
    written = {plain, quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode()}
    if any(w in t for w in written for t in (once, spaced, unquote_to_bytes(once))):
        found.append("url")
    if any(plain in t for t in (_unescaped(coded), _unescaped(_unescaped(coded)))):
        found.append("json")
    if plain in html.unescape(coded.decode("latin-1")).encode("latin-1", "replace"):
        found.append("html")
    if plain.hex().encode() in coded.lower():
        found.append("hex")
    if _in_base64(coded, written):
        found.append("base64")
    if _in_base64(coded, {base64.b64encode(plain)}):
        found.append("base64 twice")
    return found


def readings(haystack: bytes) -> Iterator[tuple[str, bytes]]:
    """The same forms the other way round: what could be read in `haystack`, decoded once for a
    search for many secrets."""
    yield "raw", haystack
    for form, text in (("", haystack), ("base64, ", _from_base64(haystack))):
        yield form + "plain", text
        once = unquote_to_bytes(text)
        yield form + "url", b"\n".join((once, once.replace(b"+", b" "), unquote_to_bytes(once)))
        yield form + "json", _unescaped(text) + b"\n" + _unescaped(_unescaped(text))
        yield form + "html", html.unescape(text.decode("latin-1")).encode("latin-1", "replace")
        yield form + "hex", b"\n".join(bytes.fromhex(run.decode()) for run in _HEX.findall(text))
        yield form + "base64", _from_base64(text)


def _from_base64(haystack: bytes) -> bytes:
    return b"\n".join(part for run in _RUN.findall(haystack) for part in _parts(run))


def _unescaped(haystack: bytes) -> bytes:
    return _ESCAPE.sub(lambda m: bytes([int(m[1], 16)]) if m[1] else m[2], haystack)


def _in_base64(haystack: bytes, written: set[bytes]) -> bool:
    """True if a run of base64 characters holds one of them, read from any of four starts, since
    what stands before the value may be of the same alphabet."""
    return any(w in part for run in _RUN.findall(haystack) for part in _parts(run) for w in written)


def _parts(run: bytes) -> Iterator[bytes]:
    text = run.replace(b"-", b"+").replace(b"_", b"/")
    for start in range(4):
        part = text[start:]
        part = part[: len(part) - (len(part) % 4 == 1)]
        opened = base64.b64decode(part + b"=" * (-len(part) % 4))
        yield opened
        if opened.startswith(_GZIP):
            with contextlib.suppress(zlib.error):
                yield zlib.decompressobj(wbits=31).decompress(opened)
