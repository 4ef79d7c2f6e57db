"""The search for values that are secrets by what they are: the table of `detectors`, compiled.

Used by the sensitive names of `fields`, beside their own search. google-re2's: the time grows with
the text alone, and one pass says which rows are worth a look.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from app.contract.masking.detector import Detector
from app.contract.masking.detectors import DETECTORS
from app.contract.masking.patterns import compiled, either_of
from app.contract.masking.spelling import How, called

_ESCAPED = r"%[0-9A-Fa-f]{2}|\\u[0-9a-fA-F]{4}|\\[nrtbf]"
_AHEAD = {
    "word": rf"(?:{_ESCAPED}|^|[^A-Za-z0-9_])",
    "token": rf"(?:{_ESCAPED}|^|[^A-Za-z0-9_-])",
    "number": rf"(?:{_ESCAPED}|^|[^A-Za-z0-9_.-])",
    "": "",
}
_BEHIND = {
    "word": r"(?:[^A-Za-z0-9_]|$)",
    "token": r"(?:[^A-Za-z0-9_-]|$)",
    "number": r"(?:[^A-Za-z0-9_.-]|\.(?:[^0-9]|$)|$)",
    "": "",
}


def pattern(row: Detector) -> bytes:
    return f"{_AHEAD[row.alone]}({row.pattern}){_BEHIND[row.alone]}".encode()


EITHER = tuple(row.hint.encode() or pattern(row) for row in DETECTORS)


@cache  # made when first needed: the sidecar's start counts
def _rows() -> Any:
    return either_of(EITHER, b"eyJhbGciOiJub25lIn0.e30.")


@cache
def _row(number: int) -> Any:
    return compiled(pattern(DETECTORS[number]))


@cache
def _begun() -> Any:
    begins = "|".join(row.begins for row in DETECTORS if row.begins).encode()
    return compiled(rb"(?:^|[^A-Za-z0-9_])((?:" + begins + rb")[^\s\"'<>&,;|\\]*)\z")


_HOWS = tuple(called("mask", row.id) for row in DETECTORS)
# Of values that look like a secret and fail its check: a check takes some microseconds, and a text
# of numbers has one at each. Beyond them the rest of the text is taken for a secret.
MOST = 16


def detected(data: bytes, replace: Callable[[How, bytes], bytes]) -> bytes:
    """The text with what every row finds replaced by `replace(how, secret)`."""
    for number in sorted(_rows().Match(data) or ()):  # it says them in no order
        data = _replaced(data, number, replace)
    return data


def _replaced(data: bytes, number: int, replace: Callable[[How, bytes], bytes]) -> bytes:
    check, find, how = DETECTORS[number].check, _row(number), _HOWS[number]
    out: list[bytes] = []
    done = at = failed = 0
    while (match := find.search(data, at)) is not None:
        start, at = match.span(1)
        if check is None or check(match.group(1).decode("latin-1")):
            out += [data[done:start], replace(how, data[start:at])]
            done = at
        elif (failed := failed + 1) > MOST:
            out += [data[done:start], replace(how, data[start:])]
            done = len(data)
            break
    return b"".join([*out, data[done:]])


def cut(data: bytes) -> int:
    """The position of a value that the end of the text may have cut off; the text's length where
    there is none."""
    match = _begun().search(data)
    return len(data) if match is None else int(match.start(1))
