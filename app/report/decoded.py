"""Adds decoded bodies to a capture: JSON as JSON, forms as pairs, with gzip, zstd and base64
undone. Called by `telemock captures show`.
"""

import math
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from app.contract import record
from app.contract.body import UNREADABLE, content, documents, parse, reading, uncompressed
from app.contract.record import BODY_CAP, Body, Pair, first

_OPENED = ("gzip", "zstd", "base64-in-json")
_DEEPEST = 100  # levels that are shown


def decoded(line: bytes) -> bytes:
    """Adds `decoded` to the record (JSON): the bodies' content by part (`request`, `response`,
    `message`), where it says more than the record does."""
    found = {}
    for part, body, headers in _bodies(record.decode(line)):
        value = _read(body, first(headers, "content-type"))
        if value is not None:
            found[part] = _plain(value, _DEEPEST)
    if not found:
        return line
    return line.rstrip()[:-1] + b',"decoded":' + msgspec.json.encode(found) + b"}"


def _bodies(found: record.CaptureRecord) -> Iterator[tuple[str, Body, list[Pair]]]:
    for part, held in (("request", found.request), ("response", found.response)):
        if held and held.body:
            yield part, held.body, held.headers
    if found.message:
        yield "message", found.message.body, []


def _read(body: Body, content_type: str) -> Any:
    """Decodes a body; None if that adds nothing: text, or a body that is cut or withheld."""
    if body.truncated or body.withheld:
        return None
    opened = uncompressed(content(body), _OPENED, BODY_CAP)
    if opened is None or not opened[1]:
        return None
    data = opened[0]
    kind, _ = parse(data, content_type, ())
    if kind == "form":
        return parse_qsl(data.decode(), keep_blank_values=True)
    if kind != "text":
        values = documents(body, content_type, _OPENED)
        return values[0] if kind == "json" else values
    value = reading(body, content_type)  # which takes more than documents: UTF-16, NaN, several
    if value is None or value is UNREADABLE:
        return data.decode("utf-8", "replace") if data != content(body) else None
    return value


def _plain(node: Any, depth: int) -> Any:
    """Replaces what JSON cannot hold."""
    if isinstance(node, str):
        return record.text(node)
    if isinstance(node, float) and not math.isfinite(node):
        return str(node)
    if not isinstance(node, dict | list | tuple):
        return node
    if depth == 0:
        return "…"
    if isinstance(node, dict):
        return {record.text(name): _plain(value, depth - 1) for name, value in node.items()}
    return [_plain(value, depth - 1) for value in node]
