"""The classes of fields in the store in memory."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from app import store
from app.store.classes import class_of
from app.store.facts import Route
from app.store.inventory import Field


class MemoryClasses(ABC):
    @abstractmethod
    def _open(self) -> AbstractContextManager[Any]: ...

    def say_class(self, said: store.SaidClass) -> bool:
        with self._open() as held:
            known = any((of, name.path) == (said[:4], said.path) for of, _, name in held.fields)
            if known:
                held.classes[said[:4], said.path] = said
            return known

    def said_classes(self, profile: str | None = None) -> list[store.SaidClass]:
        with self._open() as held:
            return sorted(
                (one for one in held.classes.values() if profile in (None, one.profile)),
                key=lambda one: one.at_ns,
            )


def class_in(
    said: Mapping[tuple[Route, str], store.SaidClass], of: Route, name: Field
) -> dict[str, Any]:
    """The attributes of a row's class."""
    found = class_of(*name)
    word = said.get((of, name.path))
    if word and word.class_ and found.id:
        return {"class_": word.class_, "class_by": "person", "confidence": 1.0, "who": word.who,
                "class_at_ns": word.at_ns}  # fmt: skip
    return {"class_": found.id, "class_by": found.by, "confidence": found.confidence}
