"""Keeps the profiles in use up to date with their files.

Made by the app and by the injector at their start; a task of theirs iterates `changes`.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from app.contract.printable import place
from app.contract.rules import RuleSet
from app.profiles.compile import Loaded, load, load_each
from app.profiles.known import folders, known
from app.profiles.last_good import Good, LastGood
from app.profiles.problems import ProfileError
from app.profiles.read import looked
from app.profiles.used import UsedProfiles

_LOOK_S = 1.0

log = logging.getLogger(__name__)

_Signature = tuple[tuple[str, int, int, int], ...]


class ProfileSet:
    """`rules` come from the files; in place of a refused one its last good version is in use.
    `error` says what was refused and what is used instead, "" without a refusal. Raises
    ProfileError when the files are invalid at the start, unless `last_good` is given: then a
    refused file never stops a start. `known` are these and the others to read captures by: shipped
    ones, those in the folder `added`, and those that were in use last, which it keeps beside.

    One thread calls `check`; any thread reads.
    """

    def __init__(
        self,
        sources: Sequence[str | Path],
        last_good: LastGood | None = None,
        added: Path | None = None,
    ) -> None:
        self._sources = tuple(sources)
        self._added = added
        self._last_good = last_good
        self._seen: _Signature = ()
        self._good: Good = {}
        if last_good is None:
            loaded = load(self._sources)
        else:
            self._good = last_good.read()
            loaded = load_each(self._sources, self._good)
        self.rules: RuleSet = loaded.rules
        self.error = _said(loaded)
        self.written = loaded.written
        self._use(loaded)

    def check(self) -> bool:
        """Reads the files again if the time or size of one changed; True if what they say changed.
        After a refused change it reads them each time: the missing file may be one that it does not
        know."""
        seen = self._signature()
        if seen == self._seen and not self.error:
            return False
        # Taken before the files are read, without files found only now: a change in between shows
        # at the next check.
        self._seen = seen
        loaded = load_each(self._sources, self._good)
        self.error = _said(loaded)
        changed = loaded.written != self.written
        if loaded.rules.etag != self.rules.etag:
            self.rules, changed = loaded.rules, True
        self._use(loaded)
        return changed

    def _use(self, loaded: Loaded) -> None:
        self._files = loaded.files
        self.written = loaded.written
        if self._last_good is not None and loaded.good and loaded.good != self._good:
            self._last_good.write(loaded.good)
        self._good = loaded.good
        self._keep(loaded.good)
        self.known = known(loaded.good.values(), self._added)

    def _keep(self, good: Good) -> None:
        homes = {folder.resolve() for folder in folders(self._added)}
        found = looked(self._sources)[0]
        at_home = {one.label for one in found if one.path.resolve().parent in homes}
        UsedProfiles(self._added).keep(
            [one for label, one in good.items() if label not in at_home],
            [one for label, one in good.items() if label in at_home],
        )

    async def changes(self) -> AsyncGenerator[None]:
        """Checks every second, for ever; yields after every change of the files or of `error`."""
        if self.error:
            log.error("profiles are refused at the start: %s", self.error)
            yield
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
            found = [source.path for source in looked(self._sources)[0]]
            found += sorted(self._added.glob("*.yaml")) if self._added else ()
        except OSError:
            found = []
        return tuple(map(_state, (*found, *self._files)))


def _said(loaded: Loaded) -> str:
    """Says what was refused, and what becomes of it."""
    if not loaded.problems:
        return ""
    files = dict.fromkeys(p.file for p in loaded.problems)
    instead = [
        f"{file} {'stays as it was last good' if file in loaded.good else 'is left out'}"
        for file in files
    ]
    return f"{ProfileError(loaded.problems)}\n\n{'; '.join(instead)}"


def _state(path: Path) -> tuple[str, int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return str(path), 0, 0, 0
    return str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino
