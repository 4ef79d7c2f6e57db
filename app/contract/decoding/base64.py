"""Base64 in all its spellings: standard, URL-safe, unpadded, folded, with white space around it,
its `+` turned into spaces, and behind a `data:` address. Hexadecimal text is read too."""

import base64
import binascii
import re

_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_HEX = b"0123456789abcdefABCDEF"
_DATA = re.compile(rb"data:[^,\s]{0,200};base64,", re.IGNORECASE)
_FOLD = re.compile(rb"\r?\n[ \t]*")
_STANDARD = bytes.maketrans(b"-_ ", b"+/+")
SHORTEST = 8  # characters; a shorter text hides nothing


def undo(data: bytes, cap: int, cut: bool = False) -> bytes | None:
    """The bytes; None where there are more than `cap`, or the text is no base64. Where the text was
    `cut`, its last characters may say nothing."""
    _, digits, _ = _apart(data)
    if len(digits) < SHORTEST or len(digits) > (cap + 2) * 4 // 3:
        return None
    if b"\n" in digits:
        digits = _FOLD.sub(b"", digits)
    plain = digits.rstrip(b"=")
    if plain.translate(None, _DIGITS + b" ") or len(digits) - len(plain) > 2:
        return None
    if not plain.translate(None, _HEX):
        return binascii.unhexlify(plain[: len(plain) & -2]) if cut or not len(plain) % 2 else None
    if len(plain) % 4 == 1:
        if not cut:
            return None
        plain = plain[:-1]
    return base64.b64decode(plain.translate(_STANDARD) + b"=" * (-len(plain) % 4))


def head(digits: str) -> bytes:
    """Decodes the first characters of base64."""
    return binascii.a2b_base64(digits.encode().translate(_STANDARD))


def redo(new: bytes, old: bytes) -> bytes:
    """The bytes in the alphabet, with the padding, the folds and the ends that the old text had."""
    ahead, digits, behind = _apart(old)
    plain = _FOLD.sub(b"", digits)
    if not plain.translate(None, _HEX):
        return (
            ahead + (new.hex() if plain == plain.lower() else new.hex().upper()).encode() + behind
        )
    coded = base64.b64encode(new)
    if b"-" in plain or b"_" in plain:
        coded = coded.replace(b"+", b"-").replace(b"/", b"_")
    elif b" " in plain:
        coded = coded.replace(b"+", b" ")
    if not plain.endswith(b"=") and (len(plain) % 4 or b"-" in plain or b"_" in plain):
        coded = coded.rstrip(b"=")
    if fold := _FOLD.search(digits):
        width = max(fold.start(), 1)
        coded = fold.group().join(coded[i : i + width] for i in range(0, len(coded), width))
    return ahead + coded + behind


def _apart(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Cuts the text into what stands ahead of the digits, these, and what stands behind."""
    begun = data.lstrip()
    if address := _DATA.match(begun):
        begun = begun[address.end() :]
    digits = begun.rstrip()
    return data[: len(data) - len(begun)], digits, begun[len(digits) :]
