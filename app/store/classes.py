"""Gives a field its class: by its name, and the type and shape of its values; never by a value.

Called by the stores when they write, and by `app.analysis.rows`. The same name, type and shape have
the same class everywhere, so it can be told of what a store has kept from before. `ClassWords` lays
what people and profiles say over it: everything that shows a class asks it.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, Self

from msgspec.structs import replace

from app.contract.classes import SAYS_PERSON, SAYS_PROFILE
from app.store.class_names import rule_of
from app.store.class_rules import B, N, NameRule, S
from app.store.rows import FieldRow


class Classed(NamedTuple):
    """`by` is the detector: what it looked at, and what it took it for. `confidence` is 0 to 1."""

    id: str
    by: str
    confidence: float


NONE = Classed("", "", 0.0)  # an object or array: its fields have classes

# Shapes that tell the class whatever the name is.
SURE_LOOKS: Mapping[str, Classed] = {
    "credentials": Classed("secret", "value credentials", 0.95),
    "email": Classed("contact", "value email", 0.95),
    "phone": Classed("contact", "value phone", 0.8),
    "mac": Classed("identifier.device", "value mac", 0.95),
    "home": Classed("identifier.person", "value home", 0.85),
    "host": Classed("identifier.device", "value host", 0.8),
    "ip": Classed("network", "value ip", 0.9),
    "place": Classed("location", "value place", 0.9),
    "account": Classed("identifier.organisation", "value account", 0.8),
    "repository": Classed("identifier.organisation", "value repository", 0.7),
    "package": Classed("version", "value package", 0.8),
}
# Shapes that tell it where the name does not.
_LIKELY: Mapping[str, Classed] = {
    "masked": Classed("secret", "value masked", 0.7),
    "token": Classed("identifier.installation", "value token", 0.6),
    "guid": Classed("identifier.installation", "value guid", 0.5),
    "version": Classed("version", "value version", 0.8),
    "platform": Classed("environment", "value platform", 0.8),
    "text": Classed("text", "value text", 0.7),
    "timestamp": Classed("environment", "value timestamp", 0.6),
    "url": Classed("network", "value url", 0.4),
    "path": Classed("configuration", "value path", 0.5),
    "hex": Classed("opaque", "value hex", 0.5),
    "base64": Classed("opaque", "value base64", 0.5),
}
_BY_TYPE: Mapping[str, Classed] = {
    "boolean": Classed("configuration", "type boolean", 0.6),
    "integer": Classed("usage", "type integer", 0.5),
    "number": Classed("usage", "type number", 0.5),
    "opaque": Classed("opaque", "type opaque", 0.9),
}
_UNKNOWN = Classed("opaque", "nothing", 0.2)
_TYPES: Mapping[str, str] = {"boolean": B, "integer": N, "number": N}
# Classes of names that these shapes contradict: an id is no text, a version number no runtime.
_BROAD = frozenset(("text", "usage", "configuration", "environment", "version"))
_CONTRADICTED: Mapping[str, frozenset[str]] = {
    "guid": _BROAD,
    "version": (_BROAD - {"version"}) | {"identifier.device"},
    "platform": (_BROAD - {"environment"}) | {"identifier.device"},
}


ProfileClasses = Callable[[str, str], str]  # profile and path -> its class, "" where it says none
_Key = tuple[str, str, str, str, str]  # an endpoint's profile, host, method and route; a path


def _silent(profile: str, path: str) -> str:
    return ""


class ClassWords(NamedTuple):
    """The classes in force: a person beats the profile, the profile beats the detectors. `said` is
    known of single fields, `profiles` by pattern."""

    said: Mapping[_Key, Classed] = MappingProxyType({})
    profiles: ProfileClasses = _silent

    @classmethod
    def of_people(cls, said: Mapping[_Key, str], profiles: ProfileClasses = _silent) -> Self:
        """`said`: what people say, "" where they took a word back."""
        words = {key: Classed(id, SAYS_PERSON, 1.0) for key, id in said.items() if id}
        return cls(words, profiles)

    @classmethod
    def of_inventory(cls, rows: Iterable[FieldRow]) -> Self:
        """Of rows that have the classes in force already."""
        return cls({
            (row.profile, row.host, row.method, row.route, row.path):
                Classed(row.class_, row.class_by, row.confidence)
            for row in rows if row.class_by in (SAYS_PERSON, SAYS_PROFILE)
        })  # fmt: skip

    def word(self, profile: str, host: str, method: str, route: str, path: str) -> Classed | None:
        """The word on the whole field; None where the detectors alone speak."""
        if found := self.said.get((profile, host, method, route, path)):
            return found
        id = self.profiles(profile, path)
        return Classed(id, SAYS_PROFILE, 1.0) if id else None

    def over(self, endpoint: tuple[str, str, str, str], path: str, found: Classed) -> Classed:
        """The class in force where the detectors `found` this one."""
        return (found.id and self.word(*endpoint, path)) or found

    def over_rows(self, rows: Iterable[FieldRow]) -> list[FieldRow]:
        """The rows with the classes in force; a row that has a person's already keeps it."""
        return [self._over_row(row) for row in rows]

    def _over_row(self, row: FieldRow) -> FieldRow:
        if not row.class_ or row.class_by == SAYS_PERSON:
            return row
        word = self.word(row.profile, row.host, row.method, row.route, row.path)
        if word is None:
            return row
        return replace(row, class_=word.id, class_by=word.by, confidence=word.confidence)

    def of(self, endpoint: tuple[str, str, str, str], path: str, type: str, shape: str) -> Classed:
        return self.over(endpoint, path, class_of(path, type, shape))


NO_WORDS = ClassWords()


@lru_cache(maxsize=16_384)
def class_of(path: str, type: str, shape: str) -> Classed:
    """The class of a field with such values."""
    if type in ("object", "array", ""):  # "" of what is over the limits
        return NONE
    if type == "opaque":
        return _BY_TYPE[type]
    rule = rule_of(path, _TYPES.get(type, S))
    if shape in SURE_LOOKS and not _is_other(shape, rule):
        return SURE_LOOKS[shape]
    if rule is not None and (
        rule.id not in _CONTRADICTED.get(shape, ())
        or (shape == "version" and rule.name == "operating system")
    ):
        return Classed(rule.id, f"name {rule.name}", rule.confidence)
    return _LIKELY.get(shape) or _BY_TYPE.get(type) or _UNKNOWN


def _is_other(shape: str, rule: NameRule | None) -> bool:
    """True where the name says that a value only looks so: 4.16.1.2 under `version`, a page's
    /home/x, a secret that is part of a URL's look."""
    if rule is None:
        return False
    match shape:
        case "ip":
            return rule.id == "version"
        case "home":
            return rule.name == "page"
        case "package" if rule.name == "user agent":
            return True
        case "package" | "phone" | "place" | "host":
            return rule.id in ("secret", "licence")
    return False
