"""Adds decoded bodies to a capture: what is in them, with the decodings that led
there in the names. Called by `telemock captures show`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from app.contract import record
from app.contract.decoding.events import events
from app.contract.decoding.read import Content, read
from app.contract.decoding.tree import Opaque, shown
from app.contract.record import Body, Pair, first


def decoded(line: bytes) -> bytes:
    """Adds `decoded` to the record (JSON): the bodies' content by part (`request`, `response`,
    `message`), where it says more than the record does; and the `events` of a batch."""
    found: dict[str, Any] = {}
    rows: list[dict[str, str]] = []
    for part, body, headers in _bodies(record.decode(line)):
        content = read(body, first(headers, "content-type"))
        value = _shown(content, body)
        if value is not None:
            found[part] = value
        if part != "response":
            rows += [{"name": one.name, "at": one.at} for one in events(content)]
    added: dict[str, Any] = {"decoded": found} if found else {}
    if len(rows) > 1:
        added["events"] = rows
    return line.rstrip()[:-1] + b"," + msgspec.json.encode(added)[1:] if added else line


def _bodies(found: record.CaptureRecord) -> Iterator[tuple[str, Body, list[Pair]]]:
    for part, held in (("request", found.request), ("response", found.response)):
        if held and held.body:
            yield part, held.body, held.headers
    if found.message:
        yield "message", found.message.body, []


def _shown(found: Content, body: Body) -> Any:
    """The content of a body; None if that adds nothing to its text."""
    said = isinstance(found.value, str | Opaque) and body.base64 is None and not found.suffix
    if found.value is None or said:
        return None
    value = shown(found.value)
    return {f"body{found.suffix}": value} if found.suffix else value
