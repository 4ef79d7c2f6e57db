"""Tells the shape of a value: what it is by its look, whatever its name.

Called by `app.store.inventory` for each kind of value that is new to it. Of a value nothing is kept
but its shape, so that a field's class can be told from name, type and shape alone.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping

from app.contract.masking.fields import MASK, TOKEN

SHAPES = (
    "", "version", "guid", "ip", "email", "timestamp", "url", "hex", "base64", "token", "masked",
    "mac", "credentials", "home", "path", "host", "package", "place", "phone", "account",
    "platform", "text", "repository",
)  # fmt: skip
_LOOKED = 400  # characters of a value
_DATE = r"\d{4}-\d{2}-\d{2}"
_OCTETS = r"(\d{1,3}\.){3}\d{1,3}"
_LOCAL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\u0080-\uffff-]{1,64}+"
_DOMAIN = (
    r"([A-Za-z0-9\u0080-\uffff_-]{1,63}\.){1,10}+([A-Za-z\u0080-\uffff]{2,63}|xn--[a-z0-9-]{2,59})"
)
_ADDRESS = rf"({_LOCAL}|\"[^\"@\n]{{1,62}}\")@{_DOMAIN}"
# A host of somebody's own network, an instance of a cloud, or a laptop's name as it comes.
_HOST = (
    r"(?=[^.]*+\.)([A-Za-z0-9_-]{1,63}\.){1,8}(local|localdomain|internal|lan|corp|intra|intranet|home|"
    r"home\.arpa|svc|cluster\.local)"
    r"|ip-\d{1,3}(-\d{1,3}){3}(\.[a-z0-9.-]{1,100})?|i-[0-9a-f]{8}([0-9a-f]{9})?"
    r"|(DESKTOP|LAPTOP|WIN)-[0-9A-Z]{6,15}|(?=[\w-]*Mac)[\w-]{1,60}-?(MacBook|iMac|Mac-?mini)(-\w{1,20}){0,3}"
)
_ZONE = r"(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific|Etc|US)"
_PLATFORM = (
    r"linux|darwin|macos|mac ?os ?x|windows(_nt| nt)?|win32|win64|freebsd|openbsd|netbsd|android|"
    r"ios|amd64|x86_64|x64|x86|i[36]86|arm64|aarch64|armv[5-8]l?|ppc64le|s390x|riscv64|"
    r"(linux|darwin|windows)[/_-](amd64|x86_64|arm64|aarch64|arm|386|x64)"
)
_ONE_IP = (
    rf"(?:{_OCTETS}(:\d{{1,5}}|/\d{{1,2}})?"
    r"|(?=[^:,]*+:[^:,]*+:)([0-9a-fA-F:.]{2,45}(%[\w.-]{1,20})?(/\d{1,3})?"
    r"|\[[0-9a-fA-F:.]{2,45}(%[\w.-]{1,20})?\](:\d{1,5})?))"
)
# Sortable ids, by themselves or behind a type: 26 characters without I, L, O and U.
_ULID = r"([a-z]{1,20}+_){0,4}[0-7](?=\d*[A-Za-z])([0-9A-HJKMNP-TV-Z]{25}|[0-9a-hjkmnp-tv-z]{25})"
_SHAPES = (
    ("guid", r"(urn:uuid:)?\{?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?|" + _ULID),
    ("mac", r"([0-9a-fA-F]{2}:){5}([0-9a-fA-F]{2}:[0-9a-fA-F]{2}:)?[0-9a-fA-F]{2}"
            r"|(?=[\d:]*[a-fA-F])([0-9a-fA-F]{1,2}:){5}[0-9a-fA-F]{1,2}"
            r"|(?=[\d-]*[a-fA-F])([0-9a-fA-F]{2}-){5}([0-9a-fA-F]{2}-[0-9a-fA-F]{2}-)?[0-9a-fA-F]{2}"
            r"|(?=[\d.]*[a-fA-F])(([0-9a-f]{4}\.){2}[0-9a-f]{4}|([0-9A-F]{4}\.){2}[0-9A-F]{4})"),
    ("ip", rf"{_ONE_IP}([,;] ?{_ONE_IP}){{0,20}}"),
    ("timestamp", _DATE + r"([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?"
                  r"|(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} "
                  r"(GMT|UTC|[+-]\d{4})"),
    ("version", r"([~^<>=]{1,2} ?)?(v|go)?\d{1,9}(\.\d{1,9}){1,3}((a|b|rc)\d{1,9})?"
                r"(\.(dev|post|pre|alpha|beta|rc|RELEASE|Final)\d{0,9})?([-+][0-9A-Za-z.+-]{1,64})?"),
    ("repository", r"git@[\w.-]{1,80}:[\w./~-]{1,200}"
                   r"|(https?|ssh|git|git\+ssh|git\+https)://(git@)?[^\s/?#@]{1,120}/[^\s?#]{1,200}\.git"),
    ("email", rf"(?=[^@]*+@)(mailto:|[^<>@\n]{{0,80}}<)?{_ADDRESS}>?([,;] ?{_ADDRESS}){{0,20}}"),
    ("package", r"(?=[^@]*+@)([a-z]{2,10}:)?(@?[\w.-]{1,80}/){0,3}[\w.-]{1,80}"
                r"@[v^~]?\d[\w.+-]{0,64}"
                r"|pkg:[a-z]+/\S{1,200}|[A-Za-z][\w.+-]{0,40}+/v?\d{1,9}(\.\d{1,9}){1,3}"
                r"|[a-z][a-z0-9_]{0,30}+-\d{1,5}\.\d{1,5}\.\d{1,5}"),
    ("credentials", r"[a-zA-Z][a-zA-Z0-9+.-]{1,15}+://([^\s/?#@:]{0,200}:[^\s/?#@]{1,200}"
                    r"|\*\*\*|[0-9a-fA-F]{24,64})@\S*"),
    ("url", r"[a-zA-Z][a-zA-Z0-9+.-]{1,15}+://\S*"),
    ("place", rf"{_ZONE}(/[A-Za-z][A-Za-z_+0-9-]{{1,30}}){{1,2}}"
              r"|-?\d{1,2}\.\d{3,15}[,;] ?-?\d{1,3}\.\d{3,15}"
              r"|\d{1,2}\.\d{1,15}° ?[NS],? ?\d{1,3}\.\d{1,15}° ?[EW]"),
    ("phone", r"\+[1-9](\d{0,3}[ ()/.-]{1,2}\d[\d ()/.-]{5,20}\d|\d{7,14})"),
    ("account", r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:\d{12}:\S+|projects/[a-z0-9-]{4,64}/\S+"
                r"|/subscriptions/[0-9a-fA-F-]{36}(/\S*)?"),
    ("platform", rf"(?i:{_PLATFORM})"),
    ("host", _HOST),
    ("token", TOKEN.pattern),
    ("hex", r"([0-9a-f]{2}){8,}|([0-9A-F]{2}){8,}"),
    ("path", r"(~|\.{1,2})?/[^\s/?#&=<>][^\n?#<>]*|[A-Za-z]:[\\/][^\n<>\"|?*]+"
             r"|\\\\[\w.-]+\\[^\n<>\"|?*]+"),
)  # fmt: skip
_SHAPE = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _SHAPES))
# A home directory names its owner, wherever in a text it stands; a URL's /home/ does not.
_HOME = re.compile(
    r"(?:^|[\s\"'=:(,;|\[]|file://)/(?:(?:var|export|usr|(?:mnt|cygdrive)(?:/[a-z])?|[a-z])/)?"
    r"(?:home|Users)/"
    r"(?!\.|(?:Shared|Public|Default|linuxbrew)\b)[^\s/\"':;,|)]{1,64}"
    r"|[A-Za-z]:[\\/]{1,2}(?:Users|Documents and Settings)[\\/]{1,2}(?!(?:Public|Default)\b)"
    r"[^\s\\/\"':;,|)]"
)
_WITHIN = re.compile(  # an address in a text
    r"(?<![\w.+@/-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,63}(?![\w@-])"
)
_LETTER = re.compile(r"[^\W\d_]")
_SENTENCE = 4  # words that somebody has written
_DIGIT = re.compile("[0-9]")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
# Ends of names of files and of releases, which no top-level domain has: icon@2x.png, app@1.rc
_NO_DOMAIN = re.compile(
    r"(png|jpe?g|gif|svg|webp|ico|avif|js|mjs|cjs|ts|jsx|tsx|css|scss|map|json|html?|ya?ml|txt|"
    r"jar|whl|tgz|gz|exe|dll|beta|alpha|rc|snapshot|canary|nightly|next|latest|final|release)"
)


def shape_of(value: str) -> str:
    """One of SHAPES."""
    if value == MASK:
        return "masked"
    start = value[:_LOOKED]
    found = _SHAPE.fullmatch(start)
    shape = (found.lastgroup or "") if found else ""
    if shape == "package" and _is_ip(start.rpartition("@")[2]):
        return "ip"  # somebody at a machine
    if shape in _CHECKS and not _CHECKS[shape](start):
        shape = "package" if shape == "email" and _is_release(start) else ""
    if shape in ("", "path", "url") and ("/" in start or "\\" in start) and _HOME.search(start):
        return "home"
    if shape:
        return shape
    if "@" in start and any(map(_is_email, _WITHIN.findall(start))):
        return "email"
    if len(value) % 4 == 0 and _BASE64.fullmatch(start) and _mixed(start):
        try:
            base64.b64decode(
                start[: len(start) // 4 * 4],
                altchars=b"-_" if "-" in start or "_" in start else None,
            )
        except (binascii.Error, ValueError):
            return ""
        return "base64"
    return "text" if " " in start and sum(map(_has_letter, start.split())) >= _SENTENCE else ""


def _has_letter(word: str) -> bool:
    return _LETTER.search(word) is not None


def number_shape(value: float) -> str:
    """A timestamp: seconds or milliseconds of the years 2001 to 2065."""
    return "timestamp" if 1e9 <= value < 3e9 or 1e12 <= value < 3e12 else ""


def _mixed(value: str) -> bool:
    """True for mixed case and a digit: words hardly ever are, encoded bytes nearly always."""
    return bool(_DIGIT.search(value)) and value.lower() != value != value.upper()


def _is_ip(value: str) -> bool:
    """True of an address or a network, or of several; not of 12:30:45 or 999.1.1.1."""
    return all(map(_is_one_ip, re.split("[,;] ?", value)))


def _is_one_ip(value: str) -> bool:
    host = value.partition("/")[0]
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return _DIGIT.search(host) is not None  # a::b is a name of C++


def _is_email(value: str) -> bool:
    """True unless the domain is a file's name or a release's: icon@2x.png, app@1.0.0-rc.beta; or
    its user one that means nobody: git@github.com."""
    local, _, domain = value.rstrip(">").partition("@")
    if local in ("git", "hg", "svn"):
        return False
    first, _, rest = domain.lower().partition(".")
    if not _NO_DOMAIN.fullmatch(rest.rpartition(".")[2]):
        return not re.fullmatch(r"v?\d+(\.\d+)+.*", domain)
    return first.isalpha() and not re.fullmatch(r"\d+x|latest|next", first) and "." in rest


def _is_release(value: str) -> bool:
    return re.fullmatch(r"[^@]{1,120}@v?\d[\w.+-]*", value) is not None and not re.search(
        r"\.(png|jpe?g|gif|svg|webp|ico|avif)$", value
    )


_CHECKS: Mapping[str, Callable[[str], bool]] = {"ip": _is_ip, "email": _is_email}
