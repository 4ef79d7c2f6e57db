"""Which names are sensitive in a record, and how values that stand under them are found in text.

Called by the masking with the `sensitive` list of a profile. The names every product has are masked
without a profile; a profile adds names, or lifts one with `keep`.
"""

import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote_to_bytes

import re2

from app.contract.record import text
from app.contract.rules import Sensitive

How = Literal["drop", "mask", "token", "keep"]
Replace = Callable[[How, str], str]

MASK = "***"
_TOKEN = "tok_"  # noqa: S105 - begins one
TOKEN = re.compile(_TOKEN + "[0-9a-f]{24}")

_HEADERS = (
    "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token",
)  # fmt: skip
_KEYS = (
    "password", "passwd", "secret", "client_secret", "api_key", "access_token", "refresh_token",
    "authorization",
)  # fmt: skip
# How the same name is spelled by others: client-secret, clientSecret (names compare in lower case).
_SPELLED = {k.replace("_", by) for k in _KEYS for by in ("_", "-", "")}

_SCHEMES = rb"(?:bearer|basic|digest|negotiate|token)"


class Places(NamedTuple):
    """At which of some names a sensitive value stands, and all of them, a line each."""

    at: tuple[int, ...]
    names: str


class SensitiveNames:
    """The sensitive names of one profile, by the part of a message they stand in; lower case.

    `paths` are dotted paths of JSON fields, or ends of them, without the steps through lists.
    """

    def __init__(self, sensitive: Iterable[Sensitive] = ()) -> None:
        self.header: dict[str, How] = dict.fromkeys([*_HEADERS, *_SPELLED], "mask")
        self.query: dict[str, How] = dict.fromkeys(_SPELLED, "mask")
        self.body: dict[str, How] = dict.fromkeys(_SPELLED, "mask")
        self.path: dict[str, How] = {}
        self.paths: dict[str, How] = {}
        self.reads_bodies = False  # a body that cannot be read may hide what the profile names
        # Bodies in which nothing is, with their types: a mock gives the same answer each time.
        self.clean: set[tuple[object, ...]] = set()
        self._places: dict[tuple[str, str], Places] = {}
        for field in sensitive:
            self._add(field)

    def _add(self, field: Sensitive) -> None:
        name = field.name.lower()
        if field.where in ("body", "any"):
            self.reads_bodies |= field.how != "keep"
            steps = [s for s in name.split(".") if s != "*" and not s.isdigit()]
            if len(steps) > 1:
                self.paths[".".join(steps)] = field.how
        parts = ("query", "header", "body") if field.where == "any" else (field.where,)
        for part in parts:
            table: dict[str, How] = getattr(self, part)
            if field.how == "keep":
                table.pop(name, None)
            else:
                table[name] = field.how

    def places(self, part: Literal["query", "header"], names: Sequence[str]) -> "Places":
        """Where among these names something sensitive stands. Remembered: a product sends the same
        ones each time."""
        joined = "\n".join(names)
        # Where no name has two lines, no other names are the same text.
        alone = joined.count("\n") < len(names)
        found = self._places.get((part, joined)) if alone else None
        if found is None:
            table: dict[str, How] = getattr(self, part)
            at = tuple(i for i, name in enumerate(names) if name.lower() in table)
            found = Places(at, joined)
            if alone and len(joined) <= SMALL:
                if len(self._places) >= _REMEMBERED:
                    self._places.clear()
                self._places[part, joined] = found
        return found

    def remember(self, clean: tuple[object, ...]) -> None:
        if len(self.clean) >= _REMEMBERED:
            self.clean.clear()
        self.clean.add(clean)

    def meaning(self, name: str) -> How | None:
        """How a value is kept that stands under the name somewhere, nobody knows in which part."""
        return self._text.get(name.lower())

    def of_field(self, name: str, path: str) -> How | None:
        """How the JSON field `name` is kept, the last step of `path`; None when as it came."""
        for end, how in self.paths.items():
            if path == end or path.endswith("." + end):
                return None if how == "keep" else how
        return self.body.get(name)

    @cached_property
    def _text(self) -> dict[str, How]:
        """What a name means in text of which the part is not known; of two, the stricter."""
        found: dict[str, How] = {}
        leaves = {p.rpartition(".")[2]: how for p, how in self.paths.items()}
        for table in (self.body, self.query, self.header, self.path, leaves):
            for name, how in table.items():
                if how != "keep":
                    found[name] = how if found.get(name, how) == how else "mask"
        return found

    @cached_property
    def _alternatives(self) -> bytes:
        # Longest first, so that `set-cookie` is not read as `cookie`.
        names = sorted((n for n in self._text if n), key=len, reverse=True)
        return b"|".join(_escape(n) for n in names)

    @cached_property
    def _maybe(self) -> Any:
        return compiled(
            rb"(?i)(?:" + self._alternatives + rb")(?:[^a-z0-9_-]|$)"
            rb"|(?:://|%3a%2f%2f)[^\s/]*(?:@|%40)|(?:bearer|basic)(?:\s|%20|\+)"
        )

    def maybe(self, data: bytes) -> bool:
        """Whether `replace` could find something: one pass, without false negatives."""
        return self._maybe.search(data) is not None

    @cached_property
    def _fields(self) -> Any:
        return compiled(_PATTERN.replace(b"NAMES", self._alternatives))

    def replace(self, data: bytes, replace: Replace) -> bytes:
        """Text with `name=value`, `name: value`, `"name": "value` (also unterminated), the same
        percent-encoded or escaped once more, multipart fields, XML elements, credentials of the
        usual schemes and userinfo in URLs, each value replaced by `replace(how, value)`.

        Tolerant on purpose: where a value's end is in doubt, too much is taken. After _MOST values
        the rest of the text is taken.
        """

        out: list[bytes] = []
        done = at = 0
        while (match := self._fields.search(data, at)) is not None:
            if len(out) > 2 * _MOST:
                return b"".join([*out, MASK.encode()])
            there = [(g, i) for i, g in enumerate(_GROUPS, 1) if match.group(i) is not None]
            group, number = there[-1]
            name = match.group(there[0][1]) if len(there) == 2 else b""
            how = self._text.get(name.lower().decode(), "keep") if name else "mask"
            raw, start = match.group(number), match.start(number)
            at = start
            if how != "keep" and raw.lower() not in _NOTHING:
                # What ends the value may begin the next name: the search goes on from there.
                at = start + len(raw)
                out += [data[done:start], replace(how, _plain(raw, group)).encode()]
                done = at
            at += match.start() == at == match.end()
        return b"".join([*out, data[done:]])


SMALL = 2048  # characters of what is remembered
_REMEMBERED = 64  # lists of names, and bodies
_MOST = 8192  # values of one text, each some 15 µs
_NOTHING = (b"", b"null", b"none", b"undefined", b"nil", MASK.encode())
# One pass over Latin-1 bytes. Each match has the value's group last, the name's before it.
_BARE = rb"(?:" + _SCHEMES + rb"(?:\s|%20|\+)+)?" + rb'(?:[^\s&"<>]|"[^\s&"<>,}\])])*'
_PATTERN = (
    rb"(?is)"
    # Header lines: to the end of the line.
    rb"(?:^|[^a-z0-9_-])(?P<hn>authorization|proxy-authorization|set-cookie|cookie)\s*:[ \t]*"
    rb"(?P<hv>[^\s\"'\[{][^\r\n]*)"
    # name = value, "name": "value", 'name': 'value', \"name\": \"value\", name%3Dvalue
    rb"|(?:^|[^a-z0-9_-]|%[0-9a-f]{2}|\\u[0-9a-f]{4})(?P<n>NAMES)"
    rb"(?:[\"']\s*:\s*(?P<num>-?[0-9][0-9.e+-]*|true|false|null)(?:[,}\]\s]|$)"
    rb"|(?:%22|\\*[\"'])?\s*(?:=>|[:=]|%3d|%3a|%253d|\\u003d)\s*"
    rb"(?:\\+\"(?P<esc>(?:[^\"\\]|\\\\+.)*)"
    rb"|\"(?P<dq>(?:[^\"\\]|\\.)*)"
    rb"|'(?P<sq>(?:[^'\\]|\\.)*)"
    rb"|(?P<all>[\[{].*)"  # a cut list or object: nobody knows where it ends
    rb"|(?P<bare>" + _BARE + rb")))"
    # multipart/form-data
    rb"|name=\\*\"?(?P<mn>NAMES)\\*\"?(?:;[^\r\n]*)?\r?\n(?:[^\r\n]+\r?\n)*\r?\n"
    rb"(?P<mv>.*?)(?:\r?\n--|$)"
    # <name>value
    rb"|<(?:[a-z0-9]+:)?(?P<xn>NAMES)(?:\s[^<>]*)?>(?:<!\[CDATA\[)?(?P<xv>[^<]*)"
    # scheme://user:password@host
    rb"|(?:://|%3a%2f%2f)(?P<user>(?:[^\s/?#\"'<>\\&%]|%[0-9a-f]{2})*)(?:@|%40)"
    # Authorization credentials without their name
    rb"|(?:^|[^a-z0-9_-])(?:bearer|basic)(?:\s|%20|\+)+(?P<cred>[a-z0-9._~+/=-]{8,})"
)
_GROUPS = re.findall(r"\(\?P<([a-z]+)>", _PATTERN.decode())


def compiled(pattern: bytes) -> Any:
    """RE2 of bytes."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    return re2.compile(pattern, options)


def _escape(name: str) -> bytes:
    return b"".join(
        bytes([c]) if chr(c).isalnum() and c < 128 else b"\\x%02x" % c for c in name.encode()
    )


def _plain(raw: bytes, group: str) -> str:
    """The value as its owner knows it, so that a token of it is the same wherever it stands."""
    if group in ("dq", "esc") and b"\\" in raw:
        for escaped, char in ((b'\\"', b'"'), (b"\\/", b"/"), (b"\\\\", b"\\")):
            raw = raw.replace(escaped, char)
    elif group in ("bare", "user") and b"%" in raw:
        raw = unquote_to_bytes(raw)
    return text(raw)


def tokens(key: bytes) -> Callable[[str], str]:
    """Equal values get equal tokens, so that joins still work. Remembers the last ones: the same
    instance sends the same values each time."""

    @lru_cache(maxsize=1024)
    def token(value: str) -> str:
        digest = hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256")
        return _TOKEN + digest.hex()[:24]

    return token
