"""Text in another encoding than UTF-8: UTF-16 and UTF-32, a byte order mark, Latin-1."""

import codecs
import json
import re

_ASCII = re.compile(r"[\t\r\n\x20-\x7e]{4}")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


_BAD = "telemock-latin-1"


def name(data: bytes) -> str:
    """Python's name of the encoding, "" for UTF-8 without a mark and for what is no text."""
    if not data:
        return ""
    found = json.detect_encoding(data)
    if found.endswith("e"):  # guessed by its zeros, which binary data have too
        return found if _ASCII.match(data[:64].decode(found, "replace")) else ""
    if found != "utf-8":
        return found
    try:
        data.decode()
    except UnicodeDecodeError as e:
        if e.end == len(data) and e.reason == "unexpected end of data":  # cut in a character
            return ""
        # Control characters of Latin-1 begin no text, but a map or a list of msgpack.
        return "" if _CONTROL.search(data) or 0x80 <= data[0] < 0xA0 else "latin-1"
    return ""


def undo(data: bytes, cap: int, cut: bool = False) -> bytes | None:
    """The text as UTF-8; None where it is so already, or more than `cap` bytes, or no text. Half of
    a character that was `cut` is left out."""
    encoding = name(data)
    if not encoding or len(data) > 4 * cap:
        return None
    width = 4 if "32" in encoding else 2 if "16" in encoding else 1
    try:
        whole = data[: len(data) // width * width] if cut else data
        found = whole.decode(encoding).encode()
    except UnicodeError:
        return None
    if width > 1 and _CONTROL.search(found):
        return None
    return found if len(found) <= cap else None


def redo(new: bytes, old: bytes) -> bytes:
    """The text in the old one's encoding, and with its mark."""
    encoding = name(old)
    text = new.decode("utf-8", "replace")
    if encoding in ("utf-16", "utf-32"):  # Python writes them in this machine's order
        little = old[:2] == b"\xff\xfe"
        return old[: 2 if encoding == "utf-16" else 4] + text.encode(
            f"{encoding}-{'le' if little else 'be'}"
        )
    return text.encode(encoding or "utf-8", "replace")


def _latin_1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_BAD, _latin_1)


def decoded(data: bytes, charset: str = "utf-8") -> str:
    """Never fails; an unknown charset is read as UTF-8."""
    try:
        return data.decode(charset, _BAD)
    except (UnicodeError, LookupError):
        return data.decode("utf-8", _BAD)
