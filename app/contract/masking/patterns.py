"""Searches text for names with their values, in every form that text gives them: for `fields`.

The search is google-re2's, over Latin-1 bytes: its time grows with the text alone. It finds a name
wherever its letters stand; `name_at` says which name that is, for its owner to judge.
"""

import contextlib
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import re2

from app.contract.masking.spelling import LONGEST, words
from app.contract.record import text

_SCHEMES = rb"(?:bearer|basic|digest|negotiate|token)"
_BARE = rb"(?:" + _SCHEMES + rb"(?:\s|%20|\+)+)?" + rb'(?:[^\s&"<>]|"[^\s&"<>,}\])])*'
_NUMBER = rb"[_-]?(?:[0-9]{0,4}|values?|plain|plaintext|old|new|current|base)"  # password2
# What stands between a name and its sign: blanks, colours of a terminal, marks of Markdown, "is".
_GAP = rb"(?:\s|%20|\+|\x1b\[[0-9;]{0,8}m|\*\*|\sis\b)*"
_SIGN = rb"(?:=>|->|::?|=|%3d|%3a|%253d|\\u003d|;s:[0-9]{1,9}:)"
# What stands before a value: a type in PHP, an anchor or tag of YAML, a letter of Python or SQL.
_TYPED = (
    rb"(?:string\([0-9]{1,9}\)\s*|(?:&|!!?)[a-z0-9_]{1,32}[ \t]+|\x1b\[[0-9;]{0,8}m|\*\*[ \t]+)?"
)
# Commands of which one letter gives a password, up to that letter.
_TOOLS = (
    rb"(?:(?:[a-z]+\s[^\r\n]*?login|mongo[a-z]*)\s[^\r\n]*?\s-p|redis-cli\s[^\r\n]*?\s-a"
    rb"|ldap[a-z]+\s[^\r\n]*?\s-w|(?:sqlcmd|zip)\s[^\r\n]*?(?-i:-P))"
)
_BEHIND = rb"(?:\]|\[[0-9]{0,4}\]|%5d|%5b[0-9]{0,4}%5d)*"  # lic[], user[password]
_PATTERN = (
    rb"(?is)"
    # Header lines: to the end of the line.
    rb"(?:^|[^a-z0-9_-])(?P<hn>authorization|proxy-authorization|set-cookie|cookie)\s*:[ \t]*"
    rb"(?P<hv>[^\s\"'\[{][^\r\n]*)"
    # --name value, "--name", "value"
    rb"|(?:^|[^a-z0-9-])--?[a-z0-9_.-]*(?P<fn>NAMES)(?:(?:[ \t]|%20|\+)+|[\"']\s*,\s*)"
    rb"(?:\"(?P<fq>[^\"]*)|'(?P<fs>[^']*)|(?P<fv>[^\s\"'&-][^\s\"'&,]*))"
    # YAML: a block of lines; a pair of a list, in either order
    rb"|(?P<yn>NAMES)[\"']?[ \t]*:[ \t]*[|>][0-9+-]{0,2}[ \t]*(?:#[^\r\n]*)?\r?\n"
    rb"(?P<yv>(?:[ \t]+[^\r\n]*(?:\r?\n|$))+)"
    rb"|(?:name|key)[\"']?[ \t]*[:=][ \t]*[\"']?[a-z0-9_.-]*?(?P<kn>NAMES)[\"']?"
    rb"[ \t]*(?:,|\s)\s*"
    rb"[\"']?(?:value|val)[\"']?[ \t]*[:=][ \t]*"
    rb"(?:\"(?P<kq>[^\"]*)|'(?P<ks>[^']*)|(?P<kv>[^\s\"',}]+))"
    rb"|(?:value|val)[\"']?[ \t]*[:=][ \t]*"
    rb"(?:\"(?P<rq>[^\"\r\n]*)\"|'(?P<rs>[^'\r\n]*)'|(?P<rv>[^\s\"',}]+))[ \t]*(?:,|\s)\s*"
    rb"[\"']?(?:name|key)[\"']?[ \t]*[:=][ \t]*[\"']?[a-z0-9_.-]*?(?P<rn>NAMES)[\"']?(?:[\s,}/>]|$)"
    # Command lines, .netrc, SQL, connection strings, a WebSocket's protocol
    rb"|https?(?:\s[^\r\n]*?)?\s(?:-a\s+|--auth[\s=]+)[\"']?[^\s:\"']+:(?P<ht>[^\s\"']+)"
    rb"|curl\s[^\r\n]*?(?:-u|--user|--proxy-user)[\s=]*[\"']?[^\s:\"']*:(?P<cu>[^\s\"']+)"
    rb"|(?:mysql[a-z]*|mariadb)\s[^\r\n]*?\s-p(?P<my>[^\s\"']+)"
    rb"|(?:^|[^a-z0-9])" + _TOOLS + rb"\s+[\"']?(?P<tp>[^\s\"'-][^\s\"']*)"
    rb"|(?:^|[^a-z0-9-])--?(?:[a-z0-9]+-)*(?:pass|pw|passin|passout)[\s=]+"
    rb"(?:pass:)?[\"']?(?P<fp>[^\s\"'-][^\s\"']*)"
    rb"|(?:set|setx|env|arg|configure"
    rb"|[a-z]+_header)\s+[^\s\"'=]*[_:-][^\s\"'=]*?(?P<en>NAMES)[ \t]+[\"']?(?P<ev>[^\s\"'=:]+)"
    rb"|-u\s+[^\s]+\s+-p\s+(?P<up>[^\s\"'-][^\s\"']*[a-z][^\s\"']*)"
    rb"|curl(?:\s[^\r\n]*?)?\s(?:-b|--cookie)[\s=]*[\"']?(?P<cb>[^\s\"']+)"
    rb"|(?:sqlplus\s+[^\s/]+/|smbclient\s[^\r\n]*?%|vault\s+login\s+|securestring\s+[\"']"
    rb"|rabbitmqctl\s+[a-z_]+\s+[^\s]+\s+|htpasswd\s+-[a-z]*b[a-z]*\s+[^\s]+\s+[^\s]+\s+"
    rb"|add-mask::)"
    rb"(?P<cl>[^\s\"'@-][^\s\"'@]*)"
    rb"|(?:sshpass|7z[a-z]*\s[^\r\n]*?)\s+-p\s*[\"']?(?P<sp>[^\s\"']+)"
    rb"|(?:(?:login|machine)\s+[^\s]+\s+|insecure-)password\s+(?P<nr>[^\s]+)"
    rb"|(?:password|identified\s+(?:with\s+[a-z0-9_]+\s+)?by(?:\s+password)?)\s+(?:'(?P<is>[^']+)|\"(?P<id>[^\"]+))"
    rb"|user\s+[^\s]+\s+identified\s+by\s+(?P<io>[^\s'\";]+)"
    rb"|set\s+password\s+for\s+[^\r\n=]{1,200}=\s*'(?P<so>[^']+)"
    rb"|;\s*pwd\s*=\s*(?P<pw>[^;\s\"'/][^;\s\"']*)|pwd\s*=\s*(?P<pu>[^;\s\"'/]+);[a-z ]+="
    rb"|jdbc:oracle:[a-z]+:[^/\s\"']+/(?P<ora>[^@\s\"']+)@"
    rb"|authorization\.k8s\.io\.(?P<kt>[a-z0-9._~+/=-]{8,})"
    # name = value, "name": "value", 'name': 'value', \"name\": \"value\", name%3Dvalue
    rb"|(?P<n>NAMES)BEHIND"
    rb"(?:\s*[\"']\s*:\s*(?P<num>-?[0-9][0-9.e+-]*|true|false|null)(?:[,}\]\s]|$)"
    rb"|" + _GAP + rb"(?:%22|\\*[\"']\]?)?\s*" + _SIGN + rb"\s*" + _TYPED + rb""
    rb"(?:<<[-~]?[\"']?[A-Z]+[\"']?\r?\n(?P<hd>[^\r\n]*)"
    rb"|"
    rb"(?:\\+\"(?P<esc>(?:[^\"\\]|\\\\+.)*)"
    rb"|\"\"\"(?P<tq>(?:[^\"]|\"[^\"]|\"\"[^\"])*)|'''(?P<ts>(?:[^']|'[^']|''[^'])*)"
    rb"|\"(?P<dq>(?:[^\"\\]|\\.)*)"
    rb"|'(?P<sq>(?:[^'\\]|\\.)*)"
    rb"|(?P<all>[\[{].*)"  # a cut list or object: nobody knows where it ends
    rb"|(?P<bare>" + _BARE + rb"))))"
    # multipart/form-data
    rb"|name=\\*[\"']?[^\"'\s;]*?(?P<mn>NAMES)BEHIND\\*[\"']?\s*(?:;[^\r\n]*)?"
    rb"\r?\n(?:[^\r\n]+\r?\n)*\r?\n(?P<mv>.*?)(?:\r?\n--|$)"
    # <name>value
    rb"|<[a-z0-9_.:-]*?(?P<xn>NAMES)(?:\s[^<>]*)?>(?:<!\[CDATA\[)?(?P<xv>[^<]*)"
    # scheme://user:password@host
    # What stands where a port would, and is none, is a password with a slash in it.
    rb"|://[^\s/?#:@\"'<>]*:(?P<ru>[^\s/?#@\"'<>\[]*[^0-9\s/?#@\"'<>\[][^\s/?#@\"'<>\[]*"
    rb"[/?#][^\s@\"'<>]*)@"
    rb"|(?:://|:\\/\\/|%3a%2f%2f)(?P<user>(?:[^\s/?#\"'<>\\&%]|%[0-9a-f]{2})*)(?:@|%40)"
    # Authorization credentials without their name
    rb"|(?:^|[^a-z0-9_-])(?:bearer|basic)(?:\s|%20|\+)+(?P<cred>[a-z0-9._~+/=-]{8,})"
)
_MEMORY = (4 << 20, 16 << 20, 64 << 20)  # bytes that hostile text makes a search take at most
_ROOM = 300  # bytes per instruction; searches were slow with 200 and less
_GROUPS = re.findall(r"\(\?P<([a-z]+)>", _PATTERN.decode())
_NAMING = ("hn", "fn", "yn", "kn", "rn", "en", "n", "mn", "xn")
_MAYBE = (
    rb"NAMES(?:[^a-z0-9_-]|->|s[\"']|$)|\"kty\"|\"-[upaw][^\"]{0,64}\""
    rb"|(?:://|:\\/\\/|%3a%2f%2f)[^\s/]*(?:@|%40)|(?:bearer|basic)(?:\s|%20|\+)"
    rb"|://[^\s/?#:@]*:[^\s/?#@]*[^0-9\s/?#@][^\s/?#@]*[/?#][^\s@]*@"
    rb"|curl\s[^\r\n]*-u|https?(?:\s[^\r\n]*)?\s-(?:a\s|-auth)|" + _TOOLS + rb"\s|7z[a-z]*\s"
    rb"|-u\s+[^\s]+\s+-p\s|curl(?:\s[^\r\n]*)?\s-(?:b|-cookie)|sqlplus\s|smbclient\s"
    rb"|vault\s+login|securestring"
    rb"|rabbitmqctl\s|htpasswd\s|add-mask:|-(?:pass(?:in|out)?|pw)[\s=]|insecure-password"
    rb"|set\s+password\s+for"
    rb"|(?:mysql[a-z]*|mariadb)\s[^\r\n]*\s-p|sshpass\s|identified\s+by\s"
    rb"|jdbc:oracle:"
)
# What stands before a name's letters and may be part of it.
_AHEAD = re.compile(rb"(?:%|\\u?)?[A-Za-z0-9_-]*\Z")
_ESCAPED = re.compile(rb"%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\[a-z]")
_WIDE = re.compile(rb"\xef(?:\xbc[\x81-\xbf]|\xbd[\x80-\x9e])")


class Given(NamedTuple):
    """A value that text gives: under which name, "" for none, and where it stands."""

    names: tuple[str, ...]
    start: int
    end: int
    group: str


class Searches:
    """Compiled for some names. `maybe` is true too where one of the patterns
    `or_else` stands."""

    def __init__(self, names: Iterable[str], or_else: Sequence[bytes] = ()) -> None:
        spelled = {_spelled(n) for n in names if n}
        # Letters beyond ASCII are not folded: they are two bytes.
        spelled |= {_escape(n.upper()) for n in names if not n.isascii()}
        longest = sorted(spelled - {b""}, key=len, reverse=True)
        # Longest first, so that `set-cookie` is not read as `cookie`.
        either = b"(?:" + b"|".join(longest) + b")" + _NUMBER
        # Two passes: one automaton of both has the product of their states, and long text of random
        # letters meets them all.
        self._named = either_of([b"(?i:%b)" % _MAYBE.replace(b"NAMES", either)], b"://a@")
        self._or_else = either_of([b"://a@", *or_else], b"://a@")
        self._either = either

    def maybe(self, data: bytes) -> bool:
        """True if `given` could find something, or `maybe_else`: without false negatives."""
        return self._named.Match(data) is not None or self.maybe_else(data)

    def maybe_else(self, data: bytes) -> bool:
        """True if one of `or_else` stands in it."""
        return any(self._or_else.Match(data) or ())  # number 0 is not one of them

    @cached_property  # made when first needed: the sidecar's start counts
    def _given(self) -> Any:
        return compiled(_PATTERN.replace(b"BEHIND", _BEHIND).replace(b"NAMES", self._either))

    def given(self, data: bytes, at: int) -> tuple[Given, int] | None:
        """The next value from `at` on, and where the whole of what gives it begins."""
        match = self._given.search(data, at)
        if match is None:
            return None
        there = [(g, i) for i, g in enumerate(_GROUPS, 1) if match.group(i) is not None]
        names: tuple[str, ...] = ()
        for named in [one for one in there if one[0] in _NAMING]:
            names = _names(data, match.start(named[1]), match.group(named[1]))
            there.remove(named)
        group, number = there[-1]
        return Given(names, match.start(number), match.end(number), group), match.start()


def _names(data: bytes, start: int, letters: bytes) -> tuple[str, ...]:
    """The whole name of which these are the last letters; two where what stands before them may be
    an escape."""
    ahead = _AHEAD.search(data[max(0, start - LONGEST) : start])
    run = ahead.group() if ahead else b""
    found = [run.lstrip(b"%\\")]
    if escaped := _ESCAPED.match(run):
        found.append(run[escaped.end() :])
    return tuple(text(f + letters) for f in found)


def narrowed(data: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """Text with full-width characters as ASCII, and where the two differ: (position in what is
    returned, bytes that it lacks up to there)."""
    out, moved, done, lacking = bytearray(), [], 0, 0
    for match in _WIDE.finditer(data):
        out += data[done : match.start()]
        out.append(ord(match.group().decode()) - 0xFEE0)
        done = match.end()
        lacking += 2
        moved.append((len(out), lacking))
    return bytes(out + data[done:]), moved


def either_of(patterns: Sequence[bytes], example: bytes) -> Any:
    """A search that says in one pass which of the patterns stand in a text; one does in `example`.
    With too little memory it would find none, whatever the text."""
    for memory in _MEMORY:
        found = re2.Set.SearchSet(_options(memory))
        for pattern in patterns:
            found.Add(pattern)
        with contextlib.suppress(re2.error):
            found.Compile()
            if found.Match(example):
                return found
    raise ValueError(f"{len(patterns)} patterns cannot be searched for at once")


def _options(memory: int) -> Any:
    """Of a search over Latin-1 bytes that may take so many bytes of memory."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.max_mem = memory
    return options


def compiled(pattern: bytes) -> Any:
    """RE2 of bytes, with the memory in which its automaton runs: it compiles in less, and then
    searches some 400 times slower."""
    for memory in _MEMORY:
        with contextlib.suppress(re2.error):
            found = re2.compile(pattern, _options(memory))
            if found.programsize * _ROOM <= memory:
                return found
    raise ValueError(f"a pattern of {len(pattern)} bytes cannot be compiled")


def _spelled(name: str) -> bytes:
    """The name's words with what may stand between them; as it is where it has anything else."""
    parts = words(name)
    if parts and "".join(parts) == "".join(c for c in name.lower() if c not in "-_ .:/"):
        return rb"[-_ .:/]{0,2}".join(_escape(part) for part in parts)
    return _escape(name)


def _escape(name: str) -> bytes:
    return b"".join(
        bytes([c]) if chr(c).isalnum() and c < 128 else b"\\x%02x" % c for c in name.encode()
    )


def as_owned(raw: bytes, group: str) -> str:
    """The value as its owner knows it, so that a token of it is the same wherever it stands."""
    if group in ("dq", "esc") and b"\\" in raw:
        for escaped, char in ((b'\\"', b'"'), (b"\\/", b"/"), (b"\\\\", b"\\")):
            raw = raw.replace(escaped, char)
    elif group in ("bare", "user", "fv") and b"%" in raw:
        raw = unquote_to_bytes(raw)
    return text(raw)
