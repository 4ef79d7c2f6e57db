"""The masking of documents: JSON, JSON and base64 JSON in strings, forms, and plain text.

Used by the masking of one record. Only what is masked changes: every other byte of a document stays
as it came.
"""

import base64
import re
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import msgspec

from app.contract import body as bodies
from app.contract.masking.fields import MASK
from app.contract.masking.spans import (
    Edit,
    applied,
    blank,
    end_of,
    next_,
    numbers,
    outside,
    plain_member,
    quoted,
    requoted,
    string,
)
from app.contract.masking.spelling import How
from app.contract.masking.sweep import DEPTH, NESTED, hides
from app.contract.masking.values import Values
from app.contract.record import text

# Fields that say what the field beside them is: {"name": "password", "value": …}.
_NAMING = frozenset(
    (
        "name", "key", "k", "n", "field", "fieldname", "header", "headername", "param",
        "parameter", "property", "attribute", "label", "option", "variable",
    )
)  # fmt: skip
_VALUED = frozenset(
    ("value", "val", "v", "values", "content", "data", "text", "string", "stringvalue")
)
_NAME = 64  # characters of a text that may be a name
_FLAG = re.compile(r"--?[A-Za-z][\w.-]*\Z")
_SECRET = 13  # characters of a number, or of a field's name, that may be a secret
_LONG = re.compile(f"[^,\\]]{{{_SECRET}}}")
_NO_NAME = frozenset("=*?&%,;()<>{}\n")
_NO_FORM = re.compile(rb"[\"'<{\s]")  # what a form has only encoded


class Documents(Values):
    """Of one record."""

    def json(self, data: bytes) -> bytes:
        """JSON, one value after the other; the same bytes when there was nothing to mask."""
        if not self.names.maybe(data) and not hides(data):
            return data
        return self._json(data.decode(), 0).encode()

    def _json(self, written: str, depth: int) -> str:
        edits: list[Edit] = []
        at = blank(written, 0)
        while at < len(written):
            at = blank(written, self._value(written, at, "", depth, edits))
        return applied(written, edits)

    def _value(self, written: str, at: int, path: str, depth: int, edits: list[Edit]) -> int:
        """Masks the value that begins at `at`; where it ends."""
        first = written[at]
        if first == '"':
            value, end = string(written, at)
            if value and (new := self.nested(value, depth)) != value:
                edits.append(Edit(at, end, requoted(new, value, written[at:end])))
            return end
        if first not in "{[":
            end = end_of(written, at)
            self._number(written, at, end, edits)
            return end
        if depth > DEPTH:
            end = end_of(written, at)
            edits.append(Edit(at, end, quoted(MASK)))
            return end
        members = self._object if first == "{" else self._list
        own: list[Edit] = []
        end = members(written, blank(written, at + 1), path, depth + 1, own)
        edits += own
        return end

    def _object(self, written: str, at: int, path: str, depth: int, edits: list[Edit]) -> int:
        names = self.names
        of_field = names.of_field if names.paths else None
        meaning = names.body.meaning
        named: How | None = None
        valued: list[tuple[int, int]] = []
        while written[at] != "}":
            here, begins = path, at
            if member := plain_member(written, at):  # most are: in a third of the time
                key, value, number = member.groups()
                following = member.end()
                if number is not None:
                    if (
                        len(number) < _SECRET > len(key)
                        and not of_field
                        and key.lower() not in _VALUED
                        and meaning(key) is None
                    ):
                        at = following
                        continue
                    (at, end), value = member.span(3), ""
                else:
                    at, end = member.start(2) - 1, member.end(2) + 1
            else:
                key, at = string(written, at)
                at, value = blank(written, blank(written, at) + 1), None
            if of_field:
                here = names.step(path, key)
                how = of_field(key, here)
            else:
                how = meaning(key)
            if how is not None and (how != "keep" or written[at] not in "{["):
                if value is None:
                    end = end_of(written, at)
                self._masked(written, at, end, how, edits)
            elif value is None:
                end = self._value(written, at, here, depth, edits)
            elif not value:
                self._number(written, at, end, edits)
            elif (new := self.nested(value, depth)) != value:
                edits.append(Edit(at, end, quoted(new)))
            if len(key) >= _SECRET and (new := self.plain(key)) != key:
                edits.append(Edit(begins, begins + written[begins:at].rindex('"') + 1, quoted(new)))
            role = key.lower()
            if role in _VALUED:
                valued.append((at, end))
            elif role in _NAMING and written[at] == '"':
                named = self._named(string(written, at)[0]) or named
            at = following if member else next_(written, end)
        if named is not None:
            self._instead(written, [(start, end, named) for start, end in valued], edits)
        return at + 1

    def _list(self, written: str, at: int, path: str, depth: int, edits: list[Edit]) -> int:
        """`["--password", "…"]`, and pairs: `["password", "…"]`, also one after the other."""
        number, flat = 0, True
        follows: How | None = None  # what the text before says of this one
        flagged = False
        options, paired = list[tuple[int, int, How]](), list[tuple[int, int, How]]()
        while written[at] != "]":
            first = written[at]
            if follows is None and first not in '"{[' and not _LONG.match(written, at):
                passed, at = numbers(written, at)
                number += passed
                continue
            flat &= first not in "{["
            end = self._value(written, at, path, depth, edits)
            if follows is not None:
                (options if flagged else paired).append((at, end, follows))
            follows = None
            if first == '"' and end - at <= _NAME:
                value = string(written, at)[0]
                flagged = _FLAG.match(value) is not None
                if flagged or number % 2 == 0:
                    follows = self._named(value)
            number += 1
            at = next_(written, end)
        if number == 2 or (flat and number % 2 == 0):
            options += paired
        self._instead(written, options, edits)
        return at + 1

    def _instead(self, written: str, parts: list[tuple[int, int, How]], edits: list[Edit]) -> None:
        """Masks these parts whole, instead of what of them is masked already."""
        edits[:] = outside(edits, sorted((start, end) for start, end, _ in parts))
        for start, end, how in parts:
            self._masked(written, start, end, how, edits)

    def _number(self, written: str, at: int, end: int, edits: list[Edit]) -> None:
        """A number may be one of a card."""
        if end - at >= _SECRET and (new := self.plain(written[at:end])) != written[at:end]:
            edits.append(Edit(at, end, quoted(new)))

    def _named(self, name: str) -> How | None:
        if len(name) > _NAME or not _NO_NAME.isdisjoint(name):
            return None
        return self.names.meaning(name)

    def _masked(self, written: str, at: int, end: int, how: How, edits: list[Edit]) -> None:
        if how == "keep":
            return
        value = msgspec.json.decode(written[at:end])
        as_written = written[at:end] if written[at] not in '"{[' else ""
        new = self.leaf(how, value, as_written)
        if new != value:
            edits.append(Edit(at, end, quoted(new)))

    def nested(self, value: str, depth: int = 0) -> str:
        """A text value: JSON or base64 JSON in it is read, else names are looked for."""
        if depth <= DEPTH and value[0] in NESTED:
            coded = value[0] in "eW"
            inner = bodies.embedded(value) if coded else bodies.json(value)
            if isinstance(inner, dict | list):
                if not coded:
                    return self._json(value, depth + 1)
                opened = (bodies.unbase64(value) or b"").decode()
                new = self._json(opened, depth + 1)
                return value if new == opened else _as_base64(new, value)
        return self.plain(value)

    def plain(self, value: str) -> str:
        data = value.encode()
        if not self.names.maybe(data):
            return value
        new = self.names.replace(data, self.text_secret)
        return value if new == data else text(new)

    def form(self, data: bytes) -> bytes:
        """Fields whose value changed are written anew, the others stay as they came."""
        fields = data.decode().split("&")
        for i, field in enumerate(fields):
            name, equals, value = field.partition("=")
            plain = unquote_plus(value)
            how = self.names.body.meaning(unquote_plus(name))
            if equals and plain and how != "keep":
                new = self.secret(how, plain) if how else self.nested(plain)
                if new != plain:
                    fields[i] = f"{name}={quote_plus(new, safe='*')}"
        masked = "&".join(fields).encode()
        # A form in name only, such as cut JSON with a `=` in it.
        if _NO_FORM.search(masked) and self.names.maybe(masked):
            return self.names.replace(masked, self.text_secret)
        return masked

    def foreign(self, node: Any, depth: int) -> Any:
        """A document of which nobody knows which part of a message it stands for: pairs may be
        those of a query or headers."""
        if isinstance(node, str):
            return self.nested(node, depth) if node else node
        if depth > DEPTH:
            return MASK if isinstance(node, dict | list) else node
        if isinstance(node, dict):
            return {n: self._beside(n, v, depth) for n, v in node.items()}
        if not isinstance(node, list):
            return node
        if len(node) == 2 and isinstance(node[0], str):
            return [node[0], self._beside(node[0], node[1], depth)]
        return [self.foreign(n, depth + 1) for n in node]

    def _beside(self, name: str, value: Any, depth: int) -> Any:
        how = self.names.meaning(name)
        return self.foreign(value, depth + 1) if how is None else self.leaf(how, value)


def _as_base64(new: str, old: str) -> str:
    """In the same alphabet, and with the end, that the old text had."""
    coded = base64.b64encode(new.encode()).decode()
    if "-" in old or "_" in old:
        coded = coded.replace("+", "-").replace("/", "_")
    return coded.rstrip("=") if len(old) % 4 and not old.endswith("=") else coded
