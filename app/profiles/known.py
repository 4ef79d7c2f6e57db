"""Profiles to read captures by: those in use, and others whose ids captures name: a run had them.
They say what a field means, and never decide on traffic: `ProfileSet.rules` does.

Made by `watch` for the app, and by `app.client` to read a store without one.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from app.contract.rules import RuleSet
from app.profiles.compile import load_each
from app.profiles.last_good import GoodProfile
from app.profiles.read import BUILT_IN
from app.profiles.used import UsedProfiles

Origin = Literal["in use", "kept", "added", "shipped"]


def folders(added: Path | None) -> tuple[Path, ...]:
    """Those with shipped profiles and with `added` ones, which come before shipped ones."""
    return (BUILT_IN,) if added is None else (BUILT_IN, added)


def known(in_use: Iterable[GoodProfile], added: Path | None) -> "KnownProfiles":
    """Those of a data directory, in which `added` is the folder of added ones."""
    return KnownProfiles(in_use, folders(added), UsedProfiles(added).read())


class KnownProfiles:
    """`folders` have the files of the others, named for their ids; of two with one id the later is
    meant. A file is read when its profile is first asked for, and is none if it is refused. `kept`
    are those that were in use last, which come before these."""

    def __init__(
        self,
        in_use: Iterable[GoodProfile],
        folders: Iterable[Path],
        kept: Mapping[str, GoodProfile] | None = None,
    ) -> None:
        self.in_use = tuple(in_use)
        self._own = {one.profile.id: one for one in self.in_use}
        self._kept = kept or {}
        self._known: dict[str, GoodProfile | None] = {**self._kept, **self._own}
        self._rules: dict[str, RuleSet] = {}
        # A record's id is hostile text: it is compared with these names, and makes no path.
        self._files = {path.stem: path for folder in folders for path in folder.glob("*.yaml")}

    def find(self, id: str) -> GoodProfile | None:
        if id not in self._known and id in self._files:
            good = load_each([self._files[id]], {}).good.values()
            self._known[id] = next((one for one in good if one.profile.id == id), None)
        return self._known.get(id)

    def origin(self, id: str) -> Origin:
        """Of a profile that is found: which one is meant."""
        if id in self._own:
            return "in use"
        if id in self._kept:
            return "kept"
        return "shipped" if self._files[id].parent == BUILT_IN else "added"

    def decoders(self, profile: str, rule: str) -> Sequence[str]:
        """The decoders of that rule, none if it is not known."""
        if profile not in self._rules:
            found = self.find(profile)
            if found is None:
                return ()
            self._rules[profile] = RuleSet((found.profile,))
        return self._rules[profile].decoders(profile, rule)
