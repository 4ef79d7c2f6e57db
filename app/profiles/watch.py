"""Keeps the profiles in use up to date with their files.

Made by the app and by the injector at their start; a task of theirs iterates `changes`.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from app.contract.printable import place
from app.contract.rules import RuleSet
from app.profiles.compile import load
from app.profiles.problems import ProfileError
from app.profiles.read import find

_LOOK_S = 1.0

log = logging.getLogger(__name__)

_Signature = tuple[tuple[str, int, int, int], ...]


class ProfileSet:
    """`rules` come from the last valid files; `error` is the text of a refused change, "" without
    one. Raises ProfileError when the files are invalid at the start.

    One thread calls `check`; any thread reads.
    """

    def __init__(self, sources: Sequence[str | Path]) -> None:
        self._sources = tuple(sources)
        loaded = load(self._sources)
        self.rules: RuleSet = loaded.rules
        self.written = loaded.written
        self.error = ""
        self._files = loaded.files
        self._seen: _Signature = ()

    def check(self) -> bool:
        """Reads the files again if the time or size of one changed; True if the rules changed.
        After a refused change it reads them each time: the missing file may be one that it does not
        know."""
        seen = self._signature()
        if seen == self._seen and not self.error:
            return False
        # Taken before the files are read, without files found only now: a change in between shows
        # at the next check.
        self._seen = seen
        try:
            loaded = load(self._sources)
        except ProfileError as e:
            self.error = str(e)
            return False
        self.error = ""
        self._files = loaded.files
        self.written = loaded.written
        changed = loaded.rules.etag != self.rules.etag
        if changed:
            self.rules = loaded.rules
        return changed

    async def changes(self) -> AsyncGenerator[None]:
        """Checks every second, for ever; yields after every change of `rules` or `error`."""
        while True:
            await asyncio.sleep(_LOOK_S)
            before = self.error
            try:
                changed = await asyncio.to_thread(self.check)
            except Exception as e:  # one failure must not end the watcher
                log.error("the profiles cannot be looked at: %s", place(e))
                continue
            if changed:
                log.info("the profiles changed and are in use, etag %s", self.rules.etag)
            if self.error != before:
                if self.error:
                    log.error("the change of the profiles is refused: %s", self.error)
                changed = True
            if changed:
                yield

    def _signature(self) -> _Signature:
        try:
            found = [source.path for source in find(self._sources)]
        except (ProfileError, OSError):
            found = []
        return tuple(map(_state, (*found, *self._files)))


def _state(path: Path) -> tuple[str, int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return str(path), 0, 0, 0
    return str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino
