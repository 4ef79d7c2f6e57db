"""Trees of protobuf messages: OpenTelemetry's by their names, as its JSON has them, all others by
the numbers of their fields.
"""

import struct
from typing import Any

from app.contract.decoding import protobuf
from app.contract.decoding.bounds import DEPTH, TooMuch
from app.contract.decoding.formats import BINARY
from app.contract.decoding.looks import looks
from app.contract.decoding.opening import Opener, gathered
from app.contract.decoding.tree import Opaque

# name, and what is in it: another message, or how its bytes are read.
_Fields = dict[int, tuple[str, Any]]
_ID, _TEXT = "hex", "text"
_WHOLE, _FIXED, _DOUBLE = "whole", "<Q", "<d"  # numbers in a row: varints, or of eight bytes

_VALUE: _Fields = {1: ("stringValue", _TEXT), 2: ("boolValue", bool), 3: ("intValue", int),
                   4: ("doubleValue", float), 7: ("bytesValue", None)}  # fmt: skip
_PAIR: _Fields = {1: ("key", _TEXT), 2: ("value", _VALUE)}
_VALUE[5] = ("arrayValue", {1: ("values", _VALUE)})
_VALUE[6] = ("kvlistValue", {1: ("values", _PAIR)})
_ENTITY: _Fields = {1: ("schemaUrl", _TEXT), 2: ("type", _TEXT), 3: ("idKeys", _TEXT),
                    4: ("descriptionKeys", _TEXT)}  # fmt: skip
_RESOURCE: _Fields = {1: ("attributes", _PAIR), 2: ("droppedAttributesCount", int),
                      3: ("entityRefs", _ENTITY)}  # fmt: skip
_SCOPE: _Fields = {1: ("name", _TEXT), 2: ("version", _TEXT), 3: ("attributes", _PAIR),
                   4: ("droppedAttributesCount", int)}  # fmt: skip
_SPAN: _Fields = {
    1: ("traceId", _ID), 2: ("spanId", _ID), 3: ("traceState", _TEXT), 4: ("parentSpanId", _ID),
    5: ("name", _TEXT), 6: ("kind", int), 7: ("startTimeUnixNano", int),
    8: ("endTimeUnixNano", int), 9: ("attributes", _PAIR), 10: ("droppedAttributesCount", int),
    11: ("events", {1: ("timeUnixNano", int), 2: ("name", _TEXT), 3: ("attributes", _PAIR),
                    4: ("droppedAttributesCount", int)}),
    12: ("droppedEventsCount", int),
    13: ("links", {1: ("traceId", _ID), 2: ("spanId", _ID), 3: ("traceState", _TEXT),
                   4: ("attributes", _PAIR), 5: ("droppedAttributesCount", int),
                   6: ("flags", int)}),
    14: ("droppedLinksCount", int), 15: ("status", {2: ("message", _TEXT), 3: ("code", int)}),
    16: ("flags", int),
}  # fmt: skip
_LOG: _Fields = {
    1: ("timeUnixNano", int), 2: ("severityNumber", int), 3: ("severityText", _TEXT),
    5: ("body", _VALUE), 6: ("attributes", _PAIR), 7: ("droppedAttributesCount", int),
    8: ("flags", int), 9: ("traceId", _ID), 10: ("spanId", _ID),
    11: ("observedTimeUnixNano", int), 12: ("eventName", _TEXT),
}  # fmt: skip
_EXEMPLAR: _Fields = {
    2: ("timeUnixNano", int), 3: ("asDouble", float), 4: ("spanId", _ID), 5: ("traceId", _ID),
    6: ("asInt", int), 7: ("filteredAttributes", _PAIR),
}  # fmt: skip
_POINT: _Fields = {
    2: ("startTimeUnixNano", int), 3: ("timeUnixNano", int), 4: ("asDouble", float),
    5: ("exemplars", _EXEMPLAR), 6: ("asInt", int), 7: ("attributes", _PAIR), 8: ("flags", int),
}  # fmt: skip
_HISTOGRAM: _Fields = {
    2: ("startTimeUnixNano", int), 3: ("timeUnixNano", int), 4: ("count", int), 5: ("sum", float),
    6: ("bucketCounts", _FIXED), 7: ("explicitBounds", _DOUBLE), 8: ("exemplars", _EXEMPLAR),
    9: ("attributes", _PAIR), 10: ("flags", int), 11: ("min", float), 12: ("max", float),
}  # fmt: skip
_BUCKETS: _Fields = {1: ("offset", int), 2: ("bucketCounts", _WHOLE)}
_WIDE: _Fields = {
    1: ("attributes", _PAIR), 2: ("startTimeUnixNano", int), 3: ("timeUnixNano", int),
    4: ("count", int), 5: ("sum", float), 6: ("scale", int), 7: ("zeroCount", int),
    8: ("positive", _BUCKETS), 9: ("negative", _BUCKETS), 10: ("flags", int),
    11: ("exemplars", _EXEMPLAR), 12: ("min", float), 13: ("max", float),
    14: ("zeroThreshold", float),
}  # fmt: skip
_SUMMARY: _Fields = {
    2: ("startTimeUnixNano", int), 3: ("timeUnixNano", int), 4: ("count", int), 5: ("sum", float),
    6: ("quantileValues", {1: ("quantile", float), 2: ("value", float)}), 7: ("attributes", _PAIR),
    8: ("flags", int),
}  # fmt: skip
_METRIC: _Fields = {
    1: ("name", _TEXT), 2: ("description", _TEXT), 3: ("unit", _TEXT),
    5: ("gauge", {1: ("dataPoints", _POINT)}),
    7: ("sum", {1: ("dataPoints", _POINT), 2: ("aggregationTemporality", int),
                3: ("isMonotonic", bool)}),
    9: ("histogram", {1: ("dataPoints", _HISTOGRAM), 2: ("aggregationTemporality", int)}),
    10: ("exponentialHistogram", {1: ("dataPoints", _WIDE), 2: ("aggregationTemporality", int)}),
    11: ("summary", {1: ("dataPoints", _SUMMARY)}), 12: ("metadata", _PAIR),
}  # fmt: skip
_LISTS = frozenset((
    "attributes", "values", "events", "links", "dataPoints", "exemplars", "filteredAttributes",
    "quantileValues", "entityRefs", "idKeys", "descriptionKeys", "metadata",
))  # fmt: skip


def _request(kind: str, of_kind: _Fields) -> _Fields:
    scope: _Fields = {1: ("scope", _SCOPE), 2: (kind, of_kind), 3: ("schemaUrl", _TEXT)}
    end = {"spans": "Spans", "logRecords": "Logs", "metrics": "Metrics"}[kind]
    resource: _Fields = {1: ("resource", _RESOURCE), 2: (f"scope{end}", scope),
                         3: ("schemaUrl", _TEXT)}  # fmt: skip
    return {1: (f"resource{end}", resource)}


_REQUESTS = (_request("spans", _SPAN), _request("logRecords", _LOG), _request("metrics", _METRIC))
_ALWAYS = _LISTS | {n for r in _REQUESTS for n, _ in r.values()} | {
    "scopeSpans", "scopeLogs", "scopeMetrics", "spans", "logRecords", "metrics",
}  # fmt: skip


_ONE = {(1, protobuf.BYTES)}
_EVIDENT, _USUAL = 4, 100  # levels and numbers of such
_STRICT = 2  # levels on which nothing else may stand


def _names(fields: _Fields, found: set[str]) -> set[str]:
    for name, kind in fields.values():
        if name not in found:
            found.add(name)
            if isinstance(kind, dict):
                _names(kind, found)
    return found


NAMES = frozenset(name for fields in _REQUESTS for name in _names(fields, set()))  # OpenTelemetry's


class _Other(Exception):
    """The bytes are no such message."""


def message(data: bytes, opening: Opener) -> Any:
    """The message's fields; of several behind gRPC's prefixes a list."""
    framed = protobuf.framed(data)
    if framed is not None:
        found = [message(data[p.start : p.end], opening) for p in framed]
        if None not in found:
            return found[0] if len(found) == 1 else found
    parts = protobuf.fields(data)
    if parts is None:
        return None
    opening.left.documents(len(parts))
    for fields in _REQUESTS if {(p.number, p.wire) for p in parts} == _ONE else ():
        try:
            found = _named(data, fields, opening, 0)
        except _Other:
            continue
        if any(name.startswith("scope") for of in found.values() for one in of for name in one):
            return found
    return _numbered(data, opening, 0)


def is_evident(data: bytes) -> bool:
    """True if bytes that may be anything are a message: half of them are texts of its fields."""
    return bool(data) and _text_in(data, 0) * 2 >= len(data)


def _text_in(data: bytes, depth: int) -> int:
    found = 0
    for field in protobuf.fields(data) or () if depth < _EVIDENT else ():
        raw = data[field.start : field.end]
        if field.wire == protobuf.BYTES and raw and field.number < _USUAL:
            is_text = not BINARY.search(raw) and raw.isascii() and len(raw) > 1
            found += len(raw) if is_text else _text_in(raw, depth + 1)
    return found


def is_named(tree: Any) -> bool:
    """True if the message is one of OpenTelemetry's."""
    return isinstance(tree, dict) and any(name.startswith("resource") for name in tree)


def _named(data: bytes, fields: _Fields, opening: Opener, depth: int) -> Any:
    parts = protobuf.fields(data) if data else []
    if parts is None or depth > DEPTH:
        raise _Other
    opening.left.documents(1 + len(parts))
    found: dict[str, Any] = {}
    newer: list[tuple[str, Any]] = []  # than these tables
    for part in parts:
        if part.number not in fields:
            if depth < _STRICT:
                raise _Other
            newer.append((str(part.number), _number(data, part, opening, depth)))
            continue
        name, kind = fields[part.number]
        raw = data[part.start : part.end]
        if kind in (_WHOLE, _FIXED, _DOUBLE):
            found.setdefault(name, []).extend(_in_a_row(data, part, kind, opening))
            continue
        if isinstance(kind, dict) or kind in (_TEXT, _ID, None):
            if part.wire != protobuf.BYTES:
                raise _Other
            value = _of_bytes(raw, kind, opening, depth)
        else:
            value = protobuf.number(data, part)
            if value is None:
                raise _Other
            value = _signed(value, kind, raw)
        if name in _ALWAYS:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found | gathered(newer) if newer else found


def _in_a_row(
    data: bytes, part: protobuf.NumberedField, kind: str, opening: Opener
) -> list[int | float]:
    """The numbers of a packed field, or the one of another."""
    raw = data[part.start : part.end]
    if part.wire == protobuf.VARINT and kind == _WHOLE:
        return [protobuf.varint(raw, 0)[0]]
    if part.wire == protobuf.BYTES and kind == _WHOLE:
        numbers: list[int | float] = []
        at = 0
        while at < len(raw):
            number, at = protobuf.varint(raw, at)
            if at < 0:
                raise _Other
            numbers.append(number)
    elif len(raw) % 8 or kind == _WHOLE:
        raise _Other
    else:
        numbers = [number for (number,) in struct.iter_unpack(kind, raw)]
    opening.left.documents(len(numbers))
    return numbers


def _of_bytes(raw: bytes, kind: Any, opening: Opener, depth: int) -> Any:
    if isinstance(kind, dict):
        return _named(raw, kind, opening, depth + 1)
    if kind == _ID:
        if len(raw) not in (0, 8, 16):
            raise _Other
        return raw.hex()
    if kind is None:
        return opening.value(raw)
    try:
        return opening.text(raw.decode())
    except UnicodeDecodeError:
        raise _Other from None


def _signed(value: int | float, kind: type, raw: bytes) -> Any:
    if kind is bool:
        return bool(value)
    if kind is int:
        if isinstance(value, float):
            return int.from_bytes(raw, "little")
        return int(value) - (1 << 64) if value >= 1 << 63 else int(value)
    return value


def _numbered(data: bytes, opening: Opener, depth: int) -> Any:
    """None if the bytes are no message."""
    parts = protobuf.fields(data)
    if parts is None or depth > DEPTH:
        return None
    opening.left.documents(1 + len(parts))
    pairs: list[tuple[str, Any]] = []
    for part in parts:
        pairs.append((str(part.number), _number(data, part, opening, depth)))
    return gathered(pairs)


def _number(data: bytes, part: protobuf.NumberedField, opening: Opener, depth: int) -> Any:
    """The value of a field of which nothing but the number is known."""
    raw = data[part.start : part.end]
    value: Any = protobuf.number(data, part)
    if value is None:
        value = _text(raw, opening)
        if value is None:
            value = _numbered(raw, opening, depth + 1) if raw else ""
        if value is None:
            value = opening.value(raw)
    return value


def _text(raw: bytes, opening: Opener) -> Any:
    if BINARY.search(raw):
        return None
    try:
        return opening.text(raw.decode())
    except (UnicodeDecodeError, TooMuch):
        return Opaque(len(raw), looks(raw)) if opening.bound else None
