"""The log files for grep and jq: requests, the app's own lines, the sidecars' lines.

Called by `app.ingest.writer` after a commit and by `app.logs.masked`. All content is masked and
ASCII, so that no line can control a terminal. A line that cannot be written is only counted: the
store has the record.
"""

import logging
import string
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec import to_builtins

from app.contract.files import tighten
from app.contract.instant import iso
from app.contract.names import (
    DIR_ANALYSIS,
    FILE_REPORT,
    FILE_SUMMARY,
    IN_LOGS,
    LOG_APP,
    LOG_FILES,
)
from app.contract.printable import one_line
from app.contract.record import Body, CaptureRecord, Pair, Request, first, note, origin
from app.logs.disk import lacking
from app.logs.rotating import RotatingFile
from app.otel.lines import ascii_json, json_line
from app.store.facts import notes

MAX_BYTES = 32 * 1024 * 1024  # size of one file at which it is rotated
BODY = 4 * 1024  # characters of a body in its line
_NONE: Sequence[tuple[str, int]] = ()  # events of a request: name and number
BodyFields = Mapping[str, Sequence[str]]  # path of each field of a request's body -> its types
_PARTS = 8  # a file is rotated at the latest at this fraction of the total limit
_RESERVE = 4  # room kept for files of that size: the three in use, and one that is being packed


def _nobody(stream: str) -> None:
    pass


class LogFiles:
    """The files below `directory`, created with the first line. Any method from any thread."""

    def __init__(
        self,
        directory: Path,
        *,
        size: int = 0,
        days: float = 0,
        as_json: bool = False,
        lost: Callable[[str], None] = _nobody,
    ) -> None:
        """`size` limits all files together, in bytes; 0 is no limit. `as_json` is for operational
        lines. `lost` is called with a file's name for each line that could not be written."""
        self._directory = directory
        self._size = size
        self._days = days
        self._as_json = as_json
        self._lost = lost
        self._max_bytes = min(MAX_BYTES, size // _PARTS) if size else MAX_BYTES
        self._requests, self._app, self._sidecars = self._files = tuple(
            RotatingFile(directory / name, max_bytes=self._max_bytes, rotated=self._tidy)
            for name in LOG_FILES
        )
        tighten(directory / DIR_ANALYSIS, (FILE_SUMMARY, FILE_REPORT))
        tighten(directory, IN_LOGS)

    def requests(self, lines: Sequence[bytes]) -> None:
        """Writes to telemetry_requests.log: lines that `request_log` made of masked records."""
        for _ in range(self._requests.append_all(lines)):
            self._lost(self._requests.path.name)

    def sidecar(self, record: CaptureRecord) -> None:
        """Writes a record of kind `log` as one line of mitmproxy.log."""
        if record.log is None:
            return
        said, workload = record.log, record.workload
        if self._as_json:
            line = json_line(
                record.time_ns, said.level, said.logger, said.message,
                (record.trace_id, record.span_id),
                namespace=workload.namespace, pod=workload.pod, node=workload.node,
            )  # fmt: skip
        else:
            who = "/".join(filter(None, (workload.namespace, workload.pod))) or "-"
            line = _ascii(
                f"{iso(record.time_ns, 6)} {said.level} {who} {said.logger or '-'}: {said.message}"
            )
        self._append(self._sidecars, line)

    def handler(self) -> logging.Handler:
        """A handler that writes formatted lines to mock_server.log."""
        return _LogFileHandler(
            lambda line: self._append(self._app, line), lambda: self._lost(LOG_APP)
        )

    def look(self) -> None:
        """Rotates files whose day is over, and deletes the oldest. Called once a minute."""
        for file in self._files:
            file.turn()
        self._tidy()

    @property
    def failed(self) -> int:
        """The number of lines that could not be written."""
        return sum(file.failed for file in self._files)

    def problem(self) -> str:
        """A sentence while the directory takes no lines, else "". Tries a write to see if it
        recovered."""
        failing = [file for file in self._files if file.error]
        if not failing:
            return ""
        if why := lacking(self._directory):
            names = ", ".join(file.path.name for file in failing)
            return f"TELEMOCK_LOGS {self._directory}: {why}; lines of {names} are not written"
        for file in failing:
            file.error = ""
        return ""

    def close(self) -> None:
        for file in self._files:
            file.close()

    def _append(self, file: RotatingFile, line: bytes) -> None:
        if not file.append(line):
            self._lost(file.path.name)

    def _tidy(self) -> None:
        """Deletes the oldest rotated files: those that are too old, and those beyond the size
        limit, which keeps room for the current ones at their full size."""
        found = []
        for file in self._files:
            for path in file.rotated():
                with suppress(FileNotFoundError):
                    state = path.stat()
                    found.append((state.st_mtime, state.st_size, path))
        oldest = time.time() - self._days * 86_400
        room = self._size - _RESERVE * self._max_bytes
        for written, size, path in sorted(found, reverse=True):
            room -= size
            if (self._days and written < oldest) or (self._size and room < 0):
                with suppress(OSError):
                    path.unlink(missing_ok=True)


class _LogFileHandler(logging.Handler):
    def __init__(self, append: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        super().__init__()
        self._append = append
        self._lost = lost

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # a broken log call must not break its caller
            self._lost()
            self.handleError(record)
            return
        self._append(b"\n".join(map(_ascii, text.split("\n"))))


def request_log(
    record: CaptureRecord,
    fields: BodyFields | None = None,
    events: Sequence[tuple[str, int]] = _NONE,
) -> bytes:
    """The record's line in telemetry_requests.log, b"" if it is no request of its own."""
    if record.request is None or record.kind not in ("exchange", "refused", "failed"):
        return b""
    return ascii_json(request_line(record, record.request, fields, events))


def request_line(
    record: CaptureRecord,
    request: Request,
    fields: BodyFields | None = None,
    events: Sequence[tuple[str, int]] = _NONE,
) -> dict[str, Any]:
    """Builds the content of one line of telemetry_requests.log."""
    response = record.response
    left_out = notes(record)
    return {
        "timestamp": iso(record.time_ns, 6),
        "url": url(record),
        "method": request.method,
        "host": record.host,
        "path": request.path,
        "headers": _gathered(request.headers),
        "query_params": _gathered(request.query),
        "user_agent": first(request.headers, "user-agent"),
        "client": record.sent_by,
        "status": response.status if response else None,
        "response_time_ms": round(record.duration_ns / 1e6, 6),
        "request": _text(request.body),
        "request_note": note(request.body),
        "request_bytes": request.body.size if request.body else 0,
        "request_fields": fields or {},
        **({"request_events": dict(events)} if events else {}),
        "content_type": first(response.headers, "content-type") if response else "",
        "response": _text(response.body) if response else "",
        "response_bytes": response.body.size if response and response.body else 0,
        "kind": record.kind,
        "action": record.action,
        "profile": record.profile,
        "rule": record.rule,
        "answered_by": record.answered_by,
        "reason": record.reason,
        "endpoint": record.route,
        "product_version": record.product_version,
        "id": record.id,
        "workload": {
            "namespace": record.workload.namespace,
            "pod": record.workload.pod,
            "node": record.workload.node,
            "image": record.workload.image,
            "container": record.workload.container,
        },
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        **({"program": to_builtins(record.program)} if record.program else {}),
        **({"not_kept": [list(one) for one in left_out]} if left_out else {}),
    }


def url(record: CaptureRecord) -> str:
    """The URL with the query in its original order, percent-encoded anew; masked like the
    record."""
    request = record.request
    if request is None:
        return ""
    base = origin(request.scheme, _quote(record.host), request.port)
    query = "&".join(map("=".join, request.query))
    if not is_plain(query, len(request.query)):
        query = "&".join(f"{_quote(n)}={_quote(v)}" for n, v in request.query)
    path = request.path
    if not is_plain(path):
        path = quote(path, safe="/%:@!$&'()*+,;=~\\", errors="backslashreplace")
    return f"{base}{path}{query and '?' + query}"


_SAFE = "/:@!$'()*,;~"  # in a query
_PLAIN = (string.ascii_letters + string.digits + "_.-" + _SAFE).encode()


def is_plain(text: str, pairs: int = 0) -> bool:
    """True if quoting would change nothing, as for most of a product's text: a fast check. `pairs`
    of a query are joined by `=` and `&`."""
    left = text.encode("ascii", "replace").translate(None, _PLAIN)
    return left == b"=&" * (pairs - 1) + b"=" if pairs else not left


def _quote(text: str) -> str:
    return text if is_plain(text) else quote(text, safe=_SAFE, errors="backslashreplace")


def _gathered(pairs: list[Pair]) -> dict[str, Any]:
    """Maps names to values; repeated names become a list."""
    found: dict[str, Any] = dict(pairs)
    if len(found) < len(pairs):
        found = {}
        for name, value in pairs:
            _gather(found, name, value)
    return found


def _gather(into: dict[str, Any], name: str, value: str) -> None:
    if name not in into:
        into[name] = value
    elif isinstance(into[name], list):
        into[name].append(value)
    else:
        into[name] = [into[name], value]


def _text(body: Body | None) -> str:
    if body is None or body.text is None:
        return ""
    return body.text if len(body.text) <= BODY else body.text[:BODY] + "…"


def _ascii(line: str) -> bytes:
    return one_line(line, ascii=True).encode()
