"""The ways in which text writes a value whole: what is looked for as it stands, one row a way.

Layers of encodings are undone by `views`; these are the ways that no reader of the text could know
of, or that have no beginning to know them by.
"""

import base64
import codecs
import re
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import NamedTuple

AS_IT_IS, PUNCTUATION = "as it is", "with other punctuation"
REVERSED, ROT13 = "reversed", "ROT13"
_NO_WORD = re.compile(r"[^0-9a-z]+")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


class Text(IntEnum):
    """The text that is searched: as it came, in lower case, or of that the letters and digits."""

    EXACT = 0
    LOWER = 1
    SQUEEZED = 2


class Literal(NamedTuple):
    text: Text
    needle: bytes
    how: str


def kind(how: str) -> str:
    """The way without its encodings."""
    way = how.partition(", in ")[0]
    return "" if way in (AS_IT_IS, PUNCTUATION) or way.startswith("in ") else way


def of(value: str) -> Iterator[Literal]:
    """The ways to write it, the plainest first."""
    low = value.lower()
    yield Literal(Text.LOWER, low.encode(), AS_IT_IS)
    squeezed = _NO_WORD.sub("", low)
    yield Literal(Text.SQUEEZED, squeezed.encode(), PUNCTUATION)
    yield Literal(Text.SQUEEZED, squeezed[::-1].encode(), REVERSED)
    yield Literal(Text.SQUEEZED, codecs.encode(squeezed, "rot13").encode(), ROT13)
    for written in dict.fromkeys((value, low, value.upper())):
        data = written.encode()
        yield Literal(Text.SQUEEZED, data.hex().encode(), "in hex")
        for shift in range(3):
            yield Literal(Text.EXACT, _aligned(base64.b64encode, data, shift, 3, 4), "in base64")
            yield Literal(
                Text.EXACT, _aligned(base64.urlsafe_b64encode, data, shift, 3, 4), "in base64"
            )
        for shift in range(5):
            coded = _aligned(base64.b32encode, data, shift, 5, 8)
            yield Literal(Text.LOWER, coded.lower(), "in base32")


def of_whole(value: str) -> Iterator[Literal]:
    """The ways that tell nothing of a part."""
    for written in dict.fromkeys((value, value.lower(), value.upper())):
        data = written.encode()
        yield Literal(Text.EXACT, base64.a85encode(data), "in ASCII85")
        yield Literal(Text.EXACT, base64.b85encode(data), "in base85")
        yield Literal(Text.EXACT, in_base(data, _BASE58).encode(), "in base58")
        yield Literal(Text.EXACT, in_base(data, _BASE62).encode(), "in base62")


def _aligned(
    encode: Callable[[bytes], bytes], data: bytes, shift: int, group: int, letters: int
) -> bytes:
    """The letters that encode nothing but `data`, where it begins at this byte of a group."""
    padded = bytes(shift) + data
    coded = encode(padded + bytes(-len(padded) % group))
    first = -(-shift * letters // group) if shift else 0
    return coded[first : len(padded) * letters // group]


def in_base(data: bytes, alphabet: str) -> str:
    """The bytes as one number."""
    number, found = int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, len(alphabet))
        found = alphabet[digit] + found
    return found


def numbers(data: bytes) -> Iterator[tuple[str, str]]:
    """A digest as one number, in the bases that ids are written in; and the base's name."""
    for alphabet, name in ((_BASE58, "base58"), (_BASE62, "base62"), (_BASE36, "base36")):
        yield in_base(data, alphabet), name
