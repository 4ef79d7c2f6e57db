"""Reads a message once: from bytes and a content type to a tree of named values.

Trusts no size, ratio or type that a peer claims: `bounds` hold for every message. Whatever is read
differently by others is in the tree too, so that no server reads a value that is not judged here.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from app.contract import body as bodies
from app.contract.decoding import base64_text, compression, form
from app.contract.decoding.bounds import CHAIN, LEVELS, Left, TooMuch, hits
from app.contract.decoding.charset import decoded
from app.contract.decoding.lenient import NOT_JSON, documents
from app.contract.decoding.looks import looks
from app.contract.decoding.tree import THEN, UNREADABLE, Opaque, Opened, Several
from app.contract.record import BODY_CAP, Body

ENCODINGS = ("gzip", "zstd", "deflate", "br", "base64", "percent")
_FORMATS = ("json", "ndjson", "form")
_NDJSON = (
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/jsonlines",
    "application/x-json-stream",
)
_CHARSET = re.compile(r"charset[\s=\"']+([^\s;,\"']+)")
_CHARSETS = re.compile("utf-?8|(us-)?ascii|iso-8859-15?|latin1|windows-1252|utf-(16|32)(le|be)?")
# Not text, or text that may hold fields in an unknown form: JSON needs one of these characters, and
# an encoded form has none of them bare.
_ODD_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f\ufffd{\[]")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_MAGIC = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
# How documents begin in any encoding of Unicode, with what may stand before them.
_BEGINS = frozenset(
    b'\t\n\v\f\r\x1c\x1d\x1e\x1f ,{["-0123456789tfnNI\0\xc2\xe1\xe2\xe3\xef\xfe\xff'
)
_TEXT = 16  # bytes of text in base64 that cannot be chance


class Content(NamedTuple):
    """The content of a body. `chain` are the decodings of the whole; `sure`: no server reads fields
    that are not in `value`; `bound`: what was met, so that texts stayed unread."""

    value: Any = None
    chain: tuple[str, ...] = ()
    sure: bool = True
    bound: str = ""

    @property
    def suffix(self) -> str:
        """The end of the body's name: its format alone goes without saying."""
        plain = len(self.chain) == 1 and self.chain[0] not in ENCODINGS
        return "" if plain or not self.chain else THEN + THEN.join(self.chain)

    @property
    def documents(self) -> list[Any]:
        if self.value is None or isinstance(self.value, Opaque):
            return []
        return list(self.value) if isinstance(self.value, Several) else [self.value]


_NOTHING = Content()


def read(body: Body | None, content_type: str, decoders: Sequence[str] = ()) -> Content:
    """Reads a kept body. A rule's `decoders` override the content type."""
    if body is None or not body.size:
        return _NOTHING
    data = bodies.content(body)
    if body.withheld or body.truncated:
        why = body.withheld and "withheld"
        return Content(Opaque(body.size, why or f"{looks_cut(data, content_type)}cut"), sure=False)
    return decode(data, content_type, decoders)


def decode(data: bytes, content_type: str = "", decoders: Sequence[str] = ()) -> Content:
    return _Reader().body(data, content_type, decoders)


def opened(written: str) -> Any:
    """The text, or Opened if it holds something; for values of a query and headers."""
    return _Reader().text(written)


def for_conditions(found: Content) -> Any:
    """The value that body conditions are judged on; UNREADABLE if a server may read another one."""
    return found.value if found.sure else UNREADABLE


def looks_cut(data: bytes, content_type: str) -> str:
    kind = next(iter(_kinds(content_type)), "") or looks(data)
    return kind.partition(",")[0] + ", " if kind else ""


class _Reader:
    """Reads one message."""

    def __init__(self) -> None:
        self._budget = Left()
        self._bound = ""

    def body(self, data: bytes, content_type: str, decoders: Sequence[str]) -> Content:
        chain: tuple[str, ...] = ()
        try:
            data, chain, left = self._uncompressed(data)
            if left:
                return Content(Opaque(len(data), left), chain, sure=False)
            more, value, sure = self._whole(data, content_type, decoders)
        except TooMuch as e:
            self._met(e)
            value, more, sure = Opaque(len(data), "more than is read"), (), False
        return Content(value, (*chain, *more), sure and not self._bound, self._bound)

    def _met(self, bound: TooMuch) -> None:
        self._bound = str(bound)
        hits[self._bound] += 1

    def _uncompressed(self, data: bytes) -> tuple[bytes, tuple[str, ...], str]:
        """The bytes of a body compressed without a header, and what is wrong with the rest."""
        chain: tuple[str, ...] = ()
        while name := _compressed(data):
            undone, wrong = self._undo(name, data)
            if undone is None:
                return data, chain, "" if name == "deflate" and not chain else wrong
            data, chain = undone, (*chain, name)
            if len(chain) >= CHAIN:
                raise TooMuch("documents")
        return data, chain, ""

    def _undo(self, name: str, data: bytes) -> tuple[bytes | None, str]:
        cap = min(BODY_CAP, self._budget.bytes)
        undone = compression.undo(name, data, cap)
        if undone is not None:
            self._budget.decoded(len(undone[0]))
            if undone[1]:
                return undone[0], ""
            if len(undone[0]) >= cap:
                hits["bytes"] += 1
                return None, f"{name}, more than is read"
        return None, f"{name}, damaged"

    def _whole(
        self, data: bytes, content_type: str, decoders: Sequence[str]
    ) -> tuple[tuple[str, ...], Any, bool]:
        """The decodings, the value, and whether it is sure."""
        if not data.strip():
            return (), None, True
        said = content_type.lower()
        charsets = _CHARSET.findall(said)
        sure = all(map(_CHARSETS.fullmatch, charsets)) and "multipart/" not in said
        kinds = [d for d in decoders if d in _FORMATS] or _kinds(content_type)
        found = documents(data, self._budget)  # under any content type
        if found is not NOT_JSON and (isinstance(found, dict | list) or kinds != ["form"]):
            several = isinstance(found, Several) or "ndjson" in kinds
            return ("ndjson" if several else "json",), self._opened(found, LEVELS), sure
        plain = data.decode("utf-8", "replace")
        odd = _ODD_TEXT.search(plain) is not None
        claims = kinds in (["json"], ["ndjson"])
        written = decoded(data, *charsets[:1])
        if lines := self._lines(data):
            return ("ndjson",), lines, False
        fields: Any = None
        if "=" in plain and not claims:
            fields = self._fields(data, charsets, form_said="form" in kinds)
        if isinstance(fields, dict | Several) and (not odd or "form" in kinds):
            return ("form",), fields, sure and not odd
        if _BINARY.search(data) and not charsets:
            return (), Opaque(len(data), looks(data, content_type)), False
        inside = self._inside(written, LEVELS)
        if inside is not None:
            return *inside, sure and not odd and not kinds
        if claims:
            return (), Opaque(len(data), f"{kinds[0]}, damaged"), False
        if fields is not None:
            return (), fields, sure and not odd
        return (), written, sure and not odd and not kinds

    def _lines(self, data: bytes) -> Several | None:
        """The documents in lines of which some are damaged."""
        if not data.lstrip().startswith((b"{", b"[")) or b"\n" not in data.strip():
            return None
        found, good = Several(), 0
        for line in data.splitlines():
            if line.strip():
                one = documents(line, self._budget)
                good += isinstance(one, dict | list)
                found.append(Opaque(len(line), "json, damaged") if one is NOT_JSON else one)
        return self._opened(found, LEVELS) if good > len(found) / 2 else None

    def _fields(self, data: bytes, charsets: Sequence[str], *, form_said: bool) -> Any:
        """The fields of a form, in every reading: `;` is a separator, too, to some servers."""
        self._budget.documents(data.count(b"&") + data.count(b";"))
        fields = _named(data, b"&", charsets)
        for name, value in fields.items():
            fields[name] = self._opened(value, LEVELS)
        if not form_said and not form.is_form(data.decode("latin-1").strip()):
            written = decoded(data, *charsets[:1])
            return Opened(written, ("form",), self._also(data, fields, charsets), unsure=True)
        return self._also(data, fields, charsets)

    def _also(self, data: bytes, fields: dict[str, Any], charsets: Sequence[str]) -> Any:
        if b";" not in data:
            return fields
        others = self._opened(_named(data.replace(b";", b"&"), b"&", charsets), LEVELS)
        return Several((fields, Opened("", ("form",), others, unsure=True)))

    # What texts hold.

    def _opened(self, node: Any, depth: int) -> Any:
        """The node, with its texts opened in place."""
        if isinstance(node, str):
            return self.text(node, depth)
        if depth == 0:
            return node
        items: Any = ()
        if isinstance(node, dict):
            items = node.items()
        elif isinstance(node, list):
            items = enumerate(node)
        for key, value in items:
            if isinstance(value, str):
                if len(value) > 1 and (new := self.text(value, depth - 1)) is not value:
                    node[key] = new
            elif isinstance(value, dict | list):
                self._opened(value, depth - 1)
        return node

    def text(self, written: str, depth: int = LEVELS) -> Any:
        """The text, Opened if it holds something."""
        if self._bound:
            return written
        try:
            inside = self._inside(written, depth)
        except TooMuch as e:
            self._met(e)
            return written
        return written if inside is None else Opened(written, *inside)

    def _inside(
        self, written: str, depth: int, left: int = CHAIN
    ) -> tuple[tuple[str, ...], Any] | None:
        """The decodings of a text, and the value that they find."""
        if left == 0 or depth <= 0:
            return None
        begins = written[:1] if written[:1] > " " else written.lstrip("\ufeff \t\r\n")[:1]
        if begins and begins in '{["\ufeff':
            found = documents(written, self._budget)
            if isinstance(found, dict | list) and begins != '"':
                return ("json",), self._opened(found, depth - 1)
            if isinstance(found, str):
                inner = self._inside(found, depth - 1, left - 1)
                return (("json", *inner[0]), inner[1]) if inner else None
        if "%" in written:
            plain = form.plain(written.replace("+", "%2B").encode("utf-8", "surrogatepass"))
            inner = self._inside(plain, depth, left - 1) if plain != written else None
            if inner:
                return ("percent", *inner[0]), inner[1]
        if len(written) >= 8:
            data = base64_text.undo(written)
            inner = self._bytes(data, depth, left - 1) if data else None
            if inner:
                return ("base64", *inner[0]), inner[1]
            if data is None and "&" in written and form.is_form(written):
                self._budget.documents(written.count("&"))
                fields = _named(written.encode("utf-8", "surrogatepass"), b"&", ())
                return ("form",), self._opened(fields, depth - 1)
        return None

    def _bytes(
        self, data: bytes, depth: int, left: int, *, packed: bool = False
    ) -> tuple[tuple[str, ...], Any] | None:
        """The same for what was base64, or `packed`."""
        if left == 0 or not data:
            return None
        if name := _compressed(data):
            undone, wrong = self._undo(name, data)
            if undone is not None:
                chain, value = self._bytes(undone, depth, left - 1, packed=True) or (
                    (), Opaque(len(undone), looks(undone)),
                )  # fmt: skip
                return (name, *chain), value
            if name != "deflate":
                return (), Opaque(len(data), wrong)
        if data[0] in _BEGINS:
            found = documents(data, self._budget)
            if isinstance(found, dict | list):
                return ("json",), self._opened(found, depth - 1)
        if _BINARY.search(data):
            seems = looks(data)
            return ((), Opaque(len(data), seems)) if packed or seems == "encrypted" else None
        try:
            written = data.decode()
        except UnicodeDecodeError:
            seems = looks(data)
            return ((), Opaque(len(data), seems)) if packed or seems == "encrypted" else None
        inner = self._inside(written, depth, left - 1)
        if inner is None and (packed or len(data) >= _TEXT):
            return (), written
        return inner


def _named(data: bytes, between: bytes, charsets: Sequence[str]) -> dict[str, Any]:
    charset = charsets[0] if charsets else "utf-8"
    found: dict[str, Any] = {}
    for name, start, end in form.split(data, between) or ():
        value = form.plain(data[start:end], charset)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], Several):
            found[name].append(value)
        else:
            found[name] = Several((found[name], value))
    return found


def _compressed(data: bytes) -> str:
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    return "deflate" if data[:2] in _ZLIB else ""


def _kinds(content_type: str) -> list[str]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return ["form"]
    if kind in _NDJSON:
        return ["ndjson"]
    return ["json"] if kind.endswith(("/json", "+json")) else []
