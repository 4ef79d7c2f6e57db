"""Operational log lines as JSON, one object a line, for log collectors (LOG_FORMAT=json).

Used by the app's, the injector's and the sidecar's log handlers and by the log file of sidecar
lines, so that all of them carry the same keys.
"""

import json
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

# Trace id and span id of the request that is being handled, "" outside of one. Whoever begins to
# handle a request sets it; its lines then carry both.
current: ContextVar[tuple[str, str]] = ContextVar("telemock_span", default=("", ""))


def json_line(
    time_ns: int, level: str, logger: str, message: str, ids: tuple[str, str], **more: str
) -> bytes:
    """Printable ASCII without its line end; `more` only where it is not empty. All of it is masked
    by the caller."""
    return ascii_json(
        {
            "timestamp": iso(time_ns),
            "level": level,
            "logger": logger,
            "message": message,
            "trace_id": ids[0],
            "span_id": ids[1],
            **{key: value for key, value in more.items() if value},
        }
    )


def ascii_json(value: dict[str, Any]) -> bytes:
    with suppress(UnicodeEncodeError):  # lone surrogates
        line = msgspec.json.encode(value)
        if line.isascii() and b"\x7f" not in line:
            return line
    # Four times slower, for what is not ASCII. json leaves DEL alone, which terminals do not.
    return json.dumps(value, separators=(",", ":")).replace("\x7f", "\\u007f").encode("ascii")


def iso(time_ns: int) -> str:
    """UTC with microseconds; 1970 for a time that no calendar has."""
    return f"{_second(time_ns // 10**9)}.{time_ns // 1000 % 10**6:06d}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    try:
        time = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # a sender's clock may be anywhere
        time = datetime.fromtimestamp(0, UTC)
    return f"{time:%Y-%m-%dT%H:%M:%S}"
