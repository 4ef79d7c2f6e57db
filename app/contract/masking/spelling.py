"""Reads the meaning of a name in any spelling: `user[password]`, `DB_PASSWORD` and `userPassword`
are passwords, `password_policy` is none.

Used by the sensitive names of `fields`.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal, cast

How = Literal["drop", "mask", "token", "keep"]


class _Called(str):
    __slots__ = ("by",)
    by: str


def called(how: How, by: str) -> How:
    """The treatment, with what calls for it: a name, or the id of a detector."""
    found = _Called(how)
    found.by = by
    return cast(How, found)


def caller(how: How) -> str:
    """The name or detector that calls for a treatment, "" where nobody has said so."""
    return getattr(how, "by", "")


LONGEST = 256  # characters of a name; of a longer one its end counts
_REMEMBERED = 1024  # names of one part of a message
_STEPS = re.compile(r"[\[\].:/]+")
_WORD = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+|[0-9]+")
# What says of a thing whether it is there, and not what it is.
_WHETHER = frozenset(
    ("has", "is", "no", "not", "without", "use", "uses", "need", "needs", "requires", "required")
)
# What the word before `token` is where it is no credential: cursors, and words of language models.
OTHER_TOKENS = (
    "page", "next", "prev", "previous", "continuation", "continue", "sync", "cursor", "skip",
    "resume", "pagination", "start", "end", "first", "last", "per", "max", "min", "eos", "bos",
    "pad", "unk", "sep", "cls", "mask", "stop", "special", "prompt", "completion", "input",
    "output", "total", "change", "delta", "idempotency",
)  # fmt: skip
# What the word before `key` is in a header that holds no credential: what to find a thing by.
OTHER_KEYS = (
    "idempotency", "idempotent", "routing", "websocket", "socket", "cache", "surrogate", "primary",
    "foreign", "partition", "shard", "sort", "hash", "range", "row", "index", "order", "ordering",
    "message", "object", "event", "group", "lock", "limit", "dedup", "deduplication", "correlation",
    "request", "trace", "feature", "flag", "translation", "public", "host",
    "meta", "ctrl", "alt", "shift",
)  # fmt: skip
# Ends of words that are written together.
_GLUED = (
    "password", "passwd", "passphrase", "passwort", "apikey", "token", "secret", "secretkey",
)  # fmt: skip
# What stands behind a secret's name where it is the secret all the same: `password_old`.
_STILL = frozenset(("value", "values", "plain", "plaintext", "old", "new", "current", "base"))


def plain(name: str) -> str:
    """The name without padding, compatibility forms (full-width letters) and invisible marks."""
    name = name[-LONGEST:]
    if not name.isascii():
        name = unicodedata.normalize("NFKC", name)
        name = "".join(c for c in name if unicodedata.category(c) != "Cf")
    return name.strip()


def words(name: str) -> list[str]:
    """`dbPassword`, `DB_PASSWORD` and `db-password` are `db` and `password`."""
    return [word.lower() for word in _WORD.findall(name)]


def joined(name: str) -> str:
    return "".join(words(plain(name)))


class Meanings:
    """The treatments of values under the names of one part of a message.

    A name means what another one means that has the same words, alone or as its last step
    (`a.lic`, `lic[]`). `ends` mean it as the last words of any name too.
    """

    def __init__(self, ends: Sequence[str] = ()) -> None:
        self.named: dict[str, How] = {}  # in lower case, and its words joined
        self.names: dict[str, How] = {}  # as they were given, in lower case
        self._ends = {joined(end): called("mask", end) for end in ends}
        self._known: dict[str, How | None] = {}

    def add(self, name: str, how: How) -> None:
        how = called(how, name)
        self.names[name.lower()] = how
        for spelled in (joined(name), name.lower()):
            if spelled:
                self.named[spelled] = how
        self._known.clear()

    def meaning(self, name: str) -> How | None:
        """The treatment of a value under this name; None where it is not sensitive."""
        try:
            return self._known[name]
        except KeyError:
            how = self._meaning(name)
            if len(name) <= LONGEST:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[name] = how
            return how

    def _meaning(self, name: str) -> How | None:
        name = plain(name)
        steps = [s for s in _STEPS.split(name) if s and not s.isdigit()]
        spelled = words(steps[-1]) if steps else []
        for whole in (name.lower(), "".join(words(name)), "".join(spelled)):
            if whole in self.named:
                return self.named[whole]
        return self._end(spelled) if self._ends else None

    def _end(self, spelled: list[str]) -> How | None:
        # password2; and what an escape leaves before a name: 22has_password
        start = int(spelled[:1] != [] and spelled[0].isdigit())
        end = len(spelled)
        while end - start > 1 and (spelled[end - 1].isdigit() or spelled[end - 1] in _STILL):
            end -= 1
        numbered, spelled = end - start < len(spelled), spelled[start:end]
        if not spelled or spelled[0] in _WHETHER:
            return None
        of = spelled[-2:][0] if spelled[-1] == "token" else spelled[-1].removesuffix("token")
        if of in OTHER_TOKENS and spelled[-1].endswith("token"):
            return None
        if spelled[-1] == "key" and spelled[-2:][0] in OTHER_KEYS:
            return None
        ends = ("".join(spelled[i:]) for i in range(not numbered, len(spelled)))
        named = next((self._ends[end] for end in ends if end in self._ends), None)
        glued = next((end for end in _GLUED if spelled[-1].endswith(end)), "")
        return named or (called("mask", glued) if glued else None)
