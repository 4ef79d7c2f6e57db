"""Makes trees of what carriers hold: multipart, Sentry envelopes, XML, CSV, JSONP, pairs,
protobuf.

Each takes the bytes and returns None where they are no such carrier.
"""

import re
from collections.abc import Callable
from typing import Any

from app.contract.decoding import csv, envelope, jsonp, multipart, semicolons, xml
from app.contract.decoding.charset import decoded
from app.contract.decoding.compression import Aside
from app.contract.decoding.messages import message
from app.contract.decoding.opening import Opener, gathered

Carrier = Callable[[bytes, Opener], Any]

_HTML = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_BOUNDARY = re.compile(r"multipart/form-data; ?boundary=\"?([\w'()+./:=-]{1,70})\"?")
_HEAD = re.compile(
    rb'\r\nContent-Disposition: form-data; name="[^"\\%\r\n]+"(?:; filename="[^"\\\r\n]*")?'
    rb"(?:\r\nContent-Type: [\w.+/-]+(?:; charset=utf-8)?)?\r\n\r\n",
    re.IGNORECASE,
)


def _multipart(data: bytes, opening: Opener) -> Any:
    parts = multipart.split(data)
    if parts is None:
        return None
    opening.left.documents(len(parts))
    return gathered((p.name, _part(data[p.start : p.end], opening)) for p in parts)


def _part(data: bytes, opening: Opener) -> Any:
    inner = _multipart(data, opening) if data.startswith(b"--") else None
    return opening.value(data) if inner is None else inner


def is_plain_multipart(data: bytes, content_type: str) -> bool:
    """True if no server can read other parts, or other names of them, than we do."""
    said = _BOUNDARY.fullmatch(content_type.strip())
    if said is None:
        return False
    delimiter = b"\r\n--" + said[1].encode()
    first, *parts = (b"\r\n" + data).split(delimiter)
    if first or not parts or parts.pop() not in (b"--", b"--\r\n"):
        return False
    return all(_HEAD.match(part) for part in parts)


def _envelope(data: bytes, opening: Opener) -> Any:
    parts = envelope.split(data)
    if parts is None:
        return None
    return gathered((p.name, opening.document(data[p.start : p.end])) for p in parts)


def _xml(data: bytes, opening: Opener) -> Any:
    parts = None if _HTML.match(data) else xml.split(data)
    if parts is None:
        return None
    opening.left.documents(len(parts))
    return gathered((p.name, opening.text(decoded(xml.value(data, p)))) for p in parts)


def _csv(data: bytes, opening: Opener) -> Any:
    table = csv.table(data)
    if table is None:
        return None
    opening.left.documents(len(table.cells) // table.width)
    cells = [(p.name, opening.text(decoded(csv.value(data, p)))) for p in table.cells]
    return [dict(cells[at : at + table.width]) for at in range(0, len(cells), table.width)]


def _jsonp(data: bytes, opening: Opener) -> Any:
    parts = jsonp.split(data)
    if parts is None:
        return None
    call = Aside("call", data[: parts[0].start])
    return opening.beside(opening.document(data[parts[0].start : parts[0].end]), [call])


def _pairs(data: bytes, opening: Opener) -> Any:
    parts = semicolons.split(data)
    if parts is None:
        return None
    opening.left.documents(len(parts))
    return gathered((p.name, opening.text(decoded(data[p.start : p.end]))) for p in parts)


CARRIERS: dict[str, Carrier] = {
    "multipart": _multipart,
    "envelope": _envelope,
    "xml": _xml,
    "csv": _csv,
    "jsonp": _jsonp,
    "pairs": _pairs,
    "protobuf": message,
}
