"""Record -> field observations: which fields a request carries, of what type and shape.

The store calls `observe` while it writes and keeps the counts; values are looked at and forgotten.
Everything is bounded, because names and values are the sender's.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

from app.contract.body import documents
from app.contract.record import CaptureRecord, Request
from app.contract.sensitive import MASK

TYPES = ("string", "integer", "number", "boolean", "null", "object", "array", "empty")
SHAPES = (
    "", "version", "guid", "ip", "email", "timestamp", "url", "hex", "base64", "token", "masked",
)  # fmt: skip

FIELDS = 2_000  # distinct fields of one request's bodies that are looked at
NODES = 20_000  # values of one request's bodies that are looked at
DEPTH = 16
PATH = 200  # characters of a field's path

_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?")
_DATE = r"\d{4}-\d{2}-\d{2}"
_SHAPES = (
    ("guid", re.compile(r"\{?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?")),
    ("ip", re.compile(r"(\d{1,3}\.){3}\d{1,3}|(?=.*:.*:)[0-9a-fA-F:.]{2,45}")),
    ("timestamp", re.compile(_DATE + r"([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")),
    ("version", re.compile(r"v?\d{1,9}(\.\d{1,9}){1,3}([-+][0-9A-Za-z.-]{1,64})?")),
    ("email", re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}\.[^@\s.]{1,63}")),
    ("url", re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{1,15}://\S*")),
    ("token", re.compile(r"tok_[0-9A-Za-z_-]{8,64}")),
    ("hex", re.compile(r"([0-9a-f]{2}){8,}|([0-9A-F]{2}){8,}")),
)  # fmt: skip
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")


class Field(NamedTuple):
    path: str
    type: str
    shape: str


class Observation(NamedTuple):
    """`others` counts what was over the limits. Most requests of a product have the same fields:
    equal sets can be counted as one."""

    fields: frozenset[Field]
    others: int


def observe(record: CaptureRecord, decoders: Sequence[str] = ()) -> Observation | None:
    """The fields of the record's request; None when there is nothing to learn from it.

    That is any kind but an exchange and a refused request, and what was passed on unread.
    """
    request = record.request
    if request is None or record.action == "pass" or record.kind not in ("exchange", "refused"):
        return None
    found = [
        _query_field(n, v) if len(v) <= 128 else _field("query." + n, v) for n, v in request.query
    ]
    found += [
        _header_field(n, v) if len(v) <= 128 else _field("header." + n.lower(), v)
        for n, v in request.headers
    ]
    fields = cast(set[Field], set(found) - {None})
    others = found.count(None) + request.left_out
    if request.body is not None:
        seen = _Seen()
        for document in documents(request.body, _content_type(request), decoders):
            seen.walk(document)
        fields |= seen.fields
        others += seen.others
    return Observation(frozenset(fields), others)


def route_of(record: CaptureRecord) -> str:
    """The rule's route; without one the first segment of the path, so that names stay few."""
    if record.route or record.request is None:
        return record.route
    first, slash, _ = record.request.path.lstrip("/").partition("/")
    return f"/{first[:64]}{slash and '/*'}"


def _field(path: str, value: str) -> Field | None:
    """None when the path is too long."""
    return Field(path, *classify(value)) if len(path) <= PATH else None


# A product sends the same names, and mostly the same values, every minute.
@lru_cache(maxsize=16_384)
def _query_field(name: str, value: str) -> Field | None:
    return _field("query." + name, value)


@lru_cache(maxsize=4_096)
def _header_field(name: str, value: str) -> Field | None:
    return _field("header." + name.lower(), value)


def classify(value: str) -> tuple[str, str]:
    """Type and shape of a value that came as text (query, header, form)."""
    if not value:
        return "empty", ""
    if value.isdecimal() and value.isascii():
        return "integer", _number_shape(float(value)) if len(value) < 20 else ""
    if _NUMBER.fullmatch(value):
        return "integer" if value.lstrip("+-").isdecimal() else "number", ""
    if value in ("true", "false"):
        return "boolean", ""
    if value == "null":
        return "null", ""
    return "string", _shape(value)


def _shape(value: str) -> str:
    if value == MASK:
        return "masked"
    start = value[:400]
    for name, pattern in _SHAPES:
        if pattern.fullmatch(start):
            return name
    if len(value) % 4 == 0 and _BASE64.fullmatch(start) and _mixed(start):
        try:
            base64.b64decode(
                start[: len(start) // 4 * 4],
                altchars=b"-_" if "-" in start or "_" in start else None,
            )
        except (binascii.Error, ValueError):
            return ""
        return "base64"
    return ""


def _mixed(value: str) -> bool:
    """Words are letters of one case; encoded bytes of this length hardly ever are."""
    return (
        any(c.isdigit() for c in value)
        and any(c.isupper() for c in value)
        and any(c.islower() for c in value)
    )


def _number_shape(value: float) -> str:
    """Seconds or milliseconds of the years 2001 to 2065."""
    return "timestamp" if 1e9 <= value < 3e9 or 1e12 <= value < 3e12 else ""


def _content_type(request: Request) -> str:
    return next((v for n, v in request.headers if n.lower() == "content-type"), "")


class _Seen:
    """The distinct fields of one request, within the limits."""

    def __init__(self) -> None:
        self.fields: set[Field] = set()
        self.others = 0
        self.nodes = 0

    def add(self, path: str, type: str, shape: str = "") -> None:
        field = Field(path, type, shape)
        if len(path) > PATH or (len(self.fields) >= FIELDS and field not in self.fields):
            self.others += 1
        else:
            self.fields.add(field)

    def walk(self, document: Any) -> None:
        """Without recursion: depth is the sender's choice."""
        stack: list[tuple[str, Any, int]] = [("body", document, 0)]
        while stack:
            path, value, depth = stack.pop()
            self.nodes += 1
            if self.nodes > NODES:
                self.others += len(stack) + 1
                return
            type, shape = _json_type(value)
            self.add(path, type, shape)
            if depth >= DEPTH:
                self.others += type in ("object", "array")
            elif type == "object":
                stack.extend((f"{path}.{key}", v, depth + 1) for key, v in value.items())
            elif type == "array":
                stack.extend((f"{path}[]", v, depth + 1) for v in value)


def _json_type(value: Any) -> tuple[str, str]:
    if isinstance(value, str):
        return ("string", _shape(value)) if value else ("empty", "")
    if value is None:
        return "null", ""
    if isinstance(value, bool):
        return "boolean", ""
    if isinstance(value, int):
        return "integer", _number_shape(value) if abs(value) < 1 << 63 else ""
    if isinstance(value, float):
        return "number", ""
    return ("object", "") if isinstance(value, dict) else ("array", "")
