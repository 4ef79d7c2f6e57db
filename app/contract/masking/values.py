"""Makes the replacement of a sensitive value, and remembers the value to look for elsewhere.

Used by the masking of one record.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from app.contract.masking.detection import detected
from app.contract.masking.fields import MASK, TOKEN, SensitiveNames
from app.contract.masking.spelling import How, caller
from app.contract.masking.sweep import scalars
from app.contract.masking.traces import chased, contained, loose
from app.contract.record import text

CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_ODD = 16  # characters to one control character in what may still be text


class Unreadable(Exception):
    """A value that cannot be read; with the id of the reason, of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def readable(data: bytes, cut: bool = False, odd: bool = False) -> str | None:
    """The bytes as text; None where they are none. A character that was cut in half is left out.
    In `odd` text there may be some control characters."""
    try:
        found = data.decode()
    except UnicodeDecodeError as e:
        if not (cut and e.end == len(data) and e.start >= len(data) - 3 and e.start):
            return None
        found = data[: e.start].decode()
    if not CONTROL.search(found):
        return found
    few = odd and "\0" not in found and len(CONTROL.findall(found)) * _ODD <= len(found)
    return found if few else None


def raw(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


_MARK = re.compile("\ue000([0-9]{1,6})\ue001")
_SAID = 64  # of one record


def note(found: dict[str, str], value: str, by: str) -> None:
    """Remembers a value to be removed elsewhere."""
    if chased(value):
        found.setdefault(value, by)


class Values:
    """The sensitive values of one record."""

    def __init__(self, names: SensitiveNames, token: Callable[[str], str] | None) -> None:
        self.names = names
        self.token = token
        self.found: dict[str, str] = {}  # value -> what stands in its place
        self.tokens: set[str] = set()
        self.place: tuple[str, str] = ("record", "")  # where values are read: a part, a name in it
        # What was masked: a place, and what called for it.
        self.said: dict[tuple[tuple[str, str], str], None] = {}
        self.masked_before = False  # a token must not become the token of a token

    def secret(self, how: How, value: str) -> str:
        """The replacement of a value, which is remembered for the second pass."""
        if not value or value == MASK or value in self.tokens:
            return value  # text is looked at again after its fields were
        if self.masked_before and TOKEN.fullmatch(value):
            return value
        by = MASK
        if how == "token" and self.token is not None:
            by = self.token(value)
            self.tokens.add(by)
        note(self.found, value, by)
        self.say(how)
        return "" if how == "drop" else by

    def say(self, how: How) -> None:
        """Remembers that something was masked here."""
        if len(self.said) < _SAID:
            self.said[self.place, caller(how)] = None

    def text_secret(self, how: How, value: str) -> str:
        """The same for a value that text gives."""
        if value in self.tokens:  # text is looked at again after its fields were
            return value
        for part in loose(value):
            note(self.found, part, MASK)
        return self.secret(how, value)

    def leaf(self, how: How, value: Any, written: str = "") -> Any:
        """The same for a value of a document, which is `written` so there."""
        if value is None or isinstance(value, str):
            return self.secret(how, value) if value else value
        whole = written or msgspec.json.encode(value).decode()
        for inner in scalars(value, words=False):  # others may have fields of the same names
            note(self.found, inner, MASK)
        return self.secret(how, whole)

    def encoded(self, data: bytes) -> None:
        """Remembers the secrets in percent-encoded text: the second pass takes them out of it."""

        def noted(how: How, raw: bytes) -> bytes:
            del how
            note(self.found, text(raw), MASK)
            return raw

        detected(unquote_to_bytes(data), noted)

    def credential(self, name: str, value: str) -> None:
        """Remembers what a credential consists of."""
        # Attributes follow the cookie that is set.
        for part in contained(value.partition(";")[0] if name == "set-cookie" else value):
            note(self.found, part, MASK)


class HeldWords:
    """Words of a text that were masked by themselves, and must not be taken for a value again when
    the text is: marks stand for them meanwhile."""

    def __init__(self) -> None:
        self._words: list[str] = []

    def hold(self, old: str, new: str) -> str:
        """A mark for the new word where it is another than the old one."""
        if new == old:
            return old
        self._words.append(new)
        return f"\ue000{len(self._words) - 1}\ue001"

    def release(self, value: str) -> str:
        return _MARK.sub(self._word, value) if self._words else value

    def _word(self, mark: re.Match[str]) -> str:
        number = int(mark.group(1))
        return self._words[number] if number < len(self._words) else mark.group()
