"""Percent-encoding, as paths, queries and forms have it, and its `+` for a space."""

import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

_ENCODED = re.compile(rb"%[0-9A-Fa-f]{2}")
_SAFE = "!\"#$&'()*+,/:;<=>?@[\\]^`{|}~ "


def undo(data: bytes, cap: int) -> bytes | None:
    """The bytes; None where nothing is encoded, or there are more than `cap`."""
    if len(data) > 3 * cap or not (b"%" in data and _ENCODED.search(data)):
        return None
    found = unquote_to_bytes(data.replace(b"+", b" ") if _plus(data) else data)
    return found if len(found) <= cap else None


def redo(new: bytes, old: bytes) -> bytes:
    """The bytes encoded; what the old text had as it is stays so."""
    plus = _plus(old)
    safe = "".join(c for c in _SAFE if c.encode() in old and not (plus and c == "+"))
    coded = quote_from_bytes(new, safe=safe + ("*" if "*" not in safe else ""))
    if plus:
        coded = coded.replace("%20", "+")
    if old == old.lower() and b"%" in old:
        coded = re.sub("%[0-9A-F]{2}", lambda m: m.group().lower(), coded)
    return coded.encode()


def _plus(data: bytes) -> bool:
    """True if a `+` stands for a space, as in forms."""
    return b"+" in data and b"%20" not in data and b" " not in data
