"""Reads what a command keeps in its empty home and working directory: the ids that it made up, and
the salts of its digests.

Its files are read while it runs, no link of them is followed, and all is bounded; a record gets
nothing of them but the name of the file.
"""

import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

MOST = 64  # words that are looked for, of all files
FILES = 400  # files that are looked at, each time
SIZE = 65_536  # bytes of a file that is read
_EARLIER = 1_000_000_000  # ns: clocks of file systems are coarse
_LEFT_OUT = (".git", "node_modules", "__pycache__", "site-packages")
PERIOD = 0.05  # seconds between two looks

_WORD = re.compile(rb"[\w+/=-]{8,128}")
_ID = re.compile(rb"(?=.*[0-9])[\w-]{16,64}")  # by its look
_PLAIN = re.compile(r"[~.]/[\w./@+-]{1,100}")


class KeptWord(NamedTuple):
    """`place` is the file, as `~/.config/product.json`."""

    word: bytes
    place: str

    @property
    def is_id(self) -> bool:
        return _ID.fullmatch(self.word) is not None


class KeptFiles:
    """The words of files that were written since it was made, by the `places` that they are in:
    a directory, and its name for people."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._since = time.time_ns() - _EARLIER
        self._known: set[bytes] = set()
        self._read: dict[str, tuple[int, int]] = {}
        self._looked = 0.0

    def new(self) -> Iterator[KeptWord]:
        """Yields the words that were not there at the last look."""
        now = time.monotonic()
        if len(self._known) >= MOST or now - self._looked < PERIOD:
            return
        self._looked = now
        for directory, said in self._places.items():
            for path in self._changed(directory):
                place = f"{said}{path.removeprefix(directory)}"
                place = place if _PLAIN.fullmatch(place) else f"a file of {said}"
                for word in dict.fromkeys(_WORD.findall(_content(path))):
                    if word in self._known or word.isalpha() or len(self._known) >= MOST:
                        continue
                    self._known.add(word)
                    yield KeptWord(word, place)

    def _changed(self, directory: str) -> Iterator[str]:
        number = 0
        for folder, below, names in os.walk(directory):
            below[:] = [name for name in sorted(below) if name not in _LEFT_OUT]
            for name in sorted(names):
                number += 1
                if number > FILES:
                    return
                path = f"{folder}/{name}"
                with suppress(OSError):
                    found = os.lstat(path)
                    seen = (found.st_mtime_ns, found.st_size)
                    if found.st_mtime_ns < self._since or not 0 < found.st_size <= SIZE:
                        continue
                    if stat.S_ISREG(found.st_mode) and self._read.get(path) != seen:
                        self._read[path] = seen
                        yield path


def _content(path: str) -> bytes:
    with suppress(OSError):
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.read(file, SIZE) if stat.S_ISREG(os.fstat(file).st_mode) else b""
        finally:
            os.close(file)
    return b""
