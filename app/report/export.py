"""Writes captures as files: NDJSON, CSV for spreadsheets, HAR 1.2 for browsers' tools.

Called by `telemock captures export` (and for downloads). Each function takes records as JSON lines
and yields pieces of the file, so that memory does not grow with their number. Records are masked
already; nothing here removes or restores a value.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from app.contract import record
from app.contract.instant import iso
from app.contract.record import Body, CaptureRecord, Pair, Request, Response, first, origin
from app.version import VERSION

CSV_COLUMNS = (
    "id", "time", "kind", "action", "profile", "rule", "method", "scheme", "host", "path", "query",
    "status", "product_version", "answered_by", "reason", "namespace", "pod", "node", "container",
    "client", "user_agent", "request_bytes", "response_bytes", "duration_ms", "request_body",
)  # fmt: skip
# Spreadsheets run such cells as formulas, also in full-width forms, and behind blanks and
# zero-width characters.
_FORMULA = re.compile("[\\s\ufeff\u200b-\u200f\u2060]*[=+@\uff1d\uff0b\uff0d\uff20-]|[\t\r\n]")
_CELL_CAP = 32_000  # a cell of the common spreadsheets holds 32,767 characters

Export = Callable[[Iterable[bytes]], Iterator[bytes]]


def ndjson(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yields every record as stored, one a line."""
    for line in lines:
        yield line + b"\n"


def table(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yields CSV (RFC 4180) with a head line. Cells that a spreadsheet would run begin with a '."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(CSV_COLUMNS)
    for line in lines:
        row = _row(record.decode(line))
        writer.writerow([cell(row[name]) for name in CSV_COLUMNS])
        yield buffer.getvalue().encode("utf-8", "backslashreplace")
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode("utf-8")


def cell(value: object) -> str:
    """Makes a cell that can only be text or a number."""
    text = str(value).replace("\0", "\\0")
    if len(text) > _CELL_CAP:
        text = text[:_CELL_CAP] + "…"
    return f"'{text}" if _FORMULA.match(text) else text


def _row(found: CaptureRecord) -> dict[str, object]:
    asked = found.request or Request(method="", scheme="", path="")
    answer, by = found.response, found.workload
    body = asked.body
    return {
        "id": found.id,
        "time": iso(found.time_ns, 3),
        "kind": found.kind,
        "action": found.action,
        "profile": found.profile,
        "rule": found.rule,
        "method": asked.method,
        "scheme": asked.scheme,
        "host": found.host,
        "path": asked.path,
        "query": "&".join(f"{name}={value}" for name, value in asked.query),
        "status": answer.status if answer else "",
        "product_version": found.product_version,
        "answered_by": found.answered_by,
        "reason": found.reason,
        "namespace": by.namespace,
        "pod": by.pod,
        "node": by.node,
        "container": by.container,
        "client": found.client.address if found.client else "",
        "user_agent": first(asked.headers, "user-agent"),
        "request_bytes": body.size if body else found.sent,
        "response_bytes": answer.body.size if answer and answer.body else found.received,
        "duration_ms": round(found.duration_ns / 1e6, 3),
        "request_body": (body.text or body.base64 or "") if body else "",
    }


def har(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yields HAR 1.2, without records that have no request (connections, messages, log lines)."""
    creator = msgspec.json.encode({"name": "telemock", "version": VERSION})
    yield b'{"log":{"version":"1.2","creator":' + creator + b',"entries":['
    first = True
    for line in lines:
        found = record.decode(line)
        if found.request is None:
            continue
        yield (b"\n" if first else b",\n") + msgspec.json.encode(_entry(found, found.request))
        first = False
    yield b"\n]}}\n"


def _entry(found: CaptureRecord, asked: Request) -> dict[str, Any]:
    total, wait = found.duration_ns / 1e6, found.answer_ns / 1e6
    entry: dict[str, Any] = {
        "startedDateTime": iso(found.time_ns, 3),
        "time": total,
        "request": _request(asked),
        "response": _response(found.response),
        "cache": {},
        "timings": {"send": 0, "wait": min(wait, total) or total, "receive": max(total - wait, 0)},
        "comment": " ".join(filter(None, (found.action, found.profile, found.rule, found.reason))),
        "_id": found.id,
        "_kind": found.kind,
    }
    if not wait:
        entry["timings"]["receive"] = 0
    if found.destination:
        entry["serverIPAddress"] = found.destination.address
    return entry


def _request(asked: Request) -> dict[str, Any]:
    url = origin(asked.scheme, asked.host, asked.port) + asked.path
    query = "&".join(f"{_quoted(n)}={_quoted(v)}" for n, v in asked.query)
    request: dict[str, Any] = {
        "method": asked.method,
        "url": f"{url}?{query}" if query else url,
        "httpVersion": asked.http_version,
        "cookies": [],
        "headers": _pairs(asked.headers),
        "queryString": _pairs(asked.query),
        "headersSize": -1,
        "bodySize": asked.body.size if asked.body else 0,
    }
    if asked.body and asked.body.size:
        content = asked.body.text if asked.body.text is not None else asked.body.base64 or ""
        mime = first(asked.headers, "content-type")
        request["postData"] = {"mimeType": mime, "params": [], "text": content}
        if asked.body.base64 is not None:
            request["postData"]["comment"] = "base64"
    return request


def _response(answer: Response | None) -> dict[str, Any]:
    answer = answer or Response(status=0)
    body = answer.body or Body()
    content: dict[str, Any] = {
        "size": body.size,
        "mimeType": first(answer.headers, "content-type"),
        "text": body.text if body.text is not None else body.base64 or "",
    }
    if body.base64 is not None:
        content["encoding"] = "base64"
    return {
        "status": answer.status,
        "statusText": answer.reason,
        "httpVersion": answer.http_version,
        "cookies": [],
        "headers": _pairs(answer.headers),
        "content": content,
        "redirectURL": first(answer.headers, "location"),
        "headersSize": -1,
        "bodySize": body.size,
    }


def _pairs(pairs: Iterable[Pair]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _quoted(text: str) -> str:
    return quote(text, safe="")


FORMATS: dict[str, Export] = {"ndjson": ndjson, "csv": table, "har": har}
