"""Sentry envelopes: a header line, then items of a header line and a payload each, which ends after
`length` bytes or with its line. Items are named by their type."""

import re
from collections.abc import Sequence

import msgspec

from app.contract.decoding.bounds import MOST
from app.contract.decoding.part import Part
from app.contract.decoding.splice import splice

_KINDS = """
event transaction session sessions attachment user_report feedback profile profile_chunk
replay_event replay_recording replay_video check_in statsd metric_meta metric_buckets
client_report log span otel_span otel_log trace_metric raw_security unreal_report form_data
nel security template
"""
_TYPES = frozenset(_KINDS.split())
_KNOWN = frozenset(("event_id", "dsn", "sdk", "sent_at", "trace"))
_LINE = 64 << 10  # bytes of a header
_LENGTH = re.compile(rb'("length"\s*:\s*)\d+')
HEADER = "header"  # of the envelope; `TYPE header` of an item


class _Header(msgspec.Struct):
    type: str = ""
    length: int | None = None


_header = msgspec.json.Decoder(_Header)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def split(data: bytes) -> list[Part] | None:
    """Headers and payloads, in order."""
    if data[:1] != b"{":
        return None
    end = _line(data, 0)
    try:
        known = not _KNOWN.isdisjoint(_object.decode(data[:end]))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    parts, at, items = [Part(HEADER, 0, end)], end + 1, 0
    while at < len(data):
        if data[at] in b"\r\n":
            at += 1
            continue
        end = _line(data, at)
        try:
            header = _header.decode(data[at:end])
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            if items and len(data) - at < _LINE and data.find(b"\n", at) < 0:  # cut in a header
                return [*parts, Part(HEADER, at, len(data))]
            return None
        if not header.type or not (known or header.type in _TYPES or header.length is not None):
            return None
        start = min(end + 1, len(data))
        stop = _line(data, start) if header.length is None else start + header.length
        if header.length is not None and (header.length < 0 or data[stop : stop + 1].strip()):
            return None
        stop = min(stop, len(data))
        parts += [Part(f"{header.type} {HEADER}", at, end), Part(header.type, start, stop)]
        if len(parts) > MOST:
            return None
        at, items = stop, items + 1
    return parts if items else None


def _line(data: bytes, at: int) -> int:
    end = data.find(b"\n", at)
    return len(data) if end < 0 else end


def join(data: bytes, parts: Sequence[Part], values: Sequence[bytes]) -> bytes:
    """The envelope with these values; an item's `length` is that of its payload."""
    new = list(values)
    for i, part in enumerate(parts):
        if i and len(new[i]) != part.end - part.start and not part.name.endswith(HEADER):
            length = b"\\g<1>%d" % len(new[i])
            new[i - 1] = _LENGTH.sub(length, new[i - 1], count=1)
    return splice(data, parts, new)
