"""Handles foreign parts of a line: fields that this version does not know, from a newer, damaged or
hostile sidecar; and impossible times.

Called by `app.ingest.digest` and `app.runtime`. Decoding skips such fields, but they stay in the
stored bytes and so reach every output: here they are masked like all others.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import msgspec

from app.contract.masking.masker import Masker
from app.contract.record import ADDED, CaptureRecord, RecordError, encode

_AHEAD_NS = 86_400 * 10**9  # tolerance for a sender's clock that is fast
_EARLIEST_NS = 1_577_836_800 * 10**9  # 2020: an earlier time means that the clock was never set


def believable(time_ns: int) -> bool:
    """False for a time far ahead, which would sort first and outlive all others, or from a clock
    that was never set, which retention would drop at once."""
    return _EARLIEST_NS <= time_ns <= time.time_ns() + _AHEAD_NS


def timed(line: bytes) -> bytes:
    """Replaces an impossible time by the time of arrival, and keeps it as `clock_ns`."""
    fields = _fields(line)
    fields |= {"clock_ns": fields["time_ns"], "time_ns": _raw(str(time.time_ns()).encode())}
    return msgspec.json.encode(fields)


def admitted(line: bytes, record: CaptureRecord, masker: Callable[[], Masker]) -> bytes:
    """Returns the line to store: unchanged, unless something in it had to be masked. `record` is
    the line decoded, and changes with it.

    Raises RecordError if the line is not JSON that every reader accepts.
    """
    if encode(record) == line:
        return line  # it holds only what was decoded
    try:
        given = msgspec.json.decode(line)
        shadowed = [] if msgspec.json.encode(given) == line else _shadowed(line)
    except (ValueError, RecursionError) as e:  # not UTF-8, a number without end, nested too deeply
        raise RecordError(f"a field that is not known here: {e}") from None
    more = _unknown(given, record)
    if not more and not shadowed:
        return line
    masked, hidden = masker().foreign(record, [more, shadowed])
    for name in ADDED:  # the API's own fields
        masked.pop(name, None)
    if masked == more and hidden == shadowed:
        return line
    return msgspec.json.encode(_merged(msgspec.to_builtins(record), masked))


def _shadowed(line: bytes) -> list[dict[str, Any]]:
    """Fields whose name is repeated in the same object: readers only see the last."""
    found: list[dict[str, Any]] = []

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        last = dict(pairs)
        if len(last) < len(pairs):
            found.extend({name: value} for name, value in pairs if last[name] is not value)
        return last

    json.loads(line, object_pairs_hook=made)
    return found


def _unknown(given: dict[str, Any], known: msgspec.Struct) -> dict[str, Any]:
    """The part of a document that the struct has no fields for."""
    found = {}
    for name, value in given.items():
        if name not in known.__struct_fields__:
            found[name] = value
        elif isinstance(value, dict) and (inner := _unknown(value, getattr(known, name))):
            found[name] = inner
    return found


def _merged(known: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    for name, value in more.items():
        held = known.get(name)
        known[name] = _merged(held, value) if isinstance(held, dict) else value
    return known


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_raw = msgspec.Raw
