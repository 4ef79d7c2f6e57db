"""The readings of a request's names and paths that some server could take (RFC 3986, 6.2.2, 6.2.3).

Used by `app.contract.rules` in `decide`, by the sidecar to find a connection's host, and by the app
to find a request's profile. The ordinary spelling costs one regular expression; any other is worked
out into a bounded set of readings.

Paths keep their case: RFC 3986 compares them so, and `unmatched: block` is for the exceptional
server that does not.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from urllib.parse import parse_qsl, quote, unquote, unquote_to_bytes

from app.contract.record import Pair, text

DECODINGS = 4  # rounds of percent-decoding that some server may do
LONGEST = 8 * 1024  # characters of an oddly spelled path that is still worked out
MOST_PAIRS = 1000  # oddly spelled parameters that are still worked out
LONGEST_ADDRESS = 64  # characters of an IPv6 address in brackets, with its port

# A name in its ordinary spelling, with or without a port.
_NAME = re.compile(r"([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\.*(?::[0-9]*)?")
_IPV6 = re.compile(
    r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*))(?::\d*)?"
)
_CODED = re.compile(r"(?:[^:]*\.)?xn--", re.IGNORECASE)
_DOTS = re.compile(r"\.\.+")
# Characters that no name has; servers differ in which side of them is the name.
_BETWEEN = re.compile(r"[\x00-\x20\x7f:,;@/\\?#\"'<>()\[\]|]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

# A path with one reading only: segments of ordinary characters, none of them of dots alone.
_PLAIN = re.compile(r"/(?:(?!\.\.?(?:/|\Z))[A-Za-z0-9._~!$&'()*+,=:@-]++(?:/|\Z))*+")
# Browsers take any number of slashes before an authority.
_ABSOLUTE = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//+([^/?#\\]*)")
_AUTHORITY = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//+([^/]*)")  # in any reading
_UNRESERVED = re.compile(r"%(?:2[DEde]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9AaEe])")
_NOT_UTF8 = re.compile(r"\\x([0-9a-f]{2})")  # the form in which `text` writes such a byte
_WIDE = re.compile(r"%[uU]([0-9A-Fa-f]{4})")
_OVERLONG = re.compile(
    rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80\x81][\x80-\xbf]|\xf0\x80[\x80\x81][\x80-\xbf]"
)
_CUT = re.compile(r"[?#\x00-\x20].*", re.DOTALL)
_CONTROLS = re.compile(r"[\x00-\x20\x7f]+")
_PARAMETERS = re.compile(r";[^/\\]*")
_SLASHES = re.compile(r"//+")
# What Windows' "best fit" makes a slash of.
_TO_SLASH = str.maketrans(dict.fromkeys("\\\u2044\u2215\u2216\u29f5\u29f8", "/"))
# Ignorable by default, and of no category that says so.
_IGNORED = "\u034f\u115f\u1160\u17b4\u17b5\u3164" + "".join(map(chr, range(0xFE00, 0xFE10)))
_ODD = re.compile(r"[;#?%&\x00]")
_SEPARATORS = re.compile(r"[;#?\x00]")


def host_of(authority: str) -> str:
    """The name in a Host header or an authority, in canonical form; "" for none."""
    return next(iter(hosts_in(authority)), "")


def hosts_in(authority: str) -> tuple[str, ...]:
    """Every name that a server could read in it; first the one that the RFCs mean."""
    if not authority:
        return ()
    if (found := _NAME.fullmatch(authority)) and not _CODED.match(authority):
        return (found[1].lower(),)
    if len(authority) <= LONGEST_ADDRESS and (found := _IPV6.fullmatch(authority)):
        return ((found[1] or found[2]).lower(),)
    # In the form of look-ups: full-width letters become letters, and other dots become dots.
    plain = _seen(_decoded(_decoded(authority))).replace("\u3002", ".")
    rest = _SCHEME.sub("", plain, 1) if "//" in plain else plain
    first = re.split(r"[/?#\\]", rest.strip().lstrip("/"), maxsplit=1)[0].rpartition("@")[2]
    parts = [first, *_BETWEEN.split(plain), *_BETWEEN.split(_CONTROLS.sub("", plain))]
    written = (_DOTS.sub(".", part.partition(":")[0]).strip(".[]") for part in parts)
    names = [name for part in written for name in (part.lower(), _folded(part))]
    return tuple(dict.fromkeys(name for name in names if name and not name.isdigit()))


def _folded(name: str) -> str:
    """The name as who compares capitals reads it (the dotless i), each label out of punycode."""
    labels = (_seen(_unpuny(label)) for label in name.lower().split("."))
    return ".".join(labels).upper().lower().replace("\u0307", "")


def _unpuny(label: str) -> str:
    try:
        return label[4:].encode().decode("punycode") if label.startswith("xn--") else label
    except UnicodeError:
        return label


def is_plain(path: str) -> bool:
    """True if the path has no other reading."""
    return _PLAIN.fullmatch(path) is not None


def authority_of(target: str) -> str:
    """The authority of a target in absolute form, "" for any other form."""
    found = None if target.startswith("/") else _AUTHORITY.match(target)
    return found[1] if found else ""


def readings(path: str) -> tuple[str, ...] | None:
    """The raw path, and every other path that a server could read in it; None if it is too long or
    encoded too often to tell within the bounds."""
    if is_plain(path):
        return (path,)
    decoded = _decodings(_NOT_UTF8.sub(r"%\1", path)) if len(path) <= LONGEST else None
    if decoded is None:
        return None
    found: Iterable[str] = (path, *decoded)
    for step in _STEPS:
        found = _with(found, step)
    return tuple(dict.fromkeys((path, *map(_rooted, found))))


class _Parameters(dict[str, Pair]):
    """Short parameters by how they are written. A sender repeats most of its own, and records that
    wait share them: less memory to touch than 50 new strings and tuples for each request. Held in
    memory only, where the records are too before they are masked."""

    def __missing__(self, part: str) -> Pair:
        name, _, value = part.partition("=")
        if "%" in part or "+" in part:
            name, value = _of_form(name), _of_form(value)
        if len(part) <= _SHORT:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[part] = name, value
        return name, value


_SHORT, _REMEMBERED = 64, 1024  # characters of a parameter, and parameters: 0.3 MB at most
_parameters = _Parameters()


def pairs_of(query: str) -> list[Pair]:
    """The parameters in order, decoded like a form; one without `=` has the value ""."""
    return [_parameters[part] for part in query.split("&") if part]


def _of_form(part: str) -> str:
    return text(unquote(part.replace("+", " "), errors="surrogateescape"))


def query_in(paths: Iterable[str]) -> list[Pair]:
    """The parameters behind an encoded question mark, which some servers decode."""
    found = dict.fromkeys(path.partition("?")[2] for path in paths if "?" in path)
    return parse_qsl("&".join(found), keep_blank_values=True)


def parameters(pairs: Iterable[Pair]) -> list[Pair] | None:
    """The further parameters that a server could read in these: behind a semicolon, a second
    question mark or another decoding, or before a fragment. None if they are too many to tell."""
    odd = [f"{name}={value}" for name, value in pairs if _ODD.search(name) or _ODD.search(value)]
    if len(odd) > MOST_PAIRS:
        return None
    found: dict[Pair, None] = {}
    for part in _decodings("&".join(odd)) or ():
        cut = _SEPARATORS.sub("&", part)
        if cut.count("&") > MOST_PAIRS:
            return None
        found |= dict.fromkeys(parse_qsl(cut, keep_blank_values=True))
    return list(found)


def lines_in(headers: Iterable[Pair]) -> list[Pair]:
    """The further headers that a server could read in these: each item of a list, a folded value as
    one line, a hyphen for an underscore in a name."""
    found: dict[Pair, None] = {}
    for name, value in headers:
        if "," in value or "\n" in value or "_" in name or value != value.strip():
            line = " ".join(value.split())
            parts = (line, *map(str.strip, line.split(",")))
            found |= {(name.replace("_", "-"), part): None for part in parts}
    return list(found)


def _with(paths: Iterable[str], step: Callable[[str], str]) -> Iterable[str]:
    return dict.fromkeys(made for path in paths for made in (path, step(path)))


def _decodings(path: str) -> list[str] | None:
    found = [_UNRESERVED.sub(lambda found: chr(int(found[0][1:], 16)), path)]
    while (decoded := _decoded(path)) != path:
        if len(found) > DECODINGS:
            return None
        found.append(path := decoded)
    return found


def _decoded(part: str) -> str:
    """Percent-decoded once, including forms that only some servers decode."""
    if "%" not in part:
        return part
    data = unquote_to_bytes(
        _WIDE.sub(lambda found: quote(text(chr(int(found[1], 16)))), text(part))
    )
    return text(_OVERLONG.sub(_short, data))


def _short(found: re.Match[bytes]) -> bytes:
    """The ASCII character that these bytes encode, in a form longer than UTF-8 allows."""
    return bytes(((found[0][-2] & 0x1) << 6 | found[0][-1] & 0x3F,))


def _relative(path: str) -> str:
    """The path without scheme and authority."""
    return _ABSOLUTE.sub("", path, count=1) if _ABSOLUTE.match(path) else path


def _without_name(path: str) -> str:
    """Drops the part before the first slash, which may be an authority."""
    return (
        path
        if path.startswith(("/", "?", "*"))
        else path[path.find("/") :]
        if "/" in path
        else path
    )


def _slashed(path: str) -> str:
    return path.translate(_TO_SLASH)


def _cut(path: str) -> str:
    return _CUT.sub("", path)


def _dense(path: str) -> str:
    return _CONTROLS.sub("", path)


def _bare(path: str) -> str:
    return _PARAMETERS.sub("", path)


def _merged(path: str) -> str:
    return _SLASHES.sub("/", path)


def _narrow(path: str) -> str:
    """Full-width characters replaced by the ordinary ones, as some servers do."""
    return path if path.isascii() else _seen(path)


def _seen(written: str) -> str:
    """The text in compatibility forms, without what nobody sees: marks of format, controls."""
    if written.isascii():
        return written
    plain = unicodedata.normalize("NFKC", written)
    return "".join(c for c in plain if c.isascii() or not _unseen(c))


def _unseen(char: str) -> bool:
    return unicodedata.category(char) in ("Cf", "Cc", "Zl", "Zp") or char in _IGNORED


def _rooted(path: str) -> str:
    return path if path.startswith("/") else "/" + path


def without_dots(path: str) -> str:
    """Removes dot segments by RFC 3986, 5.2.4."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments[1:] if path.startswith("/") else segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


# Each step is optional, in this order; slashes are merged before or after the dots go, or both.
_STEPS = (
    _narrow,
    _slashed,
    _relative,
    _without_name,
    _cut,
    _dense,
    _bare,
    _merged,
    without_dots,
    _merged,
)
