"""The bounds of one message's decoding. What is beyond them is left as it is, and counted."""

import time
from collections import Counter
from threading import Lock

DEPTH = 64  # levels of a document, and within one carrier
MOST = 65_536  # parts of one carrier
CHAIN = 8  # decodings of one text, one after the other
READ = 8_192  # documents, opened texts, or a form's fields: more would delay others
BYTES = 1 << 20  # that texts hold when they are decoded, all together
SECONDS = 0.5

BOUNDS = ("documents", "bytes", "seconds")
_hits: Counter[str] = Counter()  # messages that met a bound, in this process
_lock = Lock()


def hit(bound: str) -> None:
    with _lock:
        _hits[bound] += 1


def taken() -> dict[str, int]:
    """The times that each bound was met since the last call, for the process's metrics."""
    if not _hits:
        return {}
    with _lock:
        found = dict(_hits)
        _hits.clear()
    return found


class TooMuch(Exception):
    """A bound was met; the message is its name."""


class Left:
    """Counts down what one message may still take."""

    def __init__(self) -> None:
        self._documents, self._bytes = READ, BYTES
        self._until = time.monotonic() + SECONDS

    @property
    def bytes(self) -> int:
        return self._bytes

    def documents(self, number: int = 1) -> None:
        self._documents -= number
        if self._documents < 0:
            raise TooMuch("documents")
        if time.monotonic() > self._until:
            raise TooMuch("seconds")

    def decoded(self, size: int) -> None:
        self._bytes -= size
        if self._bytes < 0:
            raise TooMuch("bytes")
