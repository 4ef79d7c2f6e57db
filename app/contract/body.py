"""Reads bodies: from bytes on the wire to the record's body, and to JSON for rules and inventory.

Called by the sidecar's capture and by the mock, before masking, and by the masking itself. It never
trusts a size, a ratio or a type that a peer claims: the caller's cap bounds every step.
"""

import base64
import codecs
import hashlib
import json as standard
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal
from urllib.parse import parse_qs

import msgspec

from app.contract.encodings import undo
from app.contract.record import BODY_CAP, Body, text

Format = Literal["json", "ndjson", "form", "text"]

_DEPTH = 64  # levels of a document that are searched for embedded base64
_ENCODINGS = 2  # stacked content encodings that are undone


def keep(prefix: bytes, *, size: int, sha256: str, encoding: str = "", cap: int) -> Body:
    """The record's body from the first bytes on the wire.

    `prefix` is at most `cap` bytes of `size`; `encoding` the Content-Encoding header. The content
    encoding is undone (gzip, deflate, br, zstd; at most two of them) into at most `cap` bytes; if
    it cannot be undone, no content is kept, and `withheld` tells why.
    """
    body = Body(size=size, sha256=sha256, truncated=len(prefix) < size)
    data = prefix
    names = [n for n in (e.strip().lower() for e in encoding.split(",")) if n not in _PLAIN]
    if data and names:
        for name in reversed(names):
            undone = undo(name, data, cap) if len(names) <= _ENCODINGS else None
            if undone is None:
                body.withheld = "encoding"
                return body
            data, whole = undone
            body.truncated |= not whole
    body.truncated |= len(data) > cap
    store(body, data[:cap])
    return body


def whole(data: bytes, encoding: str = "", cap: int = BODY_CAP) -> Body:
    """`keep` of a body of which all bytes are here."""
    sha256 = hashlib.sha256(data).hexdigest() if data else ""
    return keep(data[:cap], size=len(data), sha256=sha256, encoding=encoding, cap=cap)


def content(body: Body) -> bytes:
    """The kept bytes, b"" for none."""
    if body.text is not None:
        return body.text.encode("utf-8", "surrogatepass")
    if body.base64 is not None:
        try:
            return base64.b64decode(body.base64)
        except ValueError:
            return b""
    return b""


def store(body: Body, data: bytes) -> None:
    """Puts `data` into the body as text, or as base64 if it is not UTF-8. Drops a character that
    was cut in half."""
    body.text = body.base64 = None
    if not data:
        return
    if data.isascii():  # no character can be cut in half
        body.text = data.decode("ascii")
        return
    try:
        decoder = codecs.getincrementaldecoder("utf-8")()
        body.text = decoder.decode(data, final=not body.truncated)
    except UnicodeDecodeError:
        body.base64 = base64.b64encode(data).decode()


def documents(body: Body, content_type: str, decoders: Sequence[str] = ()) -> list[Any]:
    """The JSON values in a kept body: one for JSON, one per line for NDJSON, an object of lists for
    a form; base64 JSON in strings is opened if a decoder says so. Empty if it is none of these, is
    truncated, or does not parse. A rule's `decoders` override the content type; JSON is recognised
    under any type."""
    if body.truncated or body.withheld:
        return []
    opened = uncompressed(content(body), decoders, BODY_CAP)
    if opened is None or not opened[1]:
        return []
    _, found = parse(opened[0], content_type, decoders)
    if "base64-in-json" not in decoders:
        return found
    return [_embedded(d, _DEPTH, _opened) for d in found]


def document(body: Body | None, content_type: str, decoders: Sequence[str] = ()) -> Any:
    """For templates and versions: the one of `documents`, else all of them, else None."""
    found = documents(body, content_type, decoders) if body is not None else []
    return found[0] if len(found) == 1 else found or None


def uncompressed(data: bytes, decoders: Sequence[str], cap: int) -> tuple[bytes, bool] | None:
    """Decompresses a body compressed without a header, if a decoder names the compression: the
    bytes, and True if they are all of them; unchanged if not compressed (a masked record holds it
    decompressed). None if it is damaged."""
    for name, magic in _MAGIC:
        if name in decoders and data.startswith(magic):
            return undo(name, data, cap)
    return data, True


def parse(data: bytes, content_type: str, decoders: Sequence[str] = ()) -> tuple[Format, list[Any]]:
    """The content's format, and the JSON values in it (none for `text`)."""
    if not data:
        return "text", []
    kinds = [d for d in decoders if d in ("json", "ndjson", "form")] or _kinds(content_type)
    if "json" not in kinds and data.lstrip()[:1] in (b"{", b"["):
        kinds = ["json", *kinds]
    for kind in kinds:
        if kind == "form":
            if b"=" in data and (fields := _form(data)):
                return "form", [fields]
            continue
        if kind == "json":
            document = json(data)
            if document is not NOT_JSON:
                return "json", [document]
        lines = [json(line) for line in data.splitlines() if line.strip()]
        if lines and NOT_JSON not in lines:
            return "ndjson", lines
    return "text", []


UNREADABLE: Any = object()  # a body's content that cannot be read here


class Several(list[Any]):
    """Values of which each may be the meant one: of a repeated key, of a text that holds a
    document, of the documents in one body."""


def reading(body: Body | None, content_type: str) -> Any:
    """The value for body conditions, with every reading that some server may take, so that no
    server reads a value that is not judged here. None if the body is empty or has no fields;
    UNREADABLE if it is truncated, or claims fields that cannot be read.

    JSON may begin with a byte order mark, be UTF-16 or UTF-32, be several documents in a row,
    repeat a key, hold NaN, lone surrogates and control characters, be compressed without a header,
    and hold more JSON as base64.
    """
    if body is None or not body.size:
        return None
    if body.truncated or body.withheld:
        return UNREADABLE
    try:
        return _Reader().read(body, content_type)
    except _TooMuch:
        return UNREADABLE


MOST = 8192  # documents, texts that hold some, or a form's fields: more would delay others


class _TooMuch(Exception):
    """There are more documents than are read."""


class _Reader:
    """Reads one body."""

    def __init__(self) -> None:
        self._left = MOST

    def _count(self, number: int = 1) -> None:
        self._left -= number
        if self._left < 0:
            raise _TooMuch

    def read(self, body: Body, content_type: str) -> Any:
        opened = uncompressed(content(body), ("gzip", "zstd"), BODY_CAP)
        if opened is None or not opened[1]:
            return UNREADABLE
        data, said = opened[0], content_type.lower()
        if not data.strip():
            return None
        charsets = _CHARSET.findall(said)
        if "multipart/" in said or not all(map(_CHARSETS.fullmatch, charsets)):
            return UNREADABLE
        kinds = _kinds(content_type)
        found = self._documents(data)  # under any content type
        if found is not None and (isinstance(found, dict | list) or kinds != ["form"]):
            return _embedded(found, _DEPTH, self._inner)
        plain = data.decode("utf-8", "replace")
        if kinds in (["json"], ["ndjson"]) or _ODD_TEXT.search(plain):
            return UNREADABLE
        fields: dict[str, Any] = {}
        if "=" in plain:
            self._count(data.count(b"&") + data.count(b";"))
            fields = {n: Several(v) for n, v in _form(data).items()}
            if b";" in data:  # a separator to some servers
                for name, values in _form(data.replace(b";", b"&")).items():
                    fields.setdefault(name, Several()).extend(values)
        if fields:
            return _embedded(fields, _DEPTH, self._inner)
        return UNREADABLE if kinds else None

    def _documents(self, data: bytes) -> Any:
        """All JSON documents in the data, None if it holds anything else."""
        found = Several()
        try:
            written = data.decode(standard.detect_encoding(data), "replace")
            at = _end(written, 0)
            while at < len(written):
                self._count()
                document, at = _decoder.raw_decode(written, at)
                found.append(document)
                at = _end(written, at)
        except (ValueError, RecursionError):
            return None
        return found[0] if len(found) == 1 else found

    def _inner(self, value: str) -> Any:
        """The text, and the documents in it, plain or as base64."""
        data = value.encode("utf-8", "replace") if value.lstrip()[:1] in ("{", "[") else None
        if data is None and len(value) >= 8:
            data = unbase64(value)
        found = None if data is None else self._documents(data)
        return Several((value, found)) if isinstance(found, dict | list) else value


_CHARSET = re.compile(r"charset[\s=\"']+([^\s;,\"']+)")
_CHARSETS = re.compile("utf-?8|(us-)?ascii|iso-8859-15?|latin1|windows-1252|utf-(16|32)(le|be)?")
# Not text, or text that may hold fields in an unknown form: JSON needs one of these characters, and
# an encoded form has none of them bare.
_ODD_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f\ufffd{\[]")
_BETWEEN = re.compile(r"[\s,\x1e\ufeff]*")


def _several(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    values: dict[str, Several] = {}
    for key, value in pairs:
        values.setdefault(key, Several()).append(value)
    return {key: each if len(each) > 1 else each[0] for key, each in values.items()}


_decoder = standard.JSONDecoder(strict=False, object_pairs_hook=_several)


def _end(written: str, at: int) -> int:
    """The end of the separators that may stand between documents."""
    between = _BETWEEN.match(written, at)
    return between.end() if between else at


def json_values(document: Any, path: str) -> list[str]:
    """The scalar at a dotted path as JSON text without quotes (objects and lists as compact JSON);
    empty for none. `*` stands for every element of a list; each value of Several counts."""
    nodes = [document]
    for step in path.split("."):
        following: list[Any] = []
        for node in _each(nodes):
            if isinstance(node, dict) and step in node:
                following.append(node[step])
            elif isinstance(node, list):
                if step == "*":
                    following.extend(node)
                elif step.isascii() and step.isdigit() and len(step) < 9 and int(step) < len(node):
                    following.append(node[int(step)])
        nodes = following
    return [_as_text(n) for n in _each(nodes) if n is not NOT_JSON]


def _each(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        yield node
        if isinstance(node, Several):
            yield from _each(node)


def _as_text(node: Any) -> str:
    """As JSON; also for values that JSON cannot hold, but bodies do."""
    if isinstance(node, str):
        return text(node)
    try:
        return msgspec.json.encode(node).decode()
    except (UnicodeError, msgspec.MsgspecError, RecursionError):
        return repr(node)


NOT_JSON = msgspec.UNSET


def json(data: bytes | str) -> Any:
    """The JSON value, NOT_JSON if there is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return NOT_JSON


def embedded(value: str) -> Any:
    """The JSON object or list whose base64 the string is, else NOT_JSON."""
    # `{` and `[` become `e` and `W`, then one of these: so other strings need no decoding.
    if len(value) < 8 or value[0] not in "eW" or value[1] not in "wxyz0123456789-_+/":
        return NOT_JSON
    data = unbase64(value)
    return NOT_JSON if data is None else json(data)


def unbase64(value: str) -> bytes | None:
    digits = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except ValueError:
        return None


def _embedded(node: Any, depth: int, read: Callable[[str], Any]) -> Any:
    """The document with each text replaced by what `read` returns for it, recursively."""
    if depth == 0:
        return node
    if isinstance(node, dict):
        return {k: _embedded(v, depth - 1, read) for k, v in node.items()}
    if isinstance(node, list):
        return type(node)(_embedded(v, depth - 1, read) for v in node)
    if isinstance(node, str):
        inner = read(node)
        if isinstance(inner, Several):  # the text stays, beside the documents in it
            return Several((node, *(_embedded(v, depth - 1, read) for v in inner[1:])))
        return node if inner is node else _embedded(inner, depth - 1, read)
    return node


def _opened(value: str) -> Any:
    inner = embedded(value)
    return value if inner is NOT_JSON else inner


def _kinds(content_type: str) -> list[str]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return ["form"]
    if kind in _NDJSON:
        return ["ndjson"]
    return ["json"] if kind.endswith(("/json", "+json")) else []


def _form(data: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(data.decode(), keep_blank_values=True)
    except ValueError:
        return {}


_PLAIN = ("", "identity")
_MAGIC = (("gzip", b"\x1f\x8b"), ("zstd", b"\x28\xb5\x2f\xfd"))
_NDJSON = (
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/jsonlines",
    "application/x-json-stream",
)
