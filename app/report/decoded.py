"""Adds what is in a capture's bodies, query, headers and path, with the decodings that led there in
the names. Called by `telemock captures show`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from app.contract import record
from app.contract.decoding.events import events
from app.contract.decoding.pairs import inside, segments
from app.contract.decoding.read import Content, read
from app.contract.decoding.tree import Opaque, Opened, shown
from app.contract.record import Body, Pair, first


def decoded(line: bytes) -> bytes:
    """Adds `decoded` to the record (JSON), where it says more than the record does: the bodies'
    content by part (`request`, `response`, `message`), and what is in values of the `query`, the
    `header` and the `path`; and the `events` of a batch."""
    known = record.decode(line)
    found = _heads(known)
    rows: list[dict[str, str]] = []
    for part, body, headers in _bodies(known):
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


def _heads(known: record.CaptureRecord) -> dict[str, Any]:
    request = known.request
    if request is None:
        return {}
    parts = {
        "query": {n: inside("", v) for n, v in request.query},
        "header": {n.lower(): inside(n.lower(), v) for n, v in request.headers},
    }
    found = {part: shown(_opened(values)) for part, values in parts.items() if _opened(values)}
    if named := dict(segments(request.path, known.route)):
        found["path"] = named
    return found


def _opened(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if isinstance(value, Opened)}


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
