"""Spans, log records and resources as OTLP's messages, and the requests that carry them.

The numbers are those of the fields in opentelemetry-proto; the tests read all of it back with its
own parser. Called by `app.otel.export`, and by `app.otel.points` for the parts that it shares.
"""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from app.otel import wire

if TYPE_CHECKING:
    from app.otel.export import LogData, SpanData

VALUE_CAP = 4096  # characters of an attribute; a URL may be longer
ITEMS_CAP = 100  # of an attribute that is a list
NAME = "telemock"

_KINDS = {"internal": 1, "server": 2, "client": 3}
_SEVERITIES = {"INFO": 9, "WARN": 13, "ERROR": 17}
_ERROR = 2  # of a span's status
_REMOTE_KNOWN, _REMOTE, _SAMPLED = 0x100, 0x200, 0x01  # flags
_INT64 = 1 << 63
# W3C's list of vendors' members; what is something else belongs to no trace.
_MEMBER = (
    r"[ \t]*(?:[a-z][_0-9a-z*/-]{0,255}|[a-z0-9][_0-9a-z*/-]{0,240}@[a-z][_0-9a-z*/-]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}"
)
_STATE = re.compile(f"{_MEMBER}(?:,{_MEMBER}){{0,31}}")


def resource(attributes: Mapping[str, str], version: str) -> bytes:
    """What is sent describes this. `version` is telemock's, as which it was made: the name
    `opentelemetry` is kept for OpenTelemetry's own SDKs."""
    return _attributes(
        1,
        {
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": NAME,
            "telemetry.sdk.version": version,
            **attributes,
        },
    )


def request(resource: bytes, version: str, items: Iterable[bytes]) -> bytes:
    """With all these spans, log records or metrics: the requests of the three have one form."""
    scope = wire.text(1, NAME) + wire.text(2, version)
    parts = [wire.message(1, scope), *(wire.message(2, item) for item in items)]
    # A batch may be large: it is put together once, not once for each message around it.
    size = sum(map(len, parts))
    head = wire.message(1, resource) + wire.begin(2, size)
    return b"".join((wire.begin(1, len(head) + size), head, *parts))


def span(data: "SpanData") -> bytes:
    """Raises ValueError for ids that are none and struct.error for times that are none."""
    remote = _REMOTE if data.parent_id and data.kind == "server" else 0
    status = wire.text(2, _text(data.error)) + wire.number(3, _ERROR) if data.error else b""
    return b"".join(
        (
            wire.message(1, _id(data.trace_id, 16)),
            wire.message(2, _id(data.span_id, 8)),
            wire.text(3, data.trace_state if _STATE.fullmatch(data.trace_state) else ""),
            wire.message(4, _id(data.parent_id, 8) if data.parent_id else b""),
            wire.text(5, _text(data.name)),
            wire.number(6, _KINDS[data.kind]),
            wire.fixed64(7, data.start_ns),
            wire.fixed64(8, data.end_ns),
            _attributes(9, data.attributes),
            *(wire.message(11, _event(*event)) for event in data.events),
            wire.message(15, status),
            wire.fixed32(16, _REMOTE_KNOWN | remote),
        )
    )


def log(data: "LogData") -> bytes:
    """Raises as `span` does."""
    of = b""
    if data.trace_id and data.span_id:
        trace, span = _id(data.trace_id, 16), _id(data.span_id, 8)
        of = wire.fixed32(8, _SAMPLED) + wire.message(9, trace) + wire.message(10, span)
    return b"".join(
        (
            wire.fixed64(1, data.time_ns),
            wire.number(2, _SEVERITIES.get(data.severity, 0)),
            wire.text(3, data.severity),
            wire.message(5, wire.text(1, _encodable(data.body))),
            _attributes(6, data.attributes),
            of,
            wire.fixed64(11, time.time_ns()),
            wire.text(12, _text(data.event_name)),
        )
    )


def attribute(field: int, name: str, value: Any) -> bytes:
    return wire.message(field, _name(name) + wire.message(2, _value(value)))


@lru_cache(maxsize=256)  # there are few, and all of them our own
def _name(name: str) -> bytes:
    return wire.text(1, _text(name))


def _attributes(field: int, attributes: Mapping[str, Any]) -> bytes:
    return b"".join([attribute(field, name, value) for name, value in attributes.items()])


def _event(name: str, time_ns: int, attributes: Mapping[str, Any]) -> bytes:
    return wire.fixed64(1, time_ns) + wire.text(2, _text(name)) + _attributes(3, attributes)


def _value(value: Any) -> bytes:
    """An AnyValue; what has no form of its own there goes as text."""
    if isinstance(value, str):
        return wire.text(1, _text(value))
    if isinstance(value, bool):
        return wire.number(2, value)
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return wire.number(3, value)
    if isinstance(value, float):
        return wire.double(4, value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        items = (wire.message(1, _value(item)) for item in value[:ITEMS_CAP])
        return wire.message(5, b"".join(items))
    return wire.text(1, _text(str(value)))


def _id(digits: str, size: int) -> bytes:
    found = bytes.fromhex(digits)
    if len(found) != size:
        raise ValueError(f"no id of {size} bytes")
    return found


def _text(value: str) -> str:
    return _encodable(value if len(value) <= VALUE_CAP else value[:VALUE_CAP] + "…")


def _encodable(value: str) -> str:
    """One half of a surrogate pair, which JSON can hold, would lose the whole batch."""
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode()
