"""Cursors of pages, ORDER.TIME.ID: the gap behind the capture of that place, read in that order.

Stores make and take them; the page names gaps of its own: before a capture, or at a time.
"""

import re

from app.store import QueryError

_CURSOR = re.compile(r"(newest|oldest|arrival)\.(\d{1,19})\.(\d{1,19})")
_LARGEST = (1 << 63) - 1
Place = tuple[int, int]  # time (0 in the order of arrival) and id


def cursor(order: str, key: int, id: int) -> str:
    return f"{order}.{key}.{id}"


def read(text: str, order: str) -> Place:
    """Raises QueryError."""
    found = _CURSOR.fullmatch(text)
    if found is None or found[1] != order or max(int(found[2]), int(found[3])) > _LARGEST:
        raise QueryError(
            f"cursor is {text[:64]!r}, which is none of order {order}\n\n"
            "hint: pass on the cursor of the page before, with the same order"
        )
    return int(found[2]), int(found[3])


def at(time_ns: int) -> str:
    """The gap before all captures of this time and older ones, in the order `newest`."""
    return cursor("newest", max(0, min(time_ns + 1, _LARGEST)), 0)


def turned(text: str) -> str:
    """The same gap in the opposite order. Raises QueryError."""
    if text.startswith("newest"):
        time_ns, id = read(text, "newest")
        return cursor("oldest", time_ns, max(0, id - 1))  # ids begin at 1
    time_ns, id = read(text, "oldest")
    return cursor("newest", time_ns, min(id + 1, _LARGEST))
