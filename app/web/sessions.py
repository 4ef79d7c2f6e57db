"""Keeps people in: a session is a sealed cookie, and a link opens one session, once.

The cookie holds the bearer token that the person came with, sealed with a key of the data
directory, and every request asks the authority about that token anew: a session ends with its
token, and survives a restart of the app. Called by `app.web.entrance` and `app.web.page`.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import NamedTuple

from cryptography.fernet import Fernet, InvalidToken

SESSION_S = 12 * 3600
CODE_S = 600
_CODES = 100  # links that wait to be opened; the oldest goes
_COOKIE_CAP = 3_800  # characters: browsers drop a cookie over 4096 with its name


class TooLargeError(ValueError):
    """The token does not fit into a cookie."""


class PageSession(NamedTuple):
    """`form_token` must come back with whatever changes something."""

    token: str
    form_token: str


class Sessions:
    def __init__(self, key: bytes) -> None:
        """`key` is the data directory's; the sealing key is derived from it."""
        derived = hmac.digest(key, b"telemock: sessions of the page", "sha256")
        self._seal = Fernet(base64.urlsafe_b64encode(derived))
        self._forms = hmac.digest(key, b"telemock: forms of people whom a proxy names", "sha256")

    def form_token_of(self, user: str) -> str:
        """The form token of somebody who has no session of ours: a login proxy names them."""
        return hmac.new(self._forms, user.encode(), "sha256").hexdigest()

    def cookie(self, token: str) -> str:
        """Raises TooLargeError."""
        content = json.dumps([token, secrets.token_urlsafe(24)]).encode()
        sealed = self._seal.encrypt(content).decode("ascii")
        if len(sealed) > _COOKIE_CAP:
            raise TooLargeError
        return sealed

    def read(self, cookie: str) -> PageSession | None:
        """Returns None for one that is foreign, damaged or too old."""
        try:
            content = self._seal.decrypt(cookie.encode("utf-8", "replace"), ttl=SESSION_S)
        except InvalidToken:
            return None
        return PageSession(*json.loads(content))


class Codes:
    """Codes of links that were printed, and not opened yet. In memory: a restart voids them."""

    def __init__(self) -> None:
        self._held: dict[bytes, tuple[str, float]] = {}

    def make(self, token: str) -> str:
        code = secrets.token_urlsafe(24)
        while len(self._held) >= _CODES:
            del self._held[next(iter(self._held))]
        self._held[_digest(code)] = token, time.monotonic() + CODE_S
        return code

    def take(self, code: str) -> str | None:
        """Returns the code's token, once; None for a code that is unknown, used or too old."""
        token, until = self._held.pop(_digest(code), ("", 0.0))
        return token if time.monotonic() < until else None


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "replace")).digest()
