"""The classes of fields in the store in memory."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from app import store
from app.store.classes import ClassWords, ProfileClasses, class_of
from app.store.facts import Route
from app.store.inventory import Field


class MemoryClasses(ABC):
    _profiles: ProfileClasses

    @abstractmethod
    def _open(self) -> AbstractContextManager[Any]: ...

    def say_class(self, said: store.SaidClass) -> bool:
        with self._open() as held:
            known = any((of, name.path) == (said[:4], said.path) for of, _, name in held.fields)
            if known:
                held.classes[said[:4], said.path] = said
            return known

    def profiles_say(self, classes: ProfileClasses) -> None:
        self._profiles = classes

    def words(self) -> ClassWords:
        said = {one[:5]: one.class_ for one in self.said_classes()}
        return ClassWords.of_people(said, self._profiles)

    def said_classes(self, profile: str | None = None) -> list[store.SaidClass]:
        with self._open() as held:
            return sorted(
                (one for one in held.classes.values() if profile in (None, one.profile)),
                key=lambda one: one.at_ns,
            )


def class_in(
    said: Mapping[tuple[Route, str], store.SaidClass], of: Route, name: Field
) -> dict[str, Any]:
    """The attributes of a row's class, as the detectors tell it, and who said another."""
    found = class_of(*name)
    word = said.get((of, name.path))
    who = word and word.class_ and found.id
    return {"class_": found.id, "class_by": found.by, "confidence": found.confidence,
            "who": word.who if word and who else "",
            "class_at_ns": word.at_ns if word and who else 0}  # fmt: skip
