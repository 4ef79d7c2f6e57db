"""The profiles in use, kept up to date with their files.

Made by the app at its start; its watcher task calls `check` every second.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from app.contract.rules import RuleSet
from app.profiles.compile import load
from app.profiles.problems import ProfileError
from app.profiles.read import find

_Signature = tuple[tuple[str, int, int, int], ...]


class ProfileSet:
    """`rules` are those of the last files that were right; `error` is the text of what was refused
    since, "" when nothing was. Raises ProfileError when the files are wrong from the start.

    One thread calls `check`; any thread reads.
    """

    def __init__(self, sources: Sequence[str | Path]) -> None:
        self._sources = tuple(sources)
        self._files: tuple[Path, ...] = ()
        self._seen = self._signature()
        loaded = load(self._sources)
        self._files = loaded.files
        self._seen += _signature(loaded.files)
        self.rules: RuleSet = loaded.rules
        self.error = ""

    def check(self) -> bool:
        """Looks at times and sizes, reads the files again when one of them changed, and says
        whether other rules are in use now."""
        seen = self._signature() + _signature(self._files)
        if seen == self._seen:
            return False
        try:
            loaded = load(self._sources)
        except ProfileError as e:
            self.error = str(e)
            self._seen = seen
            return False
        self._files = loaded.files
        # Looked at before the files were read, so that a change in between shows at the next check.
        self._seen = seen if _signature(loaded.files) == seen[-len(loaded.files) :] else ()
        self.error = ""
        changed = loaded.rules.etag != self.rules.etag
        self.rules = loaded.rules
        return changed

    def _signature(self) -> _Signature:
        try:
            return _signature(source.path for source in find(self._sources))
        except (ProfileError, OSError):
            return ()


def _signature(files: Iterable[Path]) -> _Signature:
    return tuple(map(_state, files))


def _state(path: Path) -> tuple[str, int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return str(path), 0, 0, 0
    return str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino
