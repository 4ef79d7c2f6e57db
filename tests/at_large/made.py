"""Values made from a pattern, the same ones each time."""

import base64
import random
import re

_LETTERS = {
    "a": "abcdefghijklmnopqrstuvwxyz",
    "A": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "h": "0123456789abcdef",
    "H": "0123456789ABCDEF",
    "0": "0123456789",
    "l": "abcdefghijklmnopqrstuvwxyz0123456789",
    "U": "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "w": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    "b": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
}
_MADE = re.compile(r"<([aAhH0lUwb])([0-9]+)>")


def made(pattern: str) -> str:
    """`<h32>` stands for 32 hexadecimal digits; the same pattern always makes the same value."""
    numbers = random.Random(pattern)

    def some(match: re.Match[str]) -> str:
        letters = _LETTERS[match[1]]
        return "".join(numbers.choice(letters) for _ in range(int(match[2])))

    return _MADE.sub(some, pattern)


def b64(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def url64(value: str | bytes) -> str:
    return b64(value).translate({43: 45, 47: 95}).rstrip("=")
