"""The profiles that were in use last and are neither shipped nor added, such as those of `run
--profile ./FILE`: what was captured by one is read by it afterwards, too.

Written by `watch` in the app, beside the folder of added profiles; read by `known`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from app.contract.names import FILE_PROFILES_USED
from app.profiles.last_good import GoodFile, GoodProfile

MOST = 200  # ids, the last used ones


class UsedProfiles:
    """`added` is the folder of added profiles; without one, nothing is kept."""

    def __init__(self, added: Path | None) -> None:
        self._file = added and GoodFile(added.parent / FILE_PROFILES_USED)

    def read(self) -> Mapping[str, GoodProfile]:
        """By their ids; nothing, where another version wrote them in another form."""
        return self._file.read() if self._file else {}

    def keep(self, own: Iterable[GoodProfile], at_home: Iterable[GoodProfile]) -> None:
        """`own` are in use; `at_home` too, and are shipped or added: their ids mean those again.
        Never raises."""
        before = self.read()
        gone = {one.profile.id for one in at_home}
        kept = {id: one for id, one in before.items() if id not in gone}
        for one in own:
            kept.pop(one.profile.id, None)
            kept[one.profile.id] = one
        if self._file and (kept != before or [*kept] != [*before]):
            self._file.write(dict([*kept.items()][-MOST:]))
