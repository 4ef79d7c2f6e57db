"""Finds where else a sensitive value stands, in the forms in which clients and servers repeat it.

Called by the masking with the values that it found under sensitive names. A value of a form that is
not listed here (compressed, encrypted, spelled in another alphabet) is not found.
"""

import base64
import binascii
import html
import re
import string
from collections.abc import Sequence
from functools import lru_cache
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, unquote_plus

from app.contract.masking.patterns import compiled

SHORTEST = 4  # characters of a value that is looked for
_WHOLE = 8  # shorter values are ordinary words too: only whole words are replaced
_NUMBER = 6  # digits of a number that is looked for
_BUDGET = 1 << 27  # needles x characters of one text: some 0.1 s
_MOST = 512  # values of one record that are looked for
_SHORT = 128  # characters of a value of which the forms are remembered
_SMALL = 2048  # characters of a record's values of which the traces are remembered
_OFTEN = 32  # looks for the same values
_TOGETHER = 256  # forms of one search
_TRIVIAL = frozenset({"true", "false", "null", "none", "undefined", "unknown", "nan"})
_ESCAPE = re.compile(r"\\+u00([0-9a-fA-F]{2})")
_UNRESERVED = re.compile("[A-Za-z0-9._~-]+")  # the same in each of these
_LOWER_HEX = re.compile("%[0-9A-F]{2}")
_QUOTES = (('"', "'"), ("&quot;", "&#039;"), ("&quot;", "&#x27;"), ("&#34;", "&#39;"))
_PRINTABLE = string.punctuation + " "
_WORD = "[A-Za-z0-9_]"


class Needle(NamedTuple):
    """One form of a value; `where` says what is replaced, None where it is the form."""

    form: str
    where: re.Pattern[str] | None = None


class Traces:
    """Forms of the values of one record, with what to put in their place. `complete` when the
    record had no more values than are looked for."""

    def __init__(self, needles: Sequence[tuple[Needle, str]], complete: bool = True) -> None:
        self.needles = needles
        self.complete = complete
        self._forms = [needle.form for needle, _ in needles]
        self._looks = 0
        self._finder: Any = None

    def affords(self, text: str) -> bool:
        """True if every value of the record can be looked for in `text` within the budget."""
        return self.complete and len(self.needles) * len(text) <= _BUDGET

    def within(self, text: str) -> "Traces | None":
        """Those that stand in `text`, None when none does."""
        plain = _unfolded(text)
        if not plain and self._none(text):
            return None
        affordable = self._forms[: _BUDGET // (len(text) + 1)]
        there = [i for i, f in enumerate(affordable) if f in text or (plain and f in plain)]
        return Traces([self.needles[i] for i in there], self.complete) if there else None

    def _none(self, text: str) -> bool:
        """True if one search for all forms says that none is there. It takes a third of the time,
        and is made ready when the same values have come often enough to be worth it."""
        self._looks += 1
        if self._looks < _OFTEN or len(self._forms) > _TOGETHER:
            return False
        if self._finder is None:
            self._finder = _finder(tuple(self._forms))
        return self._finder.search(text.encode("utf-8", "surrogatepass")) is None

    def replace(self, text: str) -> str:
        """The text without them. A text that hides one by an unusual percent-encoding or by escapes
        comes back without these, but for control characters and what is not ASCII."""
        text = self._replace(text)
        if plain := _unfolded(text):
            masked = self._replace(plain)
            if masked != plain:
                return quote(masked, safe=_PRINTABLE)
        return text

    def cut(self, text: str) -> str:
        """The text without the beginning of a value at its end, where it was cut."""
        for needle, _ in self.needles[: _BUDGET // (len(text) + 1)]:
            form = needle.form
            at = max(0, len(text) - len(form) + 1)
            while (at := text.find(form[:SHORTEST], at)) >= 0:
                if form.startswith(text[at:]):
                    return text[:at]
                at += 1
        return text

    def clean(self, text: str) -> str:
        """The text without them, and without the beginning of one where a mark says that it was
        cut."""
        text = self.replace(text)
        return self.cut(text[:-1]) + "…" if text.endswith("…") else text

    def _replace(self, text: str) -> str:
        for needle, by in self.needles:
            if needle.form in text:
                if needle.where is None:
                    text = text.replace(needle.form, by)
                else:
                    text = needle.where.sub(by, text)
        return text


def traces(found: dict[str, str]) -> Traces:
    """The traces of these values, each with what stands in its place. Remembers the last small
    ones: an instance of a product sends the same values each time."""
    items = tuple(found.items())
    return _small(items) if sum(map(len, found)) <= _SMALL else _traces(items)


def _traces(found: tuple[tuple[str, str], ...]) -> Traces:
    needles = [(needle, by) for value, by in found[:_MOST] for needle in _needles(value)]
    needles.sort(key=lambda n: len(n[0].form), reverse=True)
    return Traces(needles, len(found) <= _MOST)


_small = lru_cache(maxsize=256)(_traces)


@lru_cache(maxsize=8)  # each may take some 100 KB
def _finder(forms: tuple[str, ...]) -> Any:
    raw = (form.encode("utf-8", "surrogatepass") for form in forms)
    return compiled(b"|".join(b"".join(b"\\x%02x" % c for c in form) for form in raw))


def chased(value: str) -> bool:
    """True if a value is particular enough to be looked for elsewhere."""
    return (
        len(value) >= SHORTEST
        and value.lower() not in _TRIVIAL
        and not (len(value) < _NUMBER and value.replace(".", "").isdigit())
    )


def contained(value: str) -> list[str]:
    """Values inside a credential: the token behind its scheme, each cookie's value, the password of
    a Basic credential."""
    parts = []
    for piece in re.split(r"[\s;,]+", value):
        _, _, after = piece.partition("=")
        parts += [p for p in (piece, after.strip('"')) if len(p) >= _WHOLE]
    for part in list(parts):
        if plain := _unwrapped(part):
            parts += [p for p in (plain, plain.partition(":")[2]) if len(p) >= SHORTEST]
    return parts


def loose(value: str) -> tuple[str, ...]:
    """A value found in text, of which the end may be punctuation, and the password in userinfo."""
    return value, value.rstrip(").,;:]}'"), value.partition(":")[2]


def _unwrapped(value: str) -> str:
    """The readable text that a value is the base64 form of, "" where it is not."""
    text = value.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return plain if len(plain) >= _WHOLE and plain.isprintable() else ""


def _unfolded(text: str) -> str:
    """The text without percent-encoding and without JSON's numeric escapes, "" when it has none."""
    plain = unquote_plus(text) if "%" in text else text
    if "\\u00" in plain:
        plain = _ESCAPE.sub(lambda m: chr(int(m[1], 16)), plain)
    return "" if plain is text else plain


def _needles(value: str) -> tuple[Needle, ...]:
    """Remembered for short values: where one of a record is new, others are often the same."""
    return _short_needles(value) if len(value) <= _SHORT else _new_needles(value)


def _new_needles(value: str) -> tuple[Needle, ...]:
    whole, value = value, value.removesuffix("…")
    data = value.encode("utf-8", "surrogatepass")
    written = _written(value, data)
    plain = {value} | written
    coded = {data.hex(), data.hex().upper()}
    # Inside more base64 the value starts at one of three offsets; also after one more encoding.
    for form in {
        data,
        base64.b64encode(data),
        *(w.encode("utf-8", "surrogatepass") for w in written),
    }:
        coded |= _aligned(form)
    coded = {f for f in coded if len(f) >= SHORTEST}
    if whole != value:  # it was cut: elsewhere it may be longer, and all that follows is taken
        return tuple(Needle(f, re.compile(f"(?s:{re.escape(f)}.*)")) for f in plain | coded)
    if len(value) >= _WHOLE:
        return tuple(map(Needle, plain | coded))
    words = ((f, f"(?<!{_WORD}){re.escape(f)}(?!{_WORD})") for f in plain)
    return (*(Needle(f, re.compile(word)) for f, word in words), *map(Needle, coded))


_short_needles = lru_cache(maxsize=512)(_new_needles)


def _written(value: str, data: bytes) -> set[str]:
    """The forms of a value in URLs, JSON and HTML."""
    if _UNRESERVED.fullmatch(value):
        return {value}
    url = {
        quote(data, safe=""),
        quote(data),
        quote_plus(data),
        quote(data, safe="!'()*~"),  # as encodeURIComponent leaves them
    }
    url |= {_LOWER_HEX.sub(lambda m: m.group().lower(), u) for u in url}
    as_json = encode_basestring(value)[1:-1]
    escaped = {
        as_json,
        encode_basestring_ascii(value)[1:-1],
        encode_basestring(as_json)[1:-1],  # JSON in a text of JSON
        as_json.replace("/", "\\/"),
        as_json.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"),
    }
    marked = html.escape(value, quote=False)
    for double, single in _QUOTES:  # as PHP, Python, Go and jinja write them in HTML
        escaped.add(marked.replace('"', double).replace("'", single))
    return url | escaped


def _aligned(data: bytes) -> set[str]:
    """The characters of base64 text that depend on `data` alone, for each offset."""
    forms = set()
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + data).decode().rstrip("=")
        partial = (offset + len(data)) % 3 != 0
        core = text[(0, 2, 3)[offset] : len(text) - partial]
        forms |= {core, core.replace("+", "-").replace("/", "_")}
    return forms
