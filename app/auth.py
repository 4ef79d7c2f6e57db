"""Who may use the API: every route below `/api` names its Policy, an Authority decides.

On a laptop the holder of the token that the app makes at its first start (`LocalAuthority`; the
command line and a sidecar on the same machine read it from the data directory), in a cluster whom
its API server knows (`app.cluster.token_review`). Mock, health and metrics ask nobody.
"""

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from fastapi import Request
from fastapi.security import HTTPBearer
from fastapi.security.base import SecurityBase

from app.contract.files import write_whole
from app.contract.names import FILE_MASK_KEY, FILE_TOKEN

# Of the resource captures.telemock.io, as ClusterRoles name them.
Verb = Literal["get", "list", "watch", "delete"]


class Denied(Exception):
    """The caller does not get in, with the HTTP status that says so. The text is meant for people,
    and for whoever it is that asked."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Pod(NamedTuple):
    """The pod that a sidecar's token was given to."""

    namespace: str
    name: str
    uid: str


class Caller(NamedTuple):
    """Who asks. `sidecar` may have the key that masked values' tokens are made with; `pod` is the
    one it speaks for, None where it may speak for any (on a laptop)."""

    name: str
    sidecar: bool
    pod: Pod | None = None


class Authority(Protocol):
    """Says who a caller is and whether a route is open to it. Fails closed."""

    async def check(self, token: str, policy: "Policy") -> Caller:
        """Raises Denied."""
        ...


class LocalAuthority:
    """On a laptop: one token, which opens everything."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def check(self, token: str, policy: "Policy") -> Caller:
        shown = token.encode("utf-8", "surrogateescape")
        if not shown or not secrets.compare_digest(shown, self._token):
            raise Denied(
                401,
                ("the token is wrong" if token else "the token is missing or wrong")
                + "\n\nhint: send `Authorization: Bearer TOKEN`; the token is in the data "
                "directory, file `token`",
            )
        return Caller("the token's holder", sidecar=True)


_bearer = HTTPBearer(
    auto_error=False,
    description="On a laptop the token in the data directory, file `token`; in a cluster one that "
    "its API server accepts.",
)


@dataclass(frozen=True)
class Policy(SecurityBase):
    """Whom a route lets in: people who may `verb` captures (None: nobody), sidecars, or both.

    A route takes it as a dependency, and gets the Caller. For OpenAPI it is the bearer token.
    """

    model, scheme_name = _bearer.model, _bearer.scheme_name

    verb: Verb | None
    sidecar: bool = False

    async def __call__(self, request: Request) -> Caller:
        given = await _bearer(request)
        authority: Authority = request.app.state.runtime.authority
        return await authority.check(given.credentials if given else "", self)


def token(directory: Path) -> str:
    """The token in `directory`, made when there is none. Raises OSError."""
    return (
        _secret(directory / FILE_TOKEN, secrets.token_urlsafe(32).encode()).decode("ascii").strip()
    )


def mask_key(directory: Path) -> bytes:
    """The 32 bytes that masked values' tokens are made with, made when there are none.

    Raises OSError, and ValueError when the file holds something else.
    """
    path = directory / FILE_MASK_KEY
    key = _secret(path, secrets.token_bytes(32))
    if len(key) != 32:
        raise ValueError(
            f"{path} holds {len(key)} bytes, expected 32\n\n"
            "hint: restore it, or remove it to get a new key; equal values then get other tokens"
        )
    return key


def _secret(path: Path, new: bytes) -> bytes:
    """The file's bytes; without a file, `new` is put there first. Two processes that start at once
    get the same: the file appears whole, and the first one wins."""
    with contextlib.suppress(FileNotFoundError):
        if held := path.read_bytes():
            return held
        path.unlink()  # an empty file is what a full disk leaves behind
    with contextlib.suppress(FileExistsError):
        write_whole(path, [new], 0o600, put=os.link, sync=True)
    return path.read_bytes()
