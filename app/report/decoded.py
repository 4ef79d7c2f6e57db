"""Adds decoded bodies to a capture: what is in them, with the decodings that led
there in the names. Called by `telemock captures show`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from app.contract import record
from app.contract.decoding.read import read
from app.contract.decoding.tree import Opaque, shown
from app.contract.record import Body, Pair, first


def decoded(line: bytes) -> bytes:
    """Adds `decoded` to the record (JSON): the bodies' content by part (`request`, `response`,
    `message`), where it says more than the record does."""
    found = {}
    for part, body, headers in _bodies(record.decode(line)):
        value = _read(body, first(headers, "content-type"))
        if value is not None:
            found[part] = value
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
    """Decodes a body; None if that adds nothing to its text."""
    found = read(body, content_type)
    said = isinstance(found.value, str | Opaque) and body.base64 is None and not found.suffix
    if found.value is None or said:
        return None
    value = shown(found.value)
    return {f"body{found.suffix}": value} if found.suffix else value
