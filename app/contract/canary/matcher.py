"""Finds the values of a spec in one text: as literals and as digests, whole or cut short.

A digest counts from 48 bits on, or 32 where a whole word is the beginning of a direct one's hex:
among 100,000 digests chance makes one of 10^9 words look like it.
"""

import base64
import re
from array import array
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from app.contract.canary import literals
from app.contract.canary.digests import HASHES, Derived, derived, with_kept
from app.contract.canary.kept import KeptWord
from app.contract.canary.literals import Text
from app.contract.canary.spec import Canary, Spec
from app.contract.masking.patterns import either_of

_KEY = 12  # hex digits by which a digest is looked up: 48 bits
_SURE = 16  # hex digits that count though others follow
_SHORT = 8  # hex digits of a whole word that count

_NO_WORD = bytes(c for c in range(256) if not (c < 128 and chr(c).isalnum()))
_HEX = re.compile(rb"[0-9a-fA-F]{8,}")
_DASH = re.compile(rb"(?<=[0-9a-fA-F])[-:](?=[0-9a-fA-F])")
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WORD = re.compile(rb"[0-9A-Za-z]{10,160}")
_ADDRESS = re.compile(rb"(?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w.])")
_DIGITS = 13  # of a number that counts
_BASE64 = re.compile(rb"[0-9A-Za-z+/]{8,}")
_BASE64_URL = re.compile(rb"[0-9A-Za-z_-]{8,}")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f\x80-\xff]")
_ALNUM = re.compile(rb"[0-9A-Za-z]")
_BASE32, _AS_UUID = "in base32", ", as a UUID"
_VERSION = (12, 16)  # hex digits of a UUID that are not a digest's


class Hit(NamedTuple):
    source: str
    how: str


class Matcher:
    """Made once for a run; `texts` looks for all values at once. `forms` counts what is known."""

    def __init__(self, spec: Spec) -> None:
        self._rows: list[tuple[literals.Literal, Hit]] = []
        for canary in spec.canaries:
            rows = [row for value in canary.literals for row in literals.of(value)]
            for value in canary.values if canary.core else canary.literals:
                rows += literals.of_whole(value)
            self._rows += [(row, Hit(canary.source, row.how)) for row in dict.fromkeys(rows)]
        self._sets = {
            text: either_of([*map(_escaped, needles)], needles[0])
            for text in Text
            if (needles := self._needles(text))
        }
        self._addresses = {
            value.encode(): Hit(canary.source, literals.AS_IT_IS)
            for canary in spec.canaries
            for value in canary.values
            if _ADDRESS.fullmatch(value.encode())
        }
        self._ids: dict[bytes, Hit] = {}
        self._known: list[Hit] = []
        self._digests: list[str] = []
        self._keys: dict[bytes, int] = {}  # 48 bits of a digest: its number, and where they stand
        self._at = array("B")
        self._digest_of = array("L")
        self._short: dict[bytes, int] = {}
        self._words: dict[bytes, Hit] = {}
        for one in derived(spec):
            self._add(one)
        self.forms = len(self._rows) + len(self._digests)

    def learn(self, kept: KeptWord, canaries: Sequence[Canary]) -> None:
        """Looks for this word of a file, too, and for digests that it is the salt of."""
        if kept.is_id:
            self._ids[kept.word.lower()] = Hit(
                f"id that it keeps in {kept.place}", literals.AS_IT_IS
            )
        for one in with_kept(canaries, kept.word, kept.place):
            self._add(one)

    def _needles(self, text: Text) -> list[bytes]:
        return [row.needle for row, _ in self._rows if row.text is text]

    def _add(self, one: Derived) -> None:
        number, written = len(self._digests), one.digest.hex()
        self._known.append(Hit(one.source, one.how))
        self._digests.append(written)
        last = len(written) - _KEY
        for at in range(0, last + 1, 2) if one.direct else (0,):
            key = written[at : at + _KEY].encode()
            if key not in self._keys:
                self._keys[key] = len(self._at)
                self._at.append(at)
                self._digest_of.append(number)
        if one.direct:
            self._short.setdefault(written[:_SHORT].encode(), number)
            for word, said in _words(one.digest) if one.how in HASHES else ():
                if len(word) >= _DIGITS or said == _BASE32:
                    self._words.setdefault(word, Hit(one.source, f"{one.how}, {said}"))

    def find(self, view: bytes) -> Iterator[Hit]:
        """Yields what stands in one view of a value; the same more than once where it stands so."""
        yield from self._literals(view)
        yield from self._hex(view)
        yield from self._in_words(view)
        if _BINARY.search(view):
            yield from self._windows(view.hex().encode(), 2, "bytes")

    def _literals(self, view: bytes) -> Iterator[Hit]:
        low = view.lower()
        texts = {Text.EXACT: view, Text.LOWER: low, Text.SQUEEZED: low.translate(None, _NO_WORD)}
        for word, hit in self._ids.items():
            if word in low:
                yield hit
        plain = set[str]()
        for text in (Text.LOWER, Text.SQUEEZED, Text.EXACT):
            if text not in self._sets or not self._sets[text].Match(texts[text]):
                continue
            for row, hit in self._rows:
                if row.text is text and row.needle in texts[text]:
                    # What stands as it is stands so without its punctuation, too.
                    if text is Text.SQUEEZED and hit.source in plain and row.needle in low:
                        continue
                    if row.how == literals.AS_IT_IS:
                        plain.add(hit.source)
                    elif row.how == literals.PUNCTUATION and hit.source in plain:
                        continue
                    yield hit

    def _hex(self, view: bytes) -> Iterator[Hit]:
        uuids = list(_UUID.finditer(view)) if b"-" in view else []
        for match in uuids:
            written = match.group().replace(b"-", b"").lower()
            if (place := self._keys.get(written[:_KEY])) is not None and not self._at[place]:
                digest = self._digests[self._digest_of[place]]
                if _is_uuid(digest, written):
                    hit = self._known[self._digest_of[place]]
                    whole = digest == written.decode()
                    said = "" if whole or "UUID" in hit.how else _AS_UUID
                    yield Hit(hit.source, hit.how + said)
        view = _UUID.sub(b" ", view) if uuids else view
        joined = _DASH.sub(b"", view) if b"-" in view or b":" in view else view
        for text in dict.fromkeys((view, joined)):
            for match in _HEX.finditer(text):
                run, (start, end) = match.group().lower(), match.span()
                if len(run) < _KEY:
                    if not _ALNUM.match(text, end) and not _ALNUM.match(text[start - 1 : start]):
                        yield from self._begun(run)
                else:
                    yield from self._windows(run, 1, "hex")

    def _begun(self, run: bytes) -> Iterator[Hit]:
        number = self._short.get(run[:_SHORT])
        if number is not None and self._digests[number].startswith(run.decode()):
            hit = self._known[number]
            yield Hit(hit.source, f"{hit.how}, first {len(run)} hex digits")

    def _windows(self, run: bytes, step: int, unit: str) -> Iterator[Hit]:
        keys, at, last = self._keys, 0, len(run) - _KEY
        while at <= last:
            place = keys.get(run[at : at + _KEY])
            if place is None:
                at += step
                continue
            begin, number = self._at[place], self._digest_of[place]
            size = _common(run[at:], self._digests[number][begin:])
            whole = at + size == len(run) or begin + size == len(self._digests[number])
            hit = self._known[number]
            if not whole and not begin and _is_uuid(self._digests[number], run):
                yield Hit(hit.source, hit.how + _AS_UUID * ("UUID" not in hit.how))
                return
            if size >= _SURE or whole:
                yield Hit(hit.source, hit.how + self._part(number, begin, size, unit))
            at += max(step, size - size % step)

    def _part(self, number: int, begin: int, size: int, unit: str) -> str:
        total = len(self._digests[number])
        if size == total:
            return ""
        per, name = (2, "bytes") if unit == "bytes" else (1, "hex digits")
        if not begin:
            return f", first {size // per} {name}"
        if begin + size == total:
            return f", last {size // per} {name}"
        return f", {name} {begin // per + 1} to {(begin + size) // per}"

    def _in_words(self, view: bytes) -> Iterator[Hit]:
        for match in _ADDRESS.finditer(view) if self._addresses else ():
            if (found := self._addresses.get(match.group())) is not None:
                yield found
        for match in _WORD.finditer(view):
            word = match.group()
            found = self._words.get(word) or self._words.get(word.lower()[:10])
            if found is not None:
                yield found
        for pattern in (_BASE64, _BASE64_URL):
            for match in pattern.finditer(view):
                yield from self._base64(match.group().translate(_TO_STANDARD))

    def _base64(self, word: bytes) -> Iterator[Hit]:
        place = self._keys.get(base64.b64decode(word[:8]).hex().encode())
        if place is None or self._at[place]:
            return
        number = self._digest_of[place]
        coded = base64.b64encode(bytes.fromhex(self._digests[number])).rstrip(b"=")
        size = _common(word, coded)
        if size == len(coded):
            yield Hit(self._known[number].source, f"{self._known[number].how}, in base64")
        elif size == len(word) or size > _KEY:
            said = f"{self._known[number].how}, in base64, first {size} characters"
            yield Hit(self._known[number].source, said)


def _words(digest: bytes) -> Iterator[tuple[bytes, str]]:
    yield base64.b32encode(digest)[:10].lower(), _BASE32
    for part, of in ((digest[:8], "its first 8 bytes"), (digest[-8:], "its last 8 bytes"),
                     (digest[:16], "its first 16 bytes"), (digest, "it")):  # fmt: skip
        for order in ("big", "little"):
            number = int.from_bytes(part, order)
            yield str(number).encode(), f"{of} as a number"
            if len(part) == 8:
                signed = int.from_bytes(part, order, signed=True)
                yield str(abs(signed)).encode(), f"{of} as a number"
                yield str(number >> 11).encode(), f"53 bits of {of} as a number"
                yield str(number & (1 << 53) - 1).encode(), f"53 bits of {of} as a number"
                yield str(number & (1 << 63) - 1).encode(), f"63 bits of {of} as a number"
    if len(digest) <= 32:
        for word, base in literals.numbers(digest):
            yield word.encode(), f"in {base}"


def _escaped(needle: bytes) -> bytes:
    return b"".join(b"\\x%02x" % byte for byte in needle)


def _common(one: bytes, other: str | bytes) -> int:
    """The length of what both begin with."""
    right = other.encode() if isinstance(other, str) else other
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, right, strict=False)))


def _is_uuid(digest: str, written: bytes) -> bool:
    """True if these 32 hex digits are the digest's first ones, but for a UUID's version."""
    return len(written) == 32 <= len(digest) and all(
        one == other or at in _VERSION
        for at, (one, other) in enumerate(zip(digest, written.decode(), strict=False))
    )


_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
