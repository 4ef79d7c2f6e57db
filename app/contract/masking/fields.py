"""Tells the sensitive names of a record, and finds the values under them in text.

Called by the masking with the `sensitive` list of a profile. The names every product has are masked
without a profile; a profile adds names, or lifts one with `keep`.
"""

import hmac
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property, lru_cache
from typing import Literal, NamedTuple

from app.contract.decoding.pairs import AGENT
from app.contract.masking import detection
from app.contract.masking.bounds import BY_VALUE, HIT, KEPT_BACK, MASKED, VALUES, Count
from app.contract.masking.coded import CODED
from app.contract.masking.naming import Group, groups
from app.contract.masking.patterns import Searches, as_owned, narrowed
from app.contract.masking.spelling import How, Meanings, called, plain
from app.contract.masking.traces import Traces
from app.contract.record import text
from app.contract.rules import Sensitive

Replace = Callable[[How, str], str]

MASK = "***"
_CREDENTIAL = called("mask", "credential")
_BEGUN = called("mask", "what was cut")
_TOKEN = "tok_"  # noqa: S105 - begins one
TOKEN = re.compile(_TOKEN + "[0-9a-f]{24}")

HEADERS = (
    "authorization", "proxy-authorization", "authentication", "cookie", "set-cookie", "x-api-key",
    "x-auth-token", "x-honeycomb-team", "x-jfrog-art-api",
)  # fmt: skip
# "pass" has other meanings, but behind these words.
SERVICES_PASS = tuple(
    f"{of}_pass" for of in (
        "user", "db", "smtp", "admin", "root", "auth", "mail", "ftp", "ssh", "ldap", "proxy",
        "redis", "mysql", "postgres", "pg", "mongo", "default", "key", "store", "keystore",
        "become", "sudo", "http", "basic", "bind", "login", "service",
    )
)  # fmt: skip
# "Password" in other languages.
ELSEWHERE = (
    "passwort", "kennwort", "geheimnis", "contraseña", "contrasena", "mot_de_passe", "senha",
    "parola", "wachtwoord", "salasana", "adgangskode", "passord", "lösenord", "hasło", "heslo",
    "jelszó", "şifre", "κωδικός", "пароль", "密码", "密碼", "パスワード", "비밀번호",
)  # fmt: skip
# Also as the last words of a longer name; `token` but behind those of `spelling.OTHER_TOKENS`.
ENDS = (
    "password", "passwd", "passphrase", "passcode", "password_hash", "password_digest",
    "password_confirm", "password_confirmation", "password_repeat", "secret", "api_key", "app_key",
    "application_key", "secret_key", "access_key", "account_key", "private_key", "signing_key",
    "encryption_key", "shared_key", "write_key", "ingest_key", "ingestion_key", "insert_key",
    "instrumentation_key", "functions_key", "deploy_key", "sentry_key", "license_key",
    "licence_key", "activation_key", "product_key", "auth_key", "master_key", "subscription_key",
    "connection_string", "authorization", "client_assertion", "seed_phrase", "recovery_code",
    "backup_code", "mfa_code", "otp_code", "token", "preshared_key", "psk", "hmac_key", "aes_key",
    "fernet_key", "session_key", "storage_key", "sas_key", "client_key", "login_key", "pass_key",
    "totp_seed", "signature_key",
    "conn_str", "recovery_phrase", "mnemonic", "security_answer", "security_code", "access_code",
    "verification_code", "sms_code", "card_pin", "user_pin", "pin_code", "csrf", "xsrf",
    "storepass", "keypass", *SERVICES_PASS, *ELSEWHERE,
)  # fmt: skip
ALONE = (
    "sig", "jwt", "bearer", "otp", "cvv", "cvv2", "cvc", "pin", "oauth2_bearer", "cookie",
    "set-cookie", "bindpw", "rootpw", "nkey",
    "connect.sid", "laravel_session", "gitlab_session", "asp.net_sessionid", "jsessionid",
    "phpsessid", "x-amz-signature",
    "x-goog-signature",
)  # fmt: skip
ONLY_ENDS = ("pwd", "pw")  # alone they are the working directory, and a width

ONLY_HEADERS_END = "key"  # but behind those of `spelling.OTHER_KEYS`


class Places(NamedTuple):
    """At which of some names a sensitive value stands, and at which one that is kept; all of the
    names, a line each; whether secrets may stand in them; and which of them name others."""

    at: tuple[int, ...]
    kept: tuple[int, ...]
    names: str
    odd: bool = False
    among: tuple[Group, ...] = ()
    agents: tuple[int, ...] = ()  # User-Agents


class SensitiveNames:
    """The sensitive names of one profile, by the part of a message they stand in.

    `paths` are dotted paths of JSON fields, or ends of them, without the steps through lists.
    """

    known = True  # False where values are looked for, and no names

    def __init__(self, sensitive: Iterable[Sensitive] = (), count: Count | None = None) -> None:
        self._count = count
        ends = (*ENDS, *ONLY_ENDS)
        self.header = Meanings((*ends, ONLY_HEADERS_END))
        self.query, self.body = Meanings(ends), Meanings(ends)
        self.path = Meanings()
        for part in (self.header, self.query, self.body):
            for name in (*ENDS, *ALONE, *(HEADERS if part is self.header else ())):
                part.add(name, "mask")
        self.paths: dict[str, How] = {}
        self.reads_bodies = False  # a body that cannot be read may hide what the profile names
        # Bodies in which nothing is, with their types: a mock gives the same answer each time.
        self.clean: set[tuple[object, ...]] = set()
        self._empty: set[str] = set()
        self._places: dict[tuple[str, str], Places] = {}
        for field in sensitive:
            self._add(field)

    def _add(self, field: Sensitive) -> None:
        if field.where in ("body", "any"):
            self.reads_bodies |= field.how != "keep"
            steps = [s for s in field.name.lower().split(".") if s != "*" and not s.isdigit()]
            if len(steps) > 1:
                self.paths[".".join(steps)] = called(field.how, field.name)
        parts = ("query", "header", "body") if field.where == "any" else (field.where,)
        for part in parts:
            meanings: Meanings = getattr(self, part)
            meanings.add(field.name, field.how)

    def places(self, part: Literal["query", "header"], names: Sequence[str]) -> "Places":
        """The positions of sensitive names among these. Remembered: a product sends the same ones
        each time."""
        joined = "\n".join(names)
        # Where no name has two lines, no other names are the same text.
        alone = joined.count("\n") < len(names)
        found = self._places.get((part, joined)) if alone else None
        if found is None:
            meanings: Meanings = getattr(self, part)
            means = [meanings.meaning(name) for name in names]
            at = tuple(i for i, how in enumerate(means) if how not in (None, "keep"))
            kept = tuple(i for i, how in enumerate(means) if how == "keep")
            odd = self._searches.maybe_else(joined.encode()) or (
                "=" in joined and self.maybe(joined.encode())
            )
            agents = tuple(i for i, name in enumerate(names) if name.lower() == AGENT)
            found = Places(at, kept, joined, odd, groups(names), agents)
            if alone and len(joined) <= SMALL:
                if len(self._places) >= _REMEMBERED:
                    self._places.clear()
                self._places[part, joined] = found
        return found

    def remember(self, clean: tuple[object, ...]) -> None:
        if len(self.clean) >= _REMEMBERED:
            self.clean.clear()
        self.clean.add(clean)

    def beyond(self, bound: str) -> None:
        """Counts a bound of BOUNDS that a record hit."""
        if self._count is not None:
            self._count(HIT, bound)

    def withheld(self, reason: str) -> None:
        """Counts a value or body that is not kept, by an id of REASONS."""
        if self._count is not None:
            self._count(KEPT_BACK, reason)

    def masked(self, by: str) -> None:
        """Counts a record of which something was masked, by the name or the detector's id."""
        if self._count is not None:
            self._count(MASKED, by or BY_VALUE)

    def meaning(self, name: str) -> How | None:
        """The treatment of a value under the name, in an unknown part of the record."""
        how = self._text.meaning(name)
        return None if how == "keep" else how

    def step(self, path: str, name: str) -> str:
        """The path of a JSON field, for `of_field`: empty where no path is sensitive."""
        if not self.paths or name.isdigit():
            return path
        name = plain(name).lower()
        return f"{path}.{name}" if path else name

    def of_field(self, name: str, path: str) -> How | None:
        """The treatment of the JSON field `name`, the last step of `path`; None leaves it as it
        came, "keep" says that the profile wants so."""
        for end, how in self.paths.items():
            if path == end or path.endswith("." + end):
                return how
        return self.body.meaning(name)

    @cached_property
    def _text(self) -> Meanings:
        """The treatment of a name in text of an unknown part; of two, the stricter."""
        meanings = Meanings((*ENDS, *ONLY_ENDS))
        found: dict[str, How] = {}
        leaves = {p.rpartition(".")[2]: how for p, how in self.paths.items()}
        parts = (self.body, self.query, self.header)
        for names in (*(part.names for part in parts), self.path.names, leaves):
            for name, how in names.items():
                if how != "keep":
                    found[name] = how if found.get(name, how) == how else called("mask", name)
                elif all(part.meaning(name) == "keep" for part in parts):
                    meanings.add(name, "keep")
        for name, how in found.items():
            meanings.add(name, how)
        return meanings

    @cached_property
    def _searches(self) -> Searches:
        return Searches([*self._text.names, *ENDS, *ONLY_ENDS], (*detection.EITHER, CODED))

    def maybe(self, data: bytes) -> bool:
        """True if `replace` could find something: one pass, without false negatives."""
        return self._searches.maybe(narrowed(data)[0] if b"\xef" in data else data)

    def empty(self, value: str) -> bool:
        """True if `replace` finds nothing in the text. Remembered for short texts: a product sends
        the same ones each time, and a look takes longer than to remember one."""
        if value in self._empty:
            return True
        if self.maybe(value.encode("utf-8", "surrogatepass")):
            return False
        if len(value) <= _SHORT:
            if len(self._empty) >= _TEXTS:
                self._empty.clear()
            self._empty.add(value)
        return True

    def maybe_else(self, data: bytes) -> bool:
        """True if a secret by what it is may be in it, or encoded text."""
        return self._searches.maybe_else(data)

    def _how(self, names: Iterable[str]) -> How:
        """The treatment of a value that text gives; one without a name is a credential."""
        means = {self._text.meaning(name) or "keep" for name in names} or {_CREDENTIAL}
        return next((how for how in means if how != "keep"), "keep")

    def replace(self, data: bytes, replace: Replace) -> bytes:
        """Text with the values that stand under a name in it, and those that are secrets by what
        they are, each replaced by `replace(how, value)`."""
        return detection.detected(
            self._named(data, replace), lambda how, raw: replace(how, text(raw)).encode()
        )

    def cut(self, data: bytes, replace: Replace) -> bytes:
        """Text that was cut, without the beginning of a secret at its end."""
        at = detection.cut(data)
        return data if at == len(data) else data[:at] + replace(_BEGUN, text(data[at:])).encode()

    def _named(self, data: bytes, replace: Replace) -> bytes:
        """Text with `name=value`, `name: value`, `"name": "value` (also unterminated), the same
        percent-encoded or escaped once more, `--name value`, multipart fields, XML elements,
        credentials of the usual schemes and userinfo in URLs, each value replaced by
        `replace(how, value)`.

        Tolerant on purpose: where a value's end is in doubt, too much is taken. After VALUES values
        the rest of the text is taken.
        """
        read, moved = narrowed(data) if b"\xef" in data else (data, [])
        out: list[bytes] = []
        done = at = 0
        while (found := self._searches.given(read, at)) is not None:
            given, begins = found
            if len(out) > 2 * VALUES:
                self.beyond("values")
                return b"".join([*out, MASK.encode()])
            how = self._how(given.names)
            start, end = (_origin(at, moved) for at in (given.start, given.end))
            if start < done:  # within a value that is gone already
                at = max(given.end, at + 1)
                continue
            raw, at = data[start:end], given.start
            if how != "keep" and raw.lower() not in _NOTHING:
                # What ends the value may begin the next name: the search goes on from there.
                at = given.end
                if given.group == "bare" and self.meaning(text(raw)):
                    at = given.start  # `$env:API_TOKEN = …`: the value is a name, too
                out += [data[done:start], replace(how, as_owned(raw, given.group)).encode()]
                done = end
            at += begins == at == given.end
        return b"".join([*out, data[done:]])


@cache
def _no_names() -> SensitiveNames:
    names = SensitiveNames()
    names.maybe(b"")  # makes its searches
    return names


class TracedNames(SensitiveNames):
    """Values that were found already, in place of names: for another look into what was opened."""

    known = False

    def __init__(self, traces: Traces) -> None:
        # Made for one record: searches of its own would take milliseconds.
        self.__dict__.update(_no_names().__dict__)
        self._traces = traces
        self.header, self.query, self.body = Meanings(), Meanings(), Meanings()
        self.clean, self._empty, self._places = set(), set(), {}

    def meaning(self, name: str) -> How | None:
        return None

    def maybe(self, data: bytes) -> bool:
        return True

    maybe_else = maybe

    def replace(self, data: bytes, replace: Replace) -> bytes:
        return self._traces.clean(data.decode("utf-8", "surrogateescape")).encode(
            "utf-8", "surrogateescape"
        )

    def cut(self, data: bytes, replace: Replace) -> bytes:
        return data


def _origin(at: int, moved: Sequence[tuple[int, int]]) -> int:
    before = bisect_right(moved, (at, at << 2))
    return at + (moved[before - 1][1] if before else 0)


SMALL = 2048  # characters of what is remembered
_REMEMBERED = 64  # lists of names, and bodies
_SHORT, _TEXTS = 48, 2048  # characters of a text that is remembered, and how many are
_NOTHING = (b"", b"null", b"none", b"undefined", b"nil", MASK.encode())


def tokens(key: bytes) -> Callable[[str], str]:
    """Equal values get equal tokens, so that joins still work. Remembers the last ones: the same
    instance sends the same values each time."""

    @lru_cache(maxsize=1024)
    def token(value: str) -> str:
        digest = hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256")
        return _TOKEN + digest.hex()[:24]

    return token
