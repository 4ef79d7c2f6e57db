"""Problems of a profile, in sentences: raised while profiles are read and compiled.

Made by `read` and `compile`; printed by `telemock rules check`, by the app's start, and on
`/health` when a change was refused.
"""

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from app.contract.printable import one_line

_SHOWN = 80  # characters of a wrong value

# Our words for pydantic's error types, and what to write; other types keep pydantic's own words.
_WANTED = {
    "string_type": ("text", "put it in quotes"),
    "int_type": ("a whole number", "write it without quotes"),
    "float_type": ("a number", "write it without quotes"),
    "bool_type": ("true or false", "write one of them, without quotes"),
    "list_type": ("a list", "write [a, b], or a line `- a` for each"),
    "dict_type": ("a mapping (name: value)", "write a line `name: value` for each, indented"),
    "model_type": ("a mapping (name: value)", "write a line `name: value` for each, indented"),
}


class ProfileProblem(NamedTuple):
    """`where` is the path in the file, such as `rules[2].match.path`, "" for the file as a whole;
    `message` quotes the value too."""

    file: str
    where: str
    value: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = one_line(": ".join(filter(None, (self.file, self.where))))
        return f"{place}: {self.message}" + (f"\n\nhint: {self.hint}" if self.hint else "")


class ProfileError(ValueError):
    """The profiles cannot be used. The text lists every problem, and is meant for people, whole."""

    def __init__(self, problems: Iterable[ProfileProblem]) -> None:
        self.problems = list(problems)
        super().__init__("\n\n".join(map(str, self.problems)))


def wrong(message: str, hint: str = "") -> PydanticCustomError:
    """An error for validators of the schema, whose sentence is shown as it is."""
    return PydanticCustomError("telemock", "{message}", {"message": message, "hint": hint})


def shown(value: object) -> str:
    """Renders a value of the file for an error: one line, without control characters, cut."""
    text = ascii(value) if isinstance(value, bytes) else repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def from_pydantic(
    file: str, document: Any, error: ValidationError, keys: Collection[str]
) -> list[ProfileProblem]:
    """Converts each of pydantic's errors. `document` is the validated one, `keys` are all keys of
    the format."""
    return [_problem(file, document, e, keys) for e in error.errors(include_url=False)]


def _problem(
    file: str, document: Any, error: ErrorDetails, keys: Collection[str]
) -> ProfileProblem:
    where = place(document, error["loc"])
    name = str(error["loc"][-1]) if error["loc"] else "profile"
    value, context = error["input"], error.get("ctx", {})
    hint = ""
    match error["type"]:
        case "telemock":
            message, hint = context["message"], context["hint"]
        case "missing":
            message = "is missing"
            hint = f"add `{name}: …`"
        case "extra_forbidden":
            message = f"{name!r} is not a key that can stand here"
            near = difflib.get_close_matches(name, keys)
            hint = f"did you mean {near[0]!r}?" if near else "remove it, or look at its indentation"
        case "literal_error":
            word = {"as": "a treatment"}.get(name, name.replace("_", " "))
            article = "" if word.startswith("a ") else ("an " if word[0] in "aeiou" else "a ")
            expected = context["expected"].replace("'", "")
            message = f"{shown(value)} is not {article}{word}, expected {expected}"
            near = difflib.get_close_matches(str(value), expected.replace(" or ", ", ").split(", "))
            hint = f"did you mean {near[0]}?" if near else f"write one of {expected}"
        case "string_type" if isinstance(value, int | float | bool) or not value:
            message = f"{shown(value)} is not text"
            hint = "YAML reads it as something else: put it in quotes"
        case "model_type" if isinstance(value, int | float | bool):
            message = f"{shown(value)} is not text, and not a mapping (name: value)"
            hint = "if it is meant as text, put it in quotes"
        case kind if kind in _WANTED:
            wanted, hint = _WANTED[kind]
            message = f"{shown(value)} is not {wanted}"
        case _:
            message = f"{shown(value)}: {error['msg'].replace('Input should', 'it should')}"
            hint = "change it, or remove it" if name.isdigit() else f"change {name!r}, or remove it"
    return ProfileProblem(file, where, shown(value), message, hint)


def place(document: Any, loc: Iterable[int | str]) -> str:
    """Converts pydantic's location to `rules[2].match.path`; leaves out steps that the file lacks
    (a single value in place of a list, the name of a union's member)."""
    steps, node = list(loc), document
    path = ""
    for number, step in enumerate(steps):
        if isinstance(step, int):
            if not isinstance(node, list):
                continue
            path += f"[{step}]"
            node = node[step] if step < len(node) else None
        elif isinstance(node, Mapping) and (step in node or number == len(steps) - 1):
            path += f".{step}" if path else step
            node = node.get(step)
    return path
