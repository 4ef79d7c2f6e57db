"""The decoded values of a capture as lines; a value that does not stand there says why.

Reads the same tree as rules and masking do. Called by `app.web.capture`.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from app.contract.classes import title
from app.contract.decoding.pairs import inside, segments
from app.contract.decoding.read import read
from app.contract.decoding.tree import Number, Opaque, Opened, Several
from app.contract.masking.fields import MASK, TOKEN
from app.contract.record import VALUE_CAP, Body, CaptureRecord, Pair, first
from app.store.classes import NO_WORDS, ClassWords
from app.store.facts import endpoint_of
from app.store.inventory import PATH, classify

MOST = 500  # values that are listed
_DEEPEST = 32
_INDEX = re.compile(r"\[\d+\]")
_VALUE = 8_000  # characters of a value that are shown

MASKED = "masked before it was written: the profile or a detector calls it sensitive"
PARTLY = "a part was masked before it was written: the profile or a detector calls it sensitive"
TOKENED = "replaced by a token: equal values have equal tokens"
_BY_SOMEBODY = (MASKED, PARTLY, TOKENED)
CUT = f"cut: of one value {VALUE_CAP:,} characters are kept"
OPAQUE = "these bytes cannot be read as any format that is known here"


class FieldLine(NamedTuple):
    """`hidden` says why the value does not stand there whole, "" if it does. `path` is the field's
    in the inventory, `class_title` its class in force, in words."""

    place: str
    name: str
    value: str
    type: str
    hidden: str
    path: str = ""
    class_title: str = ""


def hidden(value: str) -> str:
    """Says why a text of a record is not as it was sent, "" if it may be."""
    if value == MASK:
        return MASKED
    if TOKEN.fullmatch(value):
        return TOKENED
    if len(value) > VALUE_CAP and value.endswith("…"):
        return CUT
    return PARTLY if MASK in value or TOKEN.search(value) else ""


def values(record: CaptureRecord, words: ClassWords = NO_WORDS) -> list[FieldLine]:
    """The first MOST + 1 values of the request or message. `words` are said of classes."""
    found, of = [], endpoint_of(record)
    for line in _values(record):
        shape = classify(line.value)[1] if line.type == "string" else ""
        of_class = words.of(of, line.path, line.type, shape)
        line = line._replace(class_title=title(of_class.id))
        found.append(_called(line, record.masked) if line.hidden in _BY_SOMEBODY else line)
        if len(found) > MOST:
            break
    return found


def _called(line: FieldLine, masked: list[Pair]) -> FieldLine:
    """With what called for it, where the record says so."""
    name = line.name.partition("›")[0]
    places = ("body", "message") if line.place == "body" else (line.place, f"{line.place}.{name}")
    by = dict.fromkeys(by for field, by in masked if field in places)
    return line._replace(hidden=f"{line.hidden} ({', '.join(by)})") if by else line


def _values(record: CaptureRecord) -> Iterator[FieldLine]:
    if asked := record.request:
        for name, value in segments(asked.path, record.route):
            yield _line("path", name, value, classify(value)[0])
        for name, value in asked.query:
            yield _line("query", name, value, classify(value)[0])
            yield from _opened("query", name, value)
        for name, value in asked.headers:
            yield from _opened("header", name.lower(), value)
        if asked.body:
            yield from _body(asked.body, asked.headers)
    if record.message:
        yield from _body(record.message.body, [])


def _opened(place: str, name: str, value: str) -> Iterator[FieldLine]:
    found = inside(name if place == "header" else "", value)
    if isinstance(found, Opened) and not found.unsure:
        yield from _leaves(place, name, found)


def _body(body: Body, headers: list[Pair]) -> Iterator[FieldLine]:
    found = read(body, first(headers, "content-type"))
    if found.value is None or (isinstance(found.value, str) and not found.suffix):
        return  # plain text stands below
    yield from _leaves("body", f"body{found.suffix}", found.value)


def _leaves(place: str, name: str, node: Any) -> Iterator[FieldLine]:
    """The values below a node, each with its path."""
    stack: list[tuple[str, Any, int]] = [(name, node, 0)]
    while stack:
        path, node, depth = stack.pop()
        if isinstance(node, Opened):
            inner = (path, node.text) if node.unsure else (path + node.suffix, node.value)
            stack.append((*inner, depth))
            continue
        if isinstance(node, Several):
            node = [n for n in node if not (isinstance(n, Opened) and n.unsure)]
            if len(node) == 1:
                stack.append((path, node[0], depth))
                continue
        if isinstance(node, dict) and node and depth < _DEEPEST:
            pairs = reversed(node.items())
            stack.extend((f"{path}.{n}", v, depth + 1) for n, v in pairs)
        elif isinstance(node, list) and node and depth < _DEEPEST:
            items = reversed([*enumerate(node[: MOST + 1])])
            stack.extend((f"{path}[{n}]", v, depth + 1) for n, v in items)
        else:
            if place == "body":
                yield _line(place, path.removeprefix("body."), *_value(node), path)
            else:
                yield _line(place, path, *_value(node))


def _value(node: Any) -> tuple[str, str]:
    match node:
        case None:
            return "null", "null"
        case bool():
            return str(node).lower(), "boolean"
        case int():
            return str(node), "integer"
        case Number():
            return node.written, "number"
        case float():
            return str(node) if math.isfinite(node) else "not a number", "number"
        case dict():
            return ("…" if node else "{}"), "object"
        case list():
            return ("…" if node else "[]"), "array"
        case Opaque():
            return str(node), "opaque"
    return str(node), "string" if node else "empty"


def _line(place: str, name: str, value: str, type: str, path: str = "") -> FieldLine:
    path = _INDEX.sub("[]", path or f"{place}.{name}")[:PATH]
    why = OPAQUE if type == "opaque" else hidden(value)
    shown = value if len(value) <= _VALUE else value[:_VALUE] + "…"
    return FieldLine(place, name, shown, type, why, path)
