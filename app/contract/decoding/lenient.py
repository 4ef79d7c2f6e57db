"""JSON as careless senders write it.

It may begin with a byte order mark, be UTF-16 or UTF-32, be several documents in a row, repeat a
key, hold NaN, 1e999, lone surrogates, control characters and commas with nothing behind them.
"""

import json
import re
from typing import Any

import msgspec

from app.contract.decoding.bounds import Left
from app.contract.decoding.charset import decoded
from app.contract.decoding.tree import Number, Several

NOT_JSON = msgspec.UNSET

_BETWEEN = re.compile(r"[\s,\x1e\ufeff]*")
_MAY_TRAIL = re.compile(r",\s*[}\]]")
_TRAILING = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\Z))|,(?=\s*[}\]])', re.DOTALL)


def documents(data: bytes | str, budget: Left) -> Any:
    """The document; Several if there are more; NOT_JSON if there is anything else.

    Raises TooMuch.
    """
    if (plain := _plain(data)) is not NOT_JSON:
        budget.documents()
        return plain
    try:
        if isinstance(data, bytes):
            data = decoded(data, json.detect_encoding(data))
        found = _documents(data, budget)
        if found is NOT_JSON and _MAY_TRAIL.search(data):
            found = _documents(_TRAILING.sub(lambda m: m[1] or "", data), budget)
    except (ValueError, RecursionError):
        return NOT_JSON
    return found


def _plain(data: bytes | str) -> Any:
    """Most documents: read in a third of the time where they say no more than their values."""
    try:
        written = data if isinstance(data, bytes) else data.encode()
        found = msgspec.json.decode(written)
        again = msgspec.json.encode(found)
        return found if again in (written, msgspec.json.format(written, indent=-1)) else NOT_JSON
    except (ValueError, RecursionError):
        return NOT_JSON


def _documents(written: str, budget: Left) -> Any:
    found = Several()
    at = _end(written, 0)
    try:
        while at < len(written):
            budget.documents()
            document, at = _decoder.raw_decode(written, at)
            found.append(document)
            at = _end(written, at)
    except ValueError:
        return NOT_JSON
    if not found:
        return NOT_JSON
    return found[0] if len(found) == 1 else found


def _end(written: str, at: int) -> int:
    """The end of the separators that may stand between documents."""
    between = _BETWEEN.match(written, at)
    return between.end() if between else at


def _several(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    values: dict[str, Several] = {}
    for key, value in pairs:
        values.setdefault(key, Several()).append(value)
    return {key: each if len(each) > 1 else each[0] for key, each in values.items()}


_decoder = json.JSONDecoder(strict=False, object_pairs_hook=_several, parse_float=Number.of)
