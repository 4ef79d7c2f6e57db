"""Ids of traces and spans, and W3C trace context as HTTP clients send it.

Called on the event loop for every exchange; no SDK.
"""

import random
import re
from typing import NamedTuple

# Version 00 ends after the flags; later ones may go on behind another hyphen.
_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]*)?"
)
_HEADER_CAP = 512  # characters; a traceparent has 55


class Parent(NamedTuple):
    """The span that a client names as the parent of its request."""

    trace_id: str  # 32 lower-case hex digits
    span_id: str  # 16
    sampled: bool


# Ids are no secrets, and the kernel's randomness costs a call for each.
_random = random.Random()  # noqa: S311


def trace_id() -> str:
    return (_random.getrandbits(128) or 1).to_bytes(16).hex()


def span_id() -> str:
    return (_random.getrandbits(64) or 1).to_bytes(8).hex()


def parent(traceparent: str) -> Parent | None:
    """Parses a `traceparent` header; None when it is missing or not valid."""
    if not traceparent or len(traceparent) > _HEADER_CAP:
        return None
    found = _TRACEPARENT.fullmatch(traceparent.strip(" \t"))
    if found is None or (found[1] == "00" and found[5]):
        return None
    return Parent(found[2], found[3], bool(int(found[4], 16) & 1))


def traceparent(trace_id: str, span_id: str, sampled: bool) -> str:
    """The header that names this span as the parent."""
    return f"00-{trace_id}-{span_id}-{'01' if sampled else '00'}"
