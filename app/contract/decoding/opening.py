"""Opens texts and bytes: JSON in a string, base64, percent-encoding, compression, forms, and these
in each other. Used by `read` and by the carriers, one Opener a message.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from app.contract.decoding import base64, compressed, compression, form, percent
from app.contract.decoding.bounds import CHAIN, DEPTH, Left, TooMuch, hit
from app.contract.decoding.charset import decoded
from app.contract.decoding.lenient import documents
from app.contract.decoding.looks import ENOUGH, looks
from app.contract.decoding.tree import TOO_MUCH, Opaque, Opened, Several
from app.contract.record import BODY_CAP

Inside = tuple[tuple[str, ...], Any]  # the decodings of a text, and the value that they find

BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")
# How documents begin in any encoding of Unicode, with what may stand before them.
_BEGINS = re.compile(
    rb"[\t\n\v\f\r\x1c-\x20,{\[\"\-0-9NI]|true|false|null|\0|\xef\xbb\xbf|\xfe\xff|\xff\xfe"
    rb"|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2[\x80\x81]|\xe3\x80\x80"
)
_HEX = re.compile(r"\s*[0-9a-fA-F]+\s*")
_PADDING = b"= \t\r\n"
_TEXT = 16  # bytes of text in base64 that cannot be chance


_DOCUMENT = re.compile('[\ufeff \t\r\n]*+([{"[])')
# Base64, with a blank for a plus now and then; a form; what a `data:` address has.
_MAY = re.compile(r"[A-Za-z0-9+/_\s-]{6,}+=*\s*\Z|[^\s&=]++=[^\s]*&|\s*+data:", re.ASCII)
# The first characters of base64 tell most words and names from it: these stand for bytes that are
# neither text nor the beginning of a document, nor compressed.
_HEAD = re.compile(r"(?! )[A-Za-z0-9+/_ -]{8}")
_NEVER = frozenset("BEFGghijklmnopqrstuv+-")  # first characters of such
_SENSE = re.compile(
    rb"\x1f\x8b|\x28\xb5\x2f\xfd|\x78[\x01\x5e\x9c\xda]|"
    + _BEGINS.pattern
    + rb"|(?:[\t-\r\x20-\x7f]|[\xc2-\xf4][\x80-\xbf]++)*+(?:[\xc2-\xf4][\x80-\xbf]*)?\Z"
)
_TRIED = re.compile(compressed.IN_BASE64)
_NODES = frozenset((dict, list, Several))
_SHORT = 128  # characters of a text that is remembered


class Opener:
    """Within one message's bounds. `bound` is the one that was met: then all texts stay closed."""

    def __init__(self) -> None:
        self.left = Left()
        self.bound = ""

    def met(self, bound: TooMuch) -> None:
        self.bound = str(bound)
        hit(self.bound)

    def undo(self, name: str, data: bytes) -> tuple[bytes | None, str]:
        """The bytes without this compression; or what is wrong with them."""
        cap = min(BODY_CAP, self.left.bytes)
        undone = compression.undo(name, data, cap)
        if undone is not None:
            self.left.decoded(len(undone[0]))
            if undone[1]:
                return undone[0], ""
            if len(undone[0]) >= cap:
                hit("bytes")
                return None, f"{name}, {TOO_MUCH}"
        return None, f"{name}, damaged"

    def within(self, node: Any, depth: int = DEPTH) -> Any:
        """The node, with its texts opened in place."""
        if isinstance(node, str):
            return self.text(node, depth)
        if depth == 0 or not isinstance(node, dict | list):
            return node
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            kind = type(value)
            if kind is str:
                if len(value) <= _SHORT and _holds_nothing(value):
                    continue
                if (new := self.text(value, depth - 1)) is not value:
                    node[key] = new
            elif kind in _NODES and value:
                self.within(value, depth - 1)
        return node

    def text(self, written: str, depth: int = DEPTH) -> Any:
        """The text, Opened if it holds something."""
        if self.bound:
            return written
        try:
            inside = self.inside(written, depth)
        except TooMuch as e:
            self.met(e)
            return written
        return written if inside is None else Opened(written, *inside)

    def value(self, data: bytes, charset: str = "utf-8") -> Any:
        """The value of a carrier's part: a text, opened, or what it seems."""
        if not data or not BINARY.search(data):
            return self.text(decoded(data, charset))
        try:
            chain, value = self.of_bytes(data, DEPTH, packed=True) or ((), "")
        except TooMuch as e:
            self.met(e)
            return Opaque(len(data), looks(data))
        return Opened("", chain, value) if chain else value

    def document(self, data: bytes) -> Any:
        """The value of a part that is JSON as a rule."""
        found = documents(data, self.left)
        return self.within(found) if isinstance(found, dict | list) else self.value(data)

    def inside(self, written: str, depth: int = DEPTH, left: int = CHAIN) -> Inside | None:
        if left == 0 or depth <= 0:
            return None
        if not _may_hold(written):
            return None
        if begun := _DOCUMENT.match(written):
            found = documents(written, self.left)
            if isinstance(found, dict | list) and begun[1] != '"':
                return ("json",), self.within(found, depth - 1)
            if isinstance(found, str):
                return _behind("json", self.inside(found, depth - 1, left - 1))
        if len(written) < base64.SHORTEST:
            return None
        data = written.encode("utf-8", "surrogatepass")
        digits = data.rstrip(_PADDING) if b"===" in data else data  # more than there ever is
        if (raw := base64.undo(digits, BODY_CAP)) is not None:
            name = "hex" if _HEX.fullmatch(written) else "base64"
            tries = name == "base64" and _TRIED.match(written) is not None
            return _behind(name, self.of_bytes(raw, depth, left - 1, tries=tries))
        if "&" in written and form.is_form(written):
            return ("form",), self.within(self.fields(data), depth - 1)
        if "%" in written and (raw := percent.undo(data, BODY_CAP)) is not None:
            inner = self.of_bytes(raw, depth, left - 1)
            if inner is not None and inner[0]:
                return _behind("percent", inner)
        return None

    def of_bytes(
        self,
        data: bytes,
        depth: int,
        left: int = CHAIN,
        *,
        packed: bool = False,
        tries: bool = True,
    ) -> Inside | None:
        """The same for what a text was encoded to, or for what was `packed`: of that all is
        said. `tries` compressions that have no first bytes of their own."""
        if left == 0 or not data:
            return None
        if name := compressed.named(data, tries=tries):
            undone, wrong = self.undo(name, data)
            if undone is not None:
                return _behind(name, self.of_bytes(undone, depth, left - 1, packed=True))
            if name != "deflate":
                return (), Opaque(len(data), wrong)
        if _BEGINS.match(data) and (b"{" in data or b"[" in data or data.isascii()):
            found = documents(data, self.left)
            if isinstance(found, dict | list):
                return ("json",), self.within(found, depth - 1)
        try:
            written = "" if BINARY.search(data) else data.decode()
        except UnicodeDecodeError:
            written = ""
        if not written:
            if not packed and len(data) < ENOUGH:
                return None
            seems = looks(data)
            return ((), Opaque(len(data), seems)) if packed or seems == "encrypted" else None
        inner = self.inside(written, depth, left - 1)
        if inner is None and (packed or len(data) >= _TEXT):
            return (), written
        return inner

    def fields(self, data: bytes, charset: str = "utf-8") -> dict[str, Any]:
        """The fields of a form: each Several, as any may be given more than once."""
        self.left.documents(data.count(b"&"))
        found: dict[str, Any] = {}
        for name, start, end in form.split(data) or ():
            found.setdefault(name, Several()).append(form.plain(data[start:end], charset))
        return found


@lru_cache(maxsize=4_096)
def _holds_nothing(written: str) -> bool:
    """Remembered: a product sends most texts again and again."""
    return not _may_hold(written) or Opener().text(written) is written


def _may_hold(written: str) -> bool:
    """False for most texts that hold nothing."""
    if _DOCUMENT.match(written) or "%" in written:
        return True
    if len(written) < base64.SHORTEST or not _MAY.match(written):
        return False
    return len(written) >= ENOUGH or not _is_chance(written)


def _is_chance(written: str) -> bool:
    """True of a text that is no form, and base64 by chance, if at all."""
    head = _HEAD.match(written)
    if head is None or "=" in written[:-2] or _HEX.fullmatch(written):
        return False
    if _TRIED.match(written):
        return False  # it may be compressed
    return written[0] in _NEVER or not _SENSE.match(base64.head(head[0]))


def gathered(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Values by name; Several where a name is repeated."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name not in found:
            found[name] = value
        elif isinstance(found[name], Several):
            found[name].append(value)
        else:
            found[name] = Several((found[name], value))
    return found


def _behind(name: str, inner: Inside | None) -> Inside | None:
    return None if inner is None else ((name, *inner[0]), inner[1])
