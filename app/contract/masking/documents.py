"""The masking of documents: JSON, and JSON and base64 JSON in strings.

Used by the masking of one record. Only what is masked changes: every other byte of a document stays
as it came.
"""

import re
from typing import Any

from app.contract import body as bodies
from app.contract.masking.bounds import DEPTH
from app.contract.masking.fields import MASK
from app.contract.masking.forms import Forms
from app.contract.masking.naming import NAMING, VALUED
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
from app.contract.masking.spelling import How, called, caller
from app.contract.masking.sweep import hides
from app.contract.masking.values import Unreadable, raw, readable

_NAME = 64  # characters of a text that may be a name
_CUT = called("mask", "what was cut")
_OF_JWK = called("mask", "private key")
_JWK = frozenset(("d", "k", "p", "q", "dp", "dq", "qi"))  # private, beside "kty"
_PATCHES = frozenset(("add", "replace", "test"))  # operations of JSON Patch that have a value
_LONE = ("value", "val", "stringvalue")  # names that hardly stand but beside a name
_PAIRED = 256  # characters of a value that stands beside its name
_FLAG = re.compile(r"--?[A-Za-z][\w.-]*\Z")
_SECRET = 13  # characters of a number, or of a field's name, that may be a secret
_LONG = re.compile(f"[^,\\]]{{{_SECRET}}}")
_NO_NAME = frozenset("=*?&%,;()<>{}\n")
# The tokens of JSON, and of what careless senders write instead: NaN, Infinity, undefined.
_TOKENS = re.compile(
    r'(?:[\s\[\]{},:]++|"(?:[^"\\]++|\\.)*+"|-?(?:[0-9][0-9.eE+-]*+|NaN|Infinity)'
    r"|true|false|null|undefined)*+",
    re.DOTALL,
)
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{},:]', re.DOTALL)
_BEGUN = re.compile(r"-?[A-Za-z]{0,8}")  # a literal that was cut
_ESCAPE = re.compile(r"\\(?:u[0-9A-Fa-f]{0,3})?\Z")
_SCALAR = re.compile(r'("(?:[^"\\]++|\\.)*+")|([^\s\[\]{},:"]++)', re.DOTALL)
_SEAM = " \t \n \t "  # between cut JSON and what completes it


class Documents(Forms):
    """Of one record."""

    cut_at = -1  # where a string begins that was cut
    seam = -1  # where what was cut is completed

    def json(self, data: bytes, depth: int = 0) -> bytes:
        """Documents of JSON; the same bytes when there was nothing to mask."""
        if not self.names.maybe(data) and not hides(data):
            return data
        return self.unicode(data, depth)

    def unicode(self, data: bytes, depth: int = 0) -> bytes:
        """Documents of JSON in any encoding of Unicode."""
        from app.contract.decoding import charset

        if data.isascii() and b"\0" not in data:
            return raw(self.documents(data.decode("ascii"), depth))
        undone = charset.undo(data, 4 * len(data))
        written = readable(undone or data, odd=True)  # record separators
        if written is None:
            raise Unreadable("unmaskable")
        new = raw(self.documents(written, depth))
        return charset.redo(new, data) if undone else new

    def documents(self, written: str, depth: int) -> str:
        """Text of which JSON's reader says that it is documents. Raises Unreadable where they
        cannot be written anew."""
        try:
            return self._json(written, depth)
        except (ValueError, IndexError, RecursionError):
            raise Unreadable("unmaskable") from None

    def document(self, value: str, depth: int, cut: bool = False) -> str | None:
        """JSON as its senders write it: with a byte order mark, NaN, commas before an end, cut, or
        several documents in a row. None for other text."""
        begun = value.lstrip("\ufeff \t\r\n")
        if begun[:1] not in ("{", "[", '"'):
            return None
        ahead = value[: len(value) - len(begun)]
        try:
            if isinstance(bodies.json(begun), dict | list | str):
                return ahead + self._json(begun, depth)
            tokens = _TOKENS.match(begun)
            end = tokens.end() if tokens else 0
            if end == len(begun) and not cut:
                return ahead + self._json(begun, depth)
            return ahead + self._cut_json(begun, end, depth) if cut else None
        except (ValueError, IndexError, RecursionError):
            return None

    def _cut_json(self, written: str, end: int, depth: int) -> str:
        """JSON of which only the beginning is here; its tokens end at `end`. Raises ValueError for
        other text."""
        rest, whole = written[end:], written[:end]
        closed, ends = "", list[str]()
        if rest[:1] == '"':
            whole, closed = _ESCAPE.sub("", written) if _odd(rest) else written, '"'
        elif not _BEGUN.fullmatch(rest):
            raise ValueError("no JSON")
        before = ""  # the last token that is no string
        last = ""
        for token in _STRUCTURE.finditer(whole, 0, end):
            last = token.group()
            if last in "{[":
                ends.append("}" if last == "{" else "]")
            elif last in "}]" and ends:
                ends.pop()
            before = last if last[0] != '"' else before
        if ends[-1:] == ["}"]:
            if closed or (last[:1] == '"' and last[-1:] == '"'):
                closed += ":null" if before in "{," else ""
            elif last == ":" and not whole[end - 1 : end].isalnum():
                closed += "null"
        was = self.cut_at, self.seam
        self.cut_at, self.seam = end if rest[:1] == '"' else -1, len(whole + closed)
        try:
            masked = self._json(whole + closed + _SEAM + "".join(reversed(ends)), depth)
        finally:
            self.cut_at, self.seam = was
        kept, seam, _ = masked.rpartition(_SEAM)
        if not seam:  # it went with the value that was cut
            return masked.rstrip("]}")
        return kept.removesuffix(closed) + ("" if rest[:1] == '"' else rest)

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
            if value and (new := self.nested(value, depth, at == self.cut_at)) != value:
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

    def _object(
        self, written: str, at: int, path: str, depth: int, edits: list[Edit],
        texts: How | None = None,
    ) -> int:  # fmt: skip
        """`texts`: what the object's own name says of each text in it (`"secrets": {…}`)."""
        names = self.names
        of_field = names.of_field if names.paths else None
        meaning = names.body.meaning
        named: How | None = None
        naming = is_jwk = is_patch = False
        pointed: How | None = None  # what the place says that a JSON Patch changes
        jwk: list[tuple[int, int, How]] = []
        valued: list[tuple[int, int]] = []
        lone: list[tuple[int, int]] = []
        while written[at] != "}":
            here, begins = path, at
            if member := plain_member(written, at):  # most are: in a third of the time
                key, value, number = member.groups()
                following = member.end()
                if number is not None:
                    if (
                        len(number) < _SECRET > len(key)
                        and not of_field
                        and key.lower() not in VALUED
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
            if how is None and written[at] == '"':
                how = texts
            within: How | None = None
            if how is None and written[at] in "[{" and key[-1:] in "sS":  # passwords, api_keys
                within = meaning(key[:-1])
                if caller(within or "keep") == "token":  # words of a model
                    within = None
                if written[at] == "[":
                    how, within = within, None
            if how is not None and (how != "keep" or written[at] not in "{["):
                if value is None:
                    end = end_of(written, at)
                self._masked(written, at, end, how, edits)
            elif value is None and within and depth <= DEPTH:
                end = self._object(
                    written, blank(written, at + 1), here, depth + 1, edits, within
                )  # fmt: skip
            elif value is None:
                end = self._value(written, at, here, depth, edits)
            elif not value:
                self._number(written, at, end, edits)
            elif (new := self.nested(value, depth, at == self.cut_at)) != value:
                edits.append(Edit(at, end, quoted(new)))
            if len(key) >= _SECRET and (new := self.plain(key)) != key:
                edits.append(Edit(begins, begins + written[begins:at].rindex('"') + 1, quoted(new)))
            role = key.lower()
            if role in _JWK:
                jwk.append((at, end, _OF_JWK))
            is_jwk |= role == "kty"
            if role == "op" and written[at] == '"':
                is_patch = string(written, at)[0] in _PATCHES
            elif role == "path" and written[at] == '"':
                pointed = self._named(string(written, at)[0])
            if role in VALUED:
                valued.append((at, end))
                lone += valued[-1:] if role in _LONE and self.names.known else ()
            elif role in NAMING and written[at] == '"':
                naming |= at != self.cut_at
                named = self._named(string(written, at)[0]) or named
            at = following if member else next_(written, end)
        if lone and named is None and not naming and 0 <= self.seam <= at:
            named = _CUT  # the name that says what the value is may have been cut
            valued = [v for v in lone if v[1] - v[0] <= _PAIRED and written[v[0]] not in "{["]
        if is_jwk:
            self._instead(written, jwk, edits)
        named = named or (pointed if is_patch else None)
        if named is not None:
            self._instead(written, [(start, end, named) for start, end in valued], edits)
        return at + 1

    def _list(self, written: str, at: int, path: str, depth: int, edits: list[Edit]) -> int:
        """`["--password", "…"]`, and pairs: `["password", "…"]`, also one after the other."""
        number, flat = 0, True
        words, options_seen = list[str](), False
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
                options_seen |= flagged
                words.append(value)
                if flagged or number % 2 == 0:
                    follows = self._named(value)
            number += 1
            at = next_(written, end)
        if number == 2 or (flat and number % 2 == 0):
            options += paired
        self._instead(written, options, edits)
        if options_seen and flat:
            self.plain(" ".join(words))  # of a command line: what it gives goes everywhere
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
        value = _loaded(written[at:end])
        as_written = written[at:end] if written[at] not in '"{[' else ""
        new = self.leaf(how, value, as_written)
        if new != value:
            edits.append(Edit(at, end, quoted(new)))

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


def _odd(written: str) -> bool:
    """True if the text ends within an escape."""
    tail = written[-8:]
    at = tail.rfind("\\")
    ahead = written[: len(written) - len(tail) + at] if at >= 0 else ""
    return (
        at >= 0 and (len(ahead) - len(ahead.rstrip("\\"))) % 2 == 0 and bool(_ESCAPE.search(tail))
    )


def _loaded(written: str) -> Any:
    """A value of JSON; of what only careless senders write, all strings and numbers in it."""
    value = bodies.json(written)
    if value is not bodies.NOT_JSON:
        return value
    found = [token[0] or token[1] for token in _SCALAR.findall(written)]
    return (
        [string(f, 0)[0] if f[:1] == '"' else f for f in found] if written[:1] in "{[" else written
    )
