"""Names that stand as values: in `name=password&value=x` the value beside says what `value` is.

Used by the masking on lists of names: of a query, a form, a row of CSV, an element of XML.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from app.contract.masking.spelling import LONGEST, How

# Fields that say what the field beside them is: {"name": "password", "value": …}.
NAMING = frozenset(
    (
        "name", "key", "k", "n", "field", "fieldname", "header", "headername", "param",
        "parameter", "property", "attribute", "label", "option", "variable", "id", "type", "title",
    )
)  # fmt: skip
VALUED = frozenset(
    ("value", "val", "v", "values", "content", "data", "text", "string", "stringvalue")
)
_ROLE = re.compile(r"[\[\].:@_-]*([A-Za-z]+)[\[\]\d]*\Z")


class Group(NamedTuple):
    """Names that name others, and the values that these name, by their positions."""

    naming: tuple[int, ...]
    valued: tuple[int, ...]


def groups(names: Sequence[str]) -> tuple[Group, ...]:
    """The groups among the names of one list: of names with the same beginning (`a[0][key]`,
    `a[0][value]`)."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    for i, name in enumerate(names):
        role = _ROLE.search(name[-64:])
        word = role.group(1).lower() if role else ""
        if role and (word in NAMING or word in VALUED):
            ahead = name[: len(name) - len(role.group())]
            found.setdefault(ahead, ([], []))[word in VALUED].append(i)
    return tuple(Group(tuple(n), tuple(v)) for n, v in found.values() if n and v)


def named(
    among: Sequence[Group], value: Callable[[int], str], meaning: Callable[[str], How | None]
) -> dict[int, How]:
    """The treatment of values by their position. In a group with as many names as values the first
    goes with the first; else one sensitive name is that of all its values."""
    found: dict[int, How] = {}
    for naming, valued in among:
        means = [meaning(name) if len(name := value(i)) <= LONGEST else None for i in naming]
        if len(naming) == len(valued):
            found.update((i, how) for i, how in zip(valued, means, strict=True) if how)
        else:
            of_all = next((how for how in means if how), None)
            found.update((i, of_all) for i in valued if of_all)
    return found
