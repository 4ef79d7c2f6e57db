"""values.yaml as its own documentation: each value's place, default, description and type.

Read by `charts/generate.py`, which writes the schema and the README from it, and by the tests. The
comment block right above a key describes it; its line `@schema {…}` is merged into the JSON Schema
that the default's type gives.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_MARK = "@schema "
_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


class ValuesError(Exception):
    """values.yaml cannot be read so. The text is meant for people, whole."""


@dataclass(frozen=True)
class Value:
    """`parts` are the values below; None for a leaf, which a user sets as a whole."""

    path: tuple[str, ...]
    default: Any
    help: str
    schema: dict[str, Any]
    parts: "tuple[Value, ...] | None" = None

    @property
    def name(self) -> str:
        return ".".join(self.path)

    def leaves(self) -> "Iterator[Value]":
        if self.parts is None:
            yield self
        for part in self.parts or ():
            yield from part.leaves()


def read(file: Path) -> tuple[Value, ...]:
    """Raises ValuesError."""
    text = file.read_text(encoding="utf-8")
    root = yaml.compose(text, yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise ValuesError(f"{file} is no mapping")
    return tuple(_below(root, text.splitlines(), yaml.safe_load(text), ()))


def _below(
    node: yaml.MappingNode, lines: list[str], values: Any, path: tuple[str, ...]
) -> Iterator[Value]:
    for key, value in node.value:
        here = (*path, key.value)
        default = values[key.value]
        text, schema = _comment(lines, key.start_mark.line, here)
        # Written in one line it is a leaf: the default of something that users set as a whole.
        if isinstance(value, yaml.MappingNode) and not value.flow_style and not text:
            parts = tuple(_below(value, lines, default, here))
            yield Value(here, default, text, {}, parts)
            continue
        if not text:
            raise ValuesError(f"{'.'.join(here)} has no comment\n\nhint: say above it what it does")
        yield Value(here, default, text, _type(default) | schema)


def _comment(lines: list[str], line: int, path: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    block = []
    while line > 0 and lines[line - 1].lstrip().startswith("# "):
        line -= 1
        block.append(lines[line].lstrip()[2:])
    schema: dict[str, Any] = {}
    text = []
    for said in reversed(block):
        if not said.startswith(_MARK):
            text.append(said)
            continue
        try:
            schema = json.loads(said.removeprefix(_MARK))
        except ValueError as e:
            raise ValuesError(f"{'.'.join(path)}: its @schema is no JSON: {e}") from None
    return " ".join(text), schema


def _type(default: Any) -> dict[str, Any]:
    if isinstance(default, list):
        return {"type": "array"}
    if isinstance(default, dict):
        return {"type": "object"}
    return {"type": _TYPES[type(default).__name__]}


def schema(values: tuple[Value, ...], profile: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of the values; `profile` is that of a profile's file."""
    definitions = profile.pop("$defs", {})
    found = _object(values)
    # Helm hands the values of parent charts down under this name.
    found["properties"]["global"] = {"type": "object"}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$defs": {**definitions, "ProfileFile": profile},
        "title": "Values of the chart telemock",
        **found,
    }


def _object(values: tuple[Value, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            v.path[-1]: _object(v.parts)
            if v.parts is not None
            else {"description": v.help, "default": v.default, **v.schema}
            for v in values
        },
    }


def markdown(values: tuple[Value, ...]) -> str:
    """The table of all values."""
    rows = ["| Value | Default | Meaning |", "|---|---|---|"]
    for value in (leaf for v in values for leaf in v.leaves()):
        default = json.dumps(value.default, ensure_ascii=False)
        shown = "empty" if value.default in ("", [], {}) else f"`{default.strip('"')}`"
        choice = value.schema.get("enum")
        help = value.help
        if choice and not all(f"`{c}`" in help or not c for c in choice):
            help += " One of: " + ", ".join(f"`{c}`" for c in choice if c) + "."
        rows.append(f"| `{value.name}` | {shown} | {help.replace('|', '\\|')} |")
    return "\n".join(rows) + "\n"
