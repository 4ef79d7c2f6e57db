"""The log files people read with grep and jq: requests, the app's own lines, the sidecars' lines.

Called by `app.ingest` after a commit and by `app.logs`. Everything in them is masked already, and
is ASCII, so that no line can steer a terminal. A line that cannot be written is counted in `failed`
and nothing else happens: the store has the record.
"""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from app.contract.names import LOG_APP, LOG_REQUESTS, LOG_SIDECARS
from app.contract.record import Body, CaptureRecord, Request
from app.rotating import RotatingFile

MAX_BYTES = 32 * 1024 * 1024  # of one file before it is rotated
KEEP = 14  # rotated files of each log
RESPONSE = 4 * 1024  # characters of an answer in its line

_PORTS = {"http": 80, "https": 443}


class LogFiles:
    """The files below `directory`, made when the first line comes."""

    def __init__(self, directory: Path, *, max_bytes: int = MAX_BYTES, keep: int = KEEP) -> None:
        self._requests, self._sidecars, self._app = (
            RotatingFile(directory / name, max_bytes=max_bytes, keep=keep)
            for name in (LOG_REQUESTS, LOG_SIDECARS, LOG_APP)
        )

    def request(self, record: CaptureRecord) -> None:
        """One JSON line in telemetry_requests.log. `record` is masked and has a request."""
        if record.request is not None:
            self._requests.append(_json(request_line(record, record.request)))

    def sidecar(self, record: CaptureRecord) -> None:
        """One line in mitmproxy.log, of a record of kind `log`."""
        if record.log is not None:
            workload = record.workload
            who = "/".join(filter(None, (workload.namespace, workload.pod))) or "-"
            line = (
                f"{_iso(record.time_ns)} {record.log.level} {who} {record.log.logger or '-'}:"
                f" {record.log.message}"
            )
            self._sidecars.append(_ascii(line))

    def handler(self) -> logging.Handler:
        """Writes what a formatter made of it to mock_server.log."""
        return _Handler(self._app)

    @property
    def failed(self) -> int:
        """Lines that could not be written."""
        return self._requests.failed + self._sidecars.failed + self._app.failed

    def close(self) -> None:
        for file in (self._requests, self._sidecars, self._app):
            file.close()


class _Handler(logging.Handler):
    def __init__(self, file: RotatingFile) -> None:
        super().__init__()
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # a broken log call must not break what it tells of
            self.handleError(record)
            return
        self._file.append(b"\n".join(map(_ascii, text.split("\n"))))

    def close(self) -> None:
        self._file.close()
        super().close()


def request_line(record: CaptureRecord, request: Request) -> dict[str, Any]:
    """What one line of telemetry_requests.log holds."""
    response = record.response
    parameters: dict[str, Any] = {}
    for name, value in request.query:
        _gather(parameters, name, value)
    headers: dict[str, Any] = {}
    for name, value in request.headers:
        _gather(headers, name, value)
    return {
        "timestamp": _iso(record.time_ns),
        "url": url(record),
        "method": request.method,
        "host": record.host,
        "path": request.path,
        "headers": headers,
        "query_params": parameters,
        "user_agent": _header(request.headers, "user-agent"),
        "client": record.client.address if record.client else "",
        "status": response.status if response else None,
        "response_time_ms": round(record.duration_ns / 1e6, 3),
        "content_type": _header(response.headers, "content-type") if response else "",
        "response": _text(response.body) if response else "",
        "action": record.action,
        "profile": record.profile,
        "rule": record.rule,
        "endpoint": record.route,
        "product_version": record.product_version,
        "id": record.id,
        "workload": {
            "namespace": record.workload.namespace,
            "pod": record.workload.pod,
            "node": record.workload.node,
        },
        "trace_id": record.trace_id,
    }


def url(record: CaptureRecord) -> str:
    """The URL with the query in the order it was sent, percent-encoded anew; masked as the record
    is."""
    request = record.request
    if request is None:
        return ""
    host = f"[{record.host}]" if ":" in record.host else _quote(record.host)
    port = "" if _PORTS.get(request.scheme, request.port) == request.port else f":{request.port}"
    query = "&".join(f"{_quote(n)}={_quote(v)}" for n, v in request.query)
    path = quote(request.path, safe="/%:@!$&'()*+,;=~\\", errors="backslashreplace")
    return f"{request.scheme}://{host}{port}{path}{query and '?' + query}"


def _quote(text: str) -> str:
    return quote(text, safe="/:@!$'()*,;~", errors="backslashreplace")


def _gather(into: dict[str, Any], name: str, value: str) -> None:
    """Repeated names become a list."""
    if name not in into:
        into[name] = value
    elif isinstance(into[name], list):
        into[name].append(value)
    else:
        into[name] = [into[name], value]


def _header(headers: list[tuple[str, str]], name: str) -> str:
    return next((v for n, v in headers if n.lower() == name), "")


def _text(body: Body | None) -> str:
    if body is None or body.text is None:
        return ""
    return body.text if len(body.text) <= RESPONSE else body.text[:RESPONSE] + "…"


def _iso(time_ns: int) -> str:
    try:
        time = datetime.fromtimestamp(time_ns // 10**9, UTC)
    except (ValueError, OverflowError, OSError):  # a sender's clock may be anywhere
        time = datetime.fromtimestamp(0, UTC)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time_ns // 1000 % 10**6:06d}Z"


def _json(value: dict[str, Any]) -> bytes:
    # json leaves DEL alone, which terminals do not.
    return json.dumps(value, separators=(",", ":")).replace("\x7f", "\\u007f").encode("ascii")


def _ascii(line: str) -> bytes:
    """One line for grep: everything but printable ASCII as its escape."""
    if line.isascii() and line.isprintable():
        return line.encode("ascii")
    return "".join(
        c if c.isascii() and c.isprintable() else c.encode("unicode_escape").decode() for c in line
    ).encode("ascii")
