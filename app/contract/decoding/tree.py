"""The tree of a message: plain JSON values, and nodes that say how a value was written.

Made by `app.contract.decoding.read`; conditions, versions, inventory, captures and templates read
it, and nobody decodes again.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from app.contract.record import text

THEN = "›"  # between a name and the decodings that lead on from its value
_ATTRIBUTE = {"key", "value"}
_DECODINGS = re.compile(f"{THEN}[^.\\[]*")
WITHHELD, TOO_MUCH = "withheld", "more than is read"
UNREADABLE: Any = object()  # for conditions: fields that cannot be read here


class Several(list[Any]):
    """Values of which each may be the meant one: of a repeated key, of the documents in a body."""


class Number(float):
    """A number whose text says more than its value: a version 4.10, 1E2, 1e999."""

    __slots__ = ("written",)
    written: str

    @classmethod
    def of(cls, written: str) -> float:
        value = float(written)
        if repr(value) == written:
            return value
        number = cls(value)
        number.written = written
        return number


class Opened:
    """A text, and the value that these decodings find in it. An `unsure` one is a value that some
    server may read there, and most do not: it counts in conditions alone."""

    __slots__ = ("chain", "text", "unsure", "value")

    def __init__(
        self, text: str, chain: tuple[str, ...], value: Any, *, unsure: bool = False
    ) -> None:
        self.text, self.chain, self.value, self.unsure = text, chain, value, unsure

    @property
    def suffix(self) -> str:
        """The end of the text's name: `›base64›json`."""
        return THEN + THEN.join(self.chain)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opened) and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Opened({self.text!r}, {self.chain!r}, {self.value!r})"


class Opaque(msgspec.Struct, frozen=True):
    """Bytes that cannot be read."""

    size: int
    looks: str = ""  # or why it was not looked at

    def __str__(self) -> str:
        like = "" if self.looks in (WITHHELD, TOO_MUCH) else "looks like "
        return f"opaque, {self.size:,} bytes" + (self.looks and f", {like}{self.looks}")


def values(tree: Any, path: str) -> list[str]:
    """The values at a dotted path as text (objects and lists as compact JSON); empty for none.

    `*` stands for every element of a list, as `[]` does in the inventory's names. Decodings on the
    way need not be named, but may be (`data›base64›json.a`), names may have dots, and each value of
    Several counts.
    """
    found = [t for node in at(tree, path) for t in _texts(node)]
    if (short := plain_path(path)) != path:
        found += values(tree, short)
    return found


def scalars(tree: Any, path: str) -> list[str]:
    """The same without objects and lists."""
    found = at(tree, plain_path(path))
    return [t for node in found if not isinstance(node, dict | list) for t in _texts(node)]


def plain_path(path: str) -> str:
    """A name of the inventory's as a path: without decodings, and with `*` for `[]`."""
    if THEN in path:
        path = _DECODINGS.sub("", path)
    return path.replace("[]", ".*").removeprefix(".") if "[]" in path else path


def at(tree: Any, path: str) -> Iterator[Any]:
    """The nodes at a dotted path."""
    return _at(tree, path.split("."))


def _at(tree: Any, steps: Sequence[str]) -> Iterator[Any]:
    for node in readings(tree):
        if not steps:
            yield node
        elif isinstance(node, dict):
            for end in range(1, len(steps) + 1):
                name = ".".join(steps[:end])
                if name in node:
                    yield from _at(node[name], steps[end:])
        elif isinstance(node, list):
            step = steps[0]
            yield from _paired(node, steps)
            if step == "*":
                for one in node:
                    yield from _at(one, steps[1:])
            elif step.isascii() and step.isdigit() and len(step) < 9 and int(step) < len(node):
                yield from _at(node[int(step)], steps[1:])


def _paired(node: list[Any], steps: Sequence[str]) -> Iterator[Any]:
    """Of attributes those with that key, which may have dots."""
    for one in node:
        if is_attribute(one):
            key = one["key"]
            within = key.count(".") + 1
            if ".".join(steps[:within]) == key:
                yield from _at(attribute(one), steps[within:])


def is_attribute(node: Any) -> bool:
    """True for `{"key": …, "value": …}`, as OpenTelemetry lists them."""
    return type(node) is dict and node.keys() == _ATTRIBUTE and isinstance(node["key"], str)


def attribute(node: Any) -> Any:
    """The value of one, without the name of its type."""
    value = node["value"]
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)).endswith("Value"):
        return next(iter(value.values()))
    return value


def readings(node: Any) -> Iterator[Any]:
    """The node itself; of Several also each, of an opened text the text and its value."""
    if isinstance(node, Opened):
        yield node.text
        yield from readings(node.value)
        return
    yield node
    if isinstance(node, Several):
        for one in node:
            yield from readings(one)


def _texts(node: Any) -> tuple[str, ...]:
    """As JSON without quotes; also for values that JSON cannot hold, but bodies do."""
    if node is UNREADABLE:
        return ()
    if isinstance(node, str):
        return (text(node),)
    if isinstance(node, Opaque):
        return (str(node),)
    if isinstance(node, Number):
        return node.written, str(float(node))
    try:
        return (msgspec.json.encode(node, enc_hook=_as_json).decode(),)
    except (UnicodeError, msgspec.MsgspecError, RecursionError):
        return (repr(node),)


def _as_json(node: Any) -> Any:
    if isinstance(node, Number):
        return float(node)
    return node.text if isinstance(node, Opened) else str(node)


def shown(node: Any, depth: int = 100) -> Any:
    """As JSON holds it, for people: the name of a text that was opened has its decodings, and
    numbers stay as written. Below `depth` levels nothing is shown."""
    if isinstance(node, str):
        return text(node)
    if isinstance(node, float):
        if not math.isfinite(node):
            return str(float(node))
        return msgspec.Raw(node.written.encode()) if isinstance(node, Number) else node
    if isinstance(node, Opaque):
        return str(node)
    if not isinstance(node, dict | list | Opened):
        return node
    if depth == 0:
        return "…"
    if isinstance(node, Opened):
        return {node.suffix: shown(node.value, depth - 1)}
    if isinstance(node, dict):
        pairs = ((text(name), value) for name, value in node.items())
        return {
            name + value.suffix if isinstance(value, Opened) else name: shown(
                value.value if isinstance(value, Opened) else value, depth - 1
            )
            for name, value in pairs
        }
    if isinstance(node, Several) and len(sure := _sure(node)) == 1:
        return shown(sure[0], depth)
    return [shown(value, depth - 1) for value in _sure(node)]


def opened_up(node: Any, depth: int = 100) -> Any:
    """Plain values alone, for templates: in place of a text that was opened what it holds."""
    if isinstance(node, Opened):
        return node.text if node.unsure else opened_up(node.value, depth)
    if isinstance(node, Number):
        return float(node)
    if isinstance(node, Opaque):
        return None
    if isinstance(node, dict | list) and depth == 0:
        return None
    if isinstance(node, dict):
        return {name: opened_up(value, depth - 1) for name, value in node.items()}
    if isinstance(node, list):
        kept = [v for v in _sure(node) if not _is_beside(v)] if isinstance(node, Several) else node
        found = [opened_up(value, depth - 1) for value in kept]
        return found[0] if isinstance(node, Several) and len(found) == 1 else found
    return node


def _is_beside(node: Any) -> bool:
    """True of what stands beside a value (`Opener.beside`), which no server takes for it."""
    return isinstance(node, Opened) and not node.text


def _sure(nodes: list[Any]) -> list[Any]:
    return [one for one in nodes if not (isinstance(one, Opened) and one.unsure)]
