"""Decides in which format a body is read, and by which decoding a text: the one place that does.

The reader of the tree and the masking both go through these, each with its own hands: so none takes
for a form what the other takes for JSON.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from app.contract import body as bodies
from app.contract.decoding import base64, compressed, form, percent
from app.contract.decoding.bounds import Left
from app.contract.decoding.lenient import NOT_JSON, documents
from app.contract.decoding.looks import ENOUGH
from app.contract.record import BODY_CAP

BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")
# Not text, or text that may hold fields in an unknown form: JSON needs one of these characters, and
# an encoded form has none of them bare.
ODD = re.compile(r"[\x00-\x08\x0e-\x1f\ufffd{\[]")
CARRIERS = ("multipart", "envelope", "xml", "csv", "jsonp", "pairs", "protobuf")
_BY_LOOKS = ("multipart", "xml", "jsonp", "protobuf")
_FORMATS = ("json", "ndjson", "form")
_NAMED = (
    ("multipart/", "multipart"),
    ("sentry-envelope", "envelope"),
    ("xml", "xml"),
    ("text/csv", "csv"),
    ("tab-separated-values", "csv"),
    ("javascript", "jsonp"),
    ("protobuf", "protobuf"),
    ("application/grpc", "protobuf"),
)
# How documents begin in any encoding of Unicode, with what may stand before them.
_BEGINS = (
    rb"[\t\n\v\f\r\x1c-\x20,{\[\"\-0-9NI]|true|false|null|\0|\xef\xbb\xbf|\xfe\xff|\xff\xfe"
    rb"|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2[\x80\x81]|\xe3\x80\x80"
)
_BEGUN = re.compile(_BEGINS)
_DOCUMENT = re.compile('[\ufeff \t\r\n]*+([{"[])')
_CHARSET = re.compile(r"charset[\s=\"']+([^\s;,\"']+)")
_CHARSETS = re.compile("utf-?8|(us-)?ascii|iso-8859-15?|latin1|windows-1252|utf-(16|32)(le|be)?")
_SYSLOG = re.compile(rb"<\d{1,3}>[\w.:@-]+=")
_HEX = re.compile(r"\s*[0-9a-fA-F]+\s*")
_PADDING = b"= \t\r\n"
# Base64, with a blank for a plus now and then; a form; what a `data:` address has.
_MAY = re.compile(r"[A-Za-z0-9+/_\s-]{6,}+=*\s*\Z|[^\s&=]++=[^\s]*&|\s*+data:", re.ASCII)
# The first characters of base64 tell most words and names from it: these stand for bytes that are
# neither text nor the beginning of a document, nor compressed.
_HEAD = re.compile(r"(?! )[A-Za-z0-9+/_ -]{8}")
_NEVER = frozenset("BEFGghijklmnopqrstuv+-")  # first characters of such
_SENSE = re.compile(
    rb"\x1f\x8b|\x28\xb5\x2f\xfd|\x78[\x01\x5e\x9c\xda]|"
    + _BEGINS
    + rb"|(?:[\t-\r\x20-\x7f]|[\xc2-\xf4][\x80-\xbf]++)*+(?:[\xc2-\xf4][\x80-\xbf]*)?\Z"
)
_TRIED = re.compile(compressed.IN_BASE64)


class Attempt(NamedTuple):
    """A format that a body may be in; `said` by a rule or the content type."""

    name: str
    said: bool = True


def attempts(data: bytes, content_type: str, decoders: Sequence[str] = ()) -> Iterator[Attempt]:
    """The formats that a body may be in, in the order in which they are tried: the first counts of
    which it is one. Where it is none, its text may be encoded (`step`).

    `json` is one document or several, `object` the same without bare numbers and texts; `lines`
    are such of which some are damaged, `forms` lines of them.
    """
    if name := next((d for d in decoders if d in CARRIERS), "") or named_by(content_type.lower()):
        yield Attempt(name)
    kinds = said(content_type, decoders)
    yield Attempt("object" if kinds == ["form"] else "json", bool(kinds))
    if data.lstrip().startswith((b"{", b"[")) and b"\n" in data.strip():
        yield Attempt("envelope", said=False)
        yield Attempt("lines", bool(kinds))
    if b"=" in data and not claims_json(kinds):
        as_form = "form" in kinds
        lines = list(filter(None, data.decode("latin-1").replace("\r\n", "\n").split("\n"))) or [""]
        if not as_form and is_odd(data):
            pass
        elif not as_form and len(lines) > 1 and form.are_forms(lines):
            yield Attempt("forms", said=False)
        elif as_form or form.is_form(lines[0].strip()):
            yield Attempt("form", as_form)
    if _SYSLOG.match(data):
        yield Attempt("pairs", said=False)
    binary = BINARY.search(data) is not None
    for name in _BY_LOOKS:
        if binary or name != "protobuf":
            yield Attempt(name, said=False)


def said(content_type: str, decoders: Sequence[str] = ()) -> list[str]:
    """The formats without a carrier that a rule's decoders name, or else the content type."""
    return [d for d in decoders if d in _FORMATS] or list(bodies.kinds(content_type))


def charsets(content_type: str) -> list[str]:
    return _CHARSET.findall(content_type.lower())


def unusual(names: Sequence[str]) -> bool:
    """True if one of these charsets is none that bytes tell by themselves."""
    return not all(map(_CHARSETS.fullmatch, names))


def claims_json(kinds: Sequence[str]) -> bool:
    return list(kinds) in (["json"], ["ndjson"])


def is_odd(data: bytes) -> bool:
    return ODD.search(data.decode("utf-8", "replace")) is not None


@lru_cache(maxsize=256)
def named_by(content_type: str) -> str:
    return next((name for part, name in _NAMED if part in content_type), "")


class Step(NamedTuple):
    """The decoding that a text is in, and what it gives: documents of JSON, the bytes of an
    encoding, nothing for a form."""

    name: str
    value: Any = None


def step(written: str, left: Left | None = None) -> Step | None:
    """The next decoding of a text; None for plain text. Documents are read leniently within what is
    `left`; without it, only as far as to know what they are."""
    if not may_hold(written):
        return None
    if begun := _DOCUMENT.match(written):
        found = json(written) if left is None else documents(written, left)
        if isinstance(found, dict | list) and begun[1] != '"':
            return Step("json", found)
        if isinstance(found, str):
            return Step("text", found)
    if len(written) < base64.SHORTEST:
        return None
    data = written.encode("utf-8", "surrogatepass")
    digits = data.rstrip(_PADDING) if b"===" in data else data  # more than there ever is
    if (raw := base64.undo(digits, BODY_CAP)) is not None:
        return Step("hex" if _HEX.fullmatch(written) else "base64", raw)
    if "&" in written and form.is_form(written):
        return Step("form")
    if "%" in written and (raw := percent.undo(data, BODY_CAP)) is not None:
        return Step("percent", raw)
    return None


def may_hold(written: str) -> bool:
    """False for most texts that hold nothing."""
    if _DOCUMENT.match(written) or "%" in written:
        return True
    if len(written) < base64.SHORTEST or not _MAY.match(written):
        return False
    return len(written) >= ENOUGH or not _is_chance(written)


def may_be_packed(written: str) -> bool:
    """True if the text may stand for compressed bytes that have no beginning of their own."""
    return _TRIED.match(written) is not None


def may_be_documents(data: bytes) -> bool:
    return bool(_BEGUN.match(data)) and (b"{" in data or b"[" in data or data.isascii())


def _is_chance(written: str) -> bool:
    """True of a text that is no form, and base64 by chance, if at all."""
    head = _HEAD.match(written)
    if head is None or "=" in written[:-2] or _HEX.fullmatch(written) or may_be_packed(written):
        return False
    return written[0] in _NEVER or not _SENSE.match(base64.head(head[0]))


def json(data: bytes | str) -> Any:
    """The documents as `documents` tells them, in a third of the time where they are strict."""
    found = bodies.json(data)
    return documents(data, Left()) if found is NOT_JSON and data else found
