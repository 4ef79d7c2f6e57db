"""Access to the API: every route below `/api` names its Policy, an Authority decides.

On a laptop one token opens the API; the app makes it at its first start (`LocalAuthority`), the
command line and a local sidecar read it from the data directory. In a cluster the API server
reviews callers (`app.cluster.token_review`). Mock, health and metrics need no token.
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

# Verbs of the resource captures.telemock.io, as ClusterRoles name them.
Verb = Literal["get", "list", "watch", "update", "delete"]


class Denied(Exception):
    """The caller is refused, with this HTTP status. The text is meant for people, callers
    included."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Pod(NamedTuple):
    """The pod that a sidecar's token was issued to."""

    namespace: str
    name: str
    uid: str


class Caller(NamedTuple):
    """The authenticated caller. A `sidecar` may fetch the key that makes masked values' tokens;
    `pod` is the pod it speaks for, None where it may speak for any (on a laptop). `namespaces` are
    those whose captures it may read, None without a bound."""

    name: str
    sidecar: bool
    pod: Pod | None = None
    namespaces: tuple[str, ...] | None = None


class Authority(Protocol):
    """Authenticates a caller and checks that a route is open to it. Fails closed."""

    async def check(self, token: str, policy: "Policy", namespace: str = "") -> Caller:
        """`namespace` is the one that the caller asks about, "" for all. Raises Denied."""
        ...


class LocalAuthority:
    """A laptop's authority: one token opens everything."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def check(self, token: str, policy: "Policy", namespace: str = "") -> Caller:
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
    """Callers that a route admits: people who may `verb` captures (None: no people), sidecars.
    `bounded`: also people who may do so in some namespaces; the route then looks at
    `Caller.namespaces`.

    A route takes it as a dependency, and gets the Caller. OpenAPI shows it as the bearer token.
    """

    model, scheme_name = _bearer.model, _bearer.scheme_name

    verb: Verb | None
    sidecar: bool = False
    bounded: bool = False

    async def __call__(self, request: Request) -> Caller:
        given = await _bearer(request)
        authority: Authority = request.app.state.runtime.authority
        workload = request.query_params.get("workload", "") if self.bounded else ""
        namespace = workload.rpartition("/")[0]
        return await authority.check(given.credentials if given else "", self, namespace)


def token(directory: Path) -> str:
    """Returns the token in `directory`, made when there is none.

    Raises OSError, and ValueError when the file holds something else.
    """
    path = directory / FILE_TOKEN
    found = _secret(path, secrets.token_urlsafe(32).encode()).strip()
    if not found.isascii() or not found.decode("ascii").isprintable():
        raise ValueError(f"{path} holds no token\n\nhint: remove it: a new one is made")
    return found.decode("ascii")


def mask_key(directory: Path) -> bytes:
    """Returns the 32-byte key that makes masked values' tokens, created when missing.

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
    """Returns the file's bytes; writes `new` there first if there is no file. Two processes that
    start at once get the same: the file appears whole, and the first one wins."""
    with contextlib.suppress(FileNotFoundError):
        if held := path.read_bytes():
            return held
        path.unlink()  # a full disk leaves an empty file behind
    with contextlib.suppress(FileExistsError):
        write_whole(path, [new], 0o600, put=os.link, sync=True)
    return path.read_bytes()
