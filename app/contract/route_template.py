"""Makes endpoints of paths: `/v1/orgs/42` and `/v1/orgs/43` are `/v1/orgs/{id}`.

Used for requests that no narrow rule takes (`app.store.inventory.route_of`) and for drafts of
profiles (`app.learn`). Peers choose the paths: a template is short, and a host's are bounded.
"""

import re
from functools import lru_cache
from urllib.parse import unquote

ROUTES = 100  # templates of one profile and host; further paths become PREFIX/*
HOSTS = 1_000  # of which the templates are remembered
SEGMENTS = 8
SEGMENT = 64  # characters of a segment that is no value

_OS = "linux|darwin|macos|windows|win32|win64|freebsd"
_ARCH = "amd64|arm64|x86_64|aarch64|x64|i[36]86|armv[67]l?|ppc64le|s390x|riscv64"
# Names of what varies -> how it looks; the first counts. `id` is whatever names one thing.
_VARYING = (
    ("date", r"(19|20)\d\d-([01]\d(-[0-3]\d)?([T_ ][\d:.-]{4,18}Z?)?|W[0-5]\d|Q[1-4])"
             r"|20\d\d[01]\d[0-3]\d(T?\d{4,6}Z?)?"),
    # A version has four parts too, but few begin so high, or with 10.
    ("ip", r"(10|1\d\d|2[0-4]\d|25[0-5])(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}"
           r"|(?=.*::)[0-9a-fA-F:]{2,39}|([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}"),
    ("mac", r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}"),
    ("version", r"v?\d{1,6}(\.\d{1,6}){2,3}([-+.][0-9A-Za-z.+-]{1,40})?|\d{1,6}\.\d{1,6}"
                r"|[A-Za-z][\w-]{0,60}[-_]v?\d{1,6}(\.\d{1,6}){2,3}([-+.][0-9A-Za-z.+-]{1,40})?"),
    # A version behind the @ is no domain.
    ("email", r"[^@\s]{1,64}@[^@\s]{1,190}\.[A-Za-z][A-Za-z-]{1,62}"),
    ("phone", r"\+\d{7,15}"),
    ("locale", r"[a-z]{2,3}([-_][A-Z][a-z]{3})?[-_][A-Z]{2}"),
    ("os", rf"({_OS})([-_]({_ARCH}))?"),
    ("arch", _ARCH),
    ("id", r"-?\d+|(urn:uuid:)?\{?[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\}?"
           r"|[0-9a-fA-F]{16,}|(?=\S*\d)([0-9A-Z]{4,8}-){2,8}[0-9A-Z]{4,8}|\*{3}|tok_[0-9a-f]{24}|eyJ[A-Za-z0-9_-]{5,}|arn:\S+"),
)  # fmt: skip
TELLING = ("email", "phone", "ip", "mac")  # kinds of somebody
_VARIES = re.compile("|".join(f"(?P<{name}>{look})" for name, look in _VARYING))
_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,4}")
_OPAQUE = re.compile(r"[A-Za-z0-9+/=_.~-]{7,}")
_PIECE = re.compile(r"[A-Za-z0-9]{10,}")
_HEX = re.compile(r"(?=.*[a-f])([0-9a-f]{7,}|([0-9a-f]{4,8}-){2,8}[0-9a-f]{4,8})", re.I)
_CALLED = re.compile(r"[a-z]{2,12}_[A-Za-z0-9]{12,}")  # cus_…: what it is, and which one
_DIGITS = re.compile(r"\d+")
_WITHIN = re.compile(r"[A-Za-z]\d+[A-Za-z]")
_SMALL_NUMBER = re.compile(r"\d{1,2}")
CATCH_ALL = frozenset(("", "/*", ".*", "/.*"))  # routes of rules that name no path


def varies(segment: str) -> str:
    """The name of a raw segment's kind if its value varies from request to request, "" for a
    word."""
    value = unquote(segment)
    if found := _VARIES.fullmatch(value):
        return found.lastgroup or "id"
    ending = _ENDING.search(value, max(0, len(value) - 6))
    if (
        ending
        and ending.end() == len(value)
        and (found := _VARIES.fullmatch(value[: ending.start()]))
    ):
        return found.lastgroup or "id"
    return "id" if len(value) > SEGMENT or _is_opaque(value) else ""


def _is_opaque(value: str) -> bool:
    """True for encoded or random characters: letters and digits that alternate, or the padding of
    base64. Words have a number at their end at most: oauth2, sha256."""
    if not _OPAQUE.fullmatch(value):
        return False
    if _HEX.fullmatch(value) and len(_DIGITS.findall(value)) > 1:
        return True
    if len(value) >= 12 and value.endswith("=") and len(value) % 4 == 0:
        return True
    mixed = value != value.lower() and value != value.upper()
    if len(value) >= 16 and mixed and len(_DIGITS.findall(value)) > 2:  # with _ and - among them
        return True
    if mixed and _CALLED.fullmatch(value) and _WITHIN.search(value.partition("_")[2]):
        return True
    return any(
        len(_DIGITS.findall(piece)) > 1
        or (len(piece) >= 20 and _WITHIN.search(piece) and piece.lower() != piece)
        or (len(piece) >= 24 and _DIGITS.search(piece))
        for piece in _PIECE.findall(value)
        if not piece.isdigit()
    )


@lru_cache(maxsize=8_192)
def segments(path: str) -> tuple[str, ...]:
    """The path's segments, with `{name}` for those that vary. What is behind SEGMENTS of them is
    one `*`."""
    steps = path.lstrip("/").split("/", SEGMENTS)
    found = [
        # The number in /2/httpapi is the API's version.
        step if at == 0 and _SMALL_NUMBER.fullmatch(step) and len(steps) > 1
        else f"{{{kind}}}" if (kind := varies(step))
        else step
        for at, step in enumerate(s.partition(";")[0] for s in steps[:SEGMENTS])
    ]  # fmt: skip
    return (*found, "*") if len(steps) > SEGMENTS else tuple(found)


def template(path: str) -> str:
    return "/" + "/".join(segments(path))


class RouteTable:
    """Bounds the templates of a host. It forgets them at a restart: the store's own bound on
    endpoints holds for all."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], set[str]] = {}

    def of(self, profile: str, host: str, path: str) -> str:
        found = template(path if len(path) <= 1_024 else path[:1_024])
        known = self._known.get((profile, host))
        if known is None:
            if len(self._known) >= HOSTS:
                self._known.pop(next(iter(self._known)), None)
            known = self._known[profile, host] = set()
        if found in known:
            return found
        if len(known) < ROUTES:
            known.add(found)
            return found
        prefix = f"/{found.split('/', 2)[1]}/*"
        return prefix if any(one.startswith(prefix[:-1]) for one in known) else "/*"
