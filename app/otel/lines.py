"""Operational log lines as JSON, one object a line, for log collectors (LOG_FORMAT=json).

Used by the app's, the injector's and the sidecar's log handlers and by the log file of sidecar
lines, so that all of them carry the same keys.
"""

import json
from contextvars import ContextVar
from typing import Any

import msgspec

from app.contract import printable
from app.contract.instant import iso

# Trace id and span id of the current request, "" outside of one. Set by the code that begins to
# handle a request; its log lines then carry both.
current: ContextVar[tuple[str, str]] = ContextVar("telemock_span", default=("", ""))


def json_line(
    time_ns: int, level: str, logger: str, message: str, ids: tuple[str, str], **more: str
) -> bytes:
    """One line of printable ASCII, without its end; leaves out empty values of `more`. The caller
    masks all of it."""
    return ascii_json(
        {
            "timestamp": iso(time_ns, 6),
            "level": level,
            "logger": logger,
            "message": message,
            "trace_id": ids[0],
            "span_id": ids[1],
            **{key: value for key, value in more.items() if value},
        }
    )


def ascii_json(value: dict[str, Any]) -> bytes:
    try:
        return printable.ascii_json(msgspec.json.encode(value))
    except UnicodeEncodeError:  # lone surrogates
        return json.dumps(value, separators=(",", ":")).encode()
