"""Tells how many different values a field has had, without keeping one.

A store looks at some of the requests that it writes, and keeps for each field the K smallest hashes
of its values (KMV, K minimum values): of fewer the count is exact, of more within about an eighth.
The hashes are keyed with the app's own secret and the field's path, so that nobody can test a
guess, or see that two fields have a value in common.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from app.contract.decoding.pairs import AGENT, inside
from app.contract.decoding.tree import Number, Opaque, Opened, Several, attribute, is_attribute
from app.contract.record import CaptureRecord, first
from app.store.inventory import DEPTH, content_of, in_path

K = 64  # hashes of a field
LOOKED = 16  # requests of one batch that are looked at
LARGEST = 16 << 10  # bytes of a line that is looked at
_HASH = 8  # bytes
_VALUES = 2_000  # of one request
_LONGEST = 4_096  # characters of a value that are hashed


class Sketch(NamedTuple):
    """`looked`: values that were looked at, equal ones too. `hashes`: sorted, K at most."""

    looked: int = 0
    hashes: tuple[bytes, ...] = ()

    def with_values(self, hashes: Iterable[bytes], looked: int) -> "Sketch":
        merged = sorted({*self.hashes, *hashes})[:K]
        return Sketch(self.looked + looked, tuple(merged))

    @property
    def is_exact(self) -> bool:
        return len(self.hashes) < K

    @property
    def distinct(self) -> int:
        if self.is_exact:
            return len(self.hashes)
        about = round((K - 1) * (1 << 8 * _HASH) / int.from_bytes(self.hashes[-1]))
        return min(about, self.looked)

    def packed(self) -> bytes:
        return b"".join(self.hashes)

    @classmethod
    def of(cls, looked: int, packed: bytes) -> "Sketch":
        return cls(looked, tuple(packed[n : n + _HASH] for n in range(0, len(packed), _HASH)))


def hashed(key: bytes, path: str, value: str) -> bytes:
    said = f"{path}\0{value[:_LONGEST]}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(said, digest_size=_HASH, key=key).digest()


def values_of(record: CaptureRecord) -> Iterator[tuple[str, str]]:
    """The request's values by their names in the inventory, without those of objects and arrays."""
    for number, found in enumerate(_values(record)):
        if number >= _VALUES:
            return
        yield found


def _values(record: CaptureRecord) -> Iterator[tuple[str, str]]:
    asked = record.request
    if asked is None:
        return
    yield from in_path(record, asked)
    for name, value in asked.query:
        yield from _within(f"query.{name}", inside("", value))
    for name, value in asked.headers:
        yield f"header.{name.lower()}", value
    if said := first(asked.headers, AGENT):
        found = inside(AGENT, said)
        if isinstance(found, Opened):
            yield from _within(f"header.{AGENT}{found.suffix}", found.value)
    content = content_of(record)
    if content.value is not None:
        yield from _within("body" + content.suffix, content.value)


def _within(path: str, node: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    if isinstance(node, Opened):
        if node.text:
            yield path, node.text
        if not node.unsure:
            yield from _within(path + node.suffix, node.value, depth)
    elif isinstance(node, Several):
        for one in node:
            yield from _within(path, one, depth)
    elif isinstance(node, dict | list):
        if depth < DEPTH:
            for name, value in _named(node):
                yield from _within(path + name, value, depth + 1)
    elif not isinstance(node, Opaque):
        yield path, _text(node)


def _named(node: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield f".{name}", value
    elif node and all(map(is_attribute, node)):  # OpenTelemetry's: an object's names
        for one in node:
            yield f".{one['key']}", attribute(one)
    else:
        for one in node:
            yield "[]", one


def _text(node: Any) -> str:
    match node:
        case None:
            return "null"
        case bool():
            return str(node).lower()
        case Number():
            return node.written
    return str(node)
