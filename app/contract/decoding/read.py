"""Reads a message once: from bytes and a content type to a tree of named values.

Trusts no size, ratio or type that a peer claims: `bounds` hold for every message. Whatever is read
differently by others is in the tree too, so that no server reads a value that is not judged here.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from app.contract import body as bodies
from app.contract.decoding import charset, compressed, formats
from app.contract.decoding.bounds import CHAIN, TooMuch
from app.contract.decoding.carriers import CARRIERS, is_plain_multipart
from app.contract.decoding.charset import decoded
from app.contract.decoding.compression import BEHIND, Aside
from app.contract.decoding.cut import beginning
from app.contract.decoding.formats import BINARY
from app.contract.decoding.lenient import NOT_JSON, documents
from app.contract.decoding.looks import looks
from app.contract.decoding.messages import is_named
from app.contract.decoding.opening import Opener
from app.contract.decoding.tree import THEN, TOO_MUCH, UNREADABLE, WITHHELD, Opaque, Opened, Several
from app.contract.record import BODY_CAP, Body

ENCODINGS = ("gzip", "zstd", "deflate", *compressed.TRIED, "base64", "hex", "percent")
_FIELD = re.compile(r"([\w.-]{1,64})=[^\s&;]+")  # a form of one, if its value holds something


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
    if body.withheld:
        return Content(Opaque(body.size, WITHHELD), sure=False)
    if body.truncated:
        return _read_cut(body, data, content_type, decoders)
    found = decode(data, content_type, decoders)
    return found._replace(sure=False) if body.misnamed else found


def _read_cut(body: Body, data: bytes, content_type: str, decoders: Sequence[str]) -> Content:
    """Reads what stands before the cut; no server reads that alone."""
    chain, begun = beginning(data, content_type)
    found = decode(begun, content_type, decoders)
    if isinstance(found.value, dict | list) and found.value:
        return Content(found.value, (*chain, *found.chain), False, found.bound)
    return Content(Opaque(body.size, f"{looks_cut(data, content_type)}cut"), sure=False)


def decode(data: bytes, content_type: str = "", decoders: Sequence[str] = ()) -> Content:
    return _Reader().body(data, content_type, decoders)


def opened(written: str) -> Any:
    """The text, or Opened if it holds something; for values of a query and headers."""
    return Opener().text(written)


def for_conditions(found: Content) -> Any:
    """The value that body conditions are judged on; UNREADABLE if a server may read another one."""
    return found.value if found.sure else UNREADABLE


def looks_cut(data: bytes, content_type: str) -> str:
    kind = next(iter(bodies.kinds(content_type)), "") or looks(data)
    return kind.partition(",")[0] + ", " if kind else ""


@lru_cache(maxsize=256)
def _charsets(content_type: str) -> tuple[list[str], bool]:
    """The charsets that a type names, and True if no server takes another one."""
    charsets = formats.charsets(content_type)
    known = not formats.unusual(charsets) and "multipart/" not in content_type.lower()
    return charsets, known


class _Reader:
    """Reads one message."""

    def __init__(self) -> None:
        self._opening = Opener()

    def body(self, data: bytes, content_type: str, decoders: Sequence[str]) -> Content:
        opening = self._opening
        chain: tuple[str, ...] = ()
        try:
            data, chain, asides, wrong = self._uncompressed(data)
            if wrong:
                return Content(Opaque(len(data), wrong), chain, sure=False)
            wide = charset.name(data)[:6] in ("utf-16", "utf-32")
            if wide and (plain := charset.undo(data, BODY_CAP)):
                data, content_type = plain, content_type.partition(";")[0]
            more, value, sure = self._whole(data, content_type, decoders)
            sure = sure and (not wide or more in (("json",), ("ndjson",)))
            if asides:
                value = opening.beside(value, asides)
                sure = sure and all(name != BEHIND for name, _ in asides)
        except TooMuch as e:
            opening.met(e)
            value, more, sure = Opaque(len(data), TOO_MUCH), (), False
        sure = sure and not opening.bound and set(chain).isdisjoint(compressed.TRIED)
        return Content(value, (*chain, *more), sure, opening.bound)

    def _uncompressed(self, data: bytes) -> tuple[bytes, tuple[str, ...], list[Aside], str]:
        """The bytes of a body compressed without a header, what is beside them, and what is wrong
        with the rest."""
        chain: tuple[str, ...] = ()
        asides: list[Aside] = []
        while name := compressed.named(data):
            undone, wrong = self._opening.undo(name, data)
            if undone is None:
                return data, chain, asides, "" if name == "deflate" and not chain else wrong
            data, chain = undone.content, (*chain, name)
            asides += undone.asides
            if len(chain) >= CHAIN:
                raise TooMuch("documents")
        return data, chain, asides, ""

    def _whole(
        self, data: bytes, content_type: str, decoders: Sequence[str]
    ) -> tuple[tuple[str, ...], Any, bool]:
        """The decodings, the value, and whether it is sure."""
        if not data.strip():
            return (), None, True
        charsets, known = _charsets(content_type)
        kinds = formats.said(content_type, decoders)

        def sure() -> bool:
            return known and not formats.is_odd(data)

        for name, said in formats.attempts(data, content_type, decoders):
            if name in CARRIERS:
                if (found := self._carried(data, name, content_type)) is not None:
                    return found if said else (*found[:2], found[2] and sure() and not kinds)
            elif name in ("json", "object"):
                value = documents(data, self._opening.left)  # under any content type
                if value is NOT_JSON or (name == "object" and not isinstance(value, dict | list)):
                    continue
                if isinstance(value, Several) and (of := self._carried(data, "envelope", "")):
                    return of
                several = isinstance(value, Several) or "ndjson" in kinds
                return ("ndjson" if several else "json",), self._opening.within(value), known
            elif name == "lines":
                if lines := self._lines(data):
                    return ("ndjson",), lines, False
            elif name == "forms":
                lines_of_it = data.replace(b"\r\n", b"\n").split(b"\n")
                many = Several(self._form(line, charsets) for line in lines_of_it if line)
                return ("form",), many, sure()
            else:
                return ("form",), self._fields(data, charsets), sure()
        if BINARY.search(data) and not charsets:
            return (), Opaque(len(data), looks(data, content_type)), False
        written = decoded(data, *charsets[:1])
        if (inside := self._opening.inside(written)) is not None:
            return *inside, sure() and not kinds
        if formats.claims_json(kinds):
            return (), Opaque(len(data), f"{kinds[0]}, damaged"), False
        if one := _FIELD.fullmatch(written):
            fields = self._form(data, charsets)
            if isinstance(fields[one[1]][0], Opened):
                return (), Opened(written, ("form",), fields), sure() and not kinds
        if b"=" in data:
            fields = Opened(written, ("form",), self._fields(data, charsets), unsure=True)
            return (), fields, sure()
        return (), written, sure() and not kinds

    def _carried(
        self, data: bytes, name: str, content_type: str
    ) -> tuple[tuple[str, ...], Any, bool] | None:
        """The same for one carrier; None if the data are no such."""
        value = CARRIERS[name](data, self._opening)
        if value is None:
            return None
        if name == "multipart":
            sure = is_plain_multipart(data, content_type)
        elif name == "protobuf":
            sure = is_named(value) and "protobuf" in content_type.lower()
        else:
            sure = name in ("xml", "csv") and not formats.is_odd(data)
        if name == "envelope":
            lines = documents(data, self._opening.left)  # as who knows no envelopes reads it
            if sure := lines is not NOT_JSON:
                lines = Opened("", ("ndjson",), self._opening.within(lines), unsure=True)
                value = Several((value, lines))
        return (name,), value, sure

    def _lines(self, data: bytes) -> Several | None:
        """The documents in lines of which some are damaged."""
        if not data.lstrip().startswith((b"{", b"[")) or b"\n" not in data.strip():
            return None
        found, good = Several(), 0
        for line in data.splitlines():
            if line.strip():
                one = documents(line, self._opening.left)
                good += isinstance(one, dict | list)
                found.append(Opaque(len(line), "json, damaged") if one is NOT_JSON else one)
        return self._opening.within(found) if good > len(found) / 2 else None

    def _fields(self, data: bytes, charsets: Sequence[str]) -> Any:
        """The fields of a form, in every reading: `;` is a separator, too, to some servers."""
        fields = self._form(data, charsets)
        if b";" not in data:
            return fields
        others = self._form(data.replace(b";", b"&"), charsets)
        return Several((fields, Opened("", ("form",), others, unsure=True)))

    def _form(self, data: bytes, charsets: Sequence[str]) -> Any:
        return self._opening.within(self._opening.fields(data, *charsets[:1]))
