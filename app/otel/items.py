"""Spans and log records as callers hand them over for export: plain, and masked already."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Attributes = Mapping[str, Any]  # values are str, bool, int or float


class SpanData(NamedTuple):
    """A span that has ended. Everything in it is masked already. Times are Unix nanoseconds."""

    name: str
    kind: Literal["server", "client", "internal"]
    trace_id: str  # lower-case hex, 32 digits
    span_id: str  # 16 digits
    parent_id: str  # "" without a parent
    start_ns: int
    end_ns: int
    attributes: Attributes
    error: str = ""  # "" is fine; anything else is status Error with this description
    events: tuple[tuple[str, int, Attributes], ...] = ()  # name, time, attributes
    trace_state: str = ""


class LogData(NamedTuple):
    time_ns: int
    severity: str  # INFO, WARN or ERROR
    body: str
    attributes: Attributes
    trace_id: str = ""
    span_id: str = ""
    event_name: str = ""
