"""Who may use the API: the holder of the token that the app makes at its first start.

`/api/*` asks for it, the mock, health and metrics never do. The command line and a sidecar on the
same machine read it from the data directory.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.contract.names import FILE_MASK_KEY, FILE_TOKEN


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
    part = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(new)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path.read_bytes()


_bearer = HTTPBearer(auto_error=False, description="The token in the data directory, file `token`.")


def require_token(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Refuses with 401 whoever does not show the token."""
    wanted: str = request.app.state.runtime.token
    shown = given.credentials if given else ""
    if not secrets.compare_digest(shown.encode("utf-8", "surrogateescape"), wanted.encode()):
        raise HTTPException(
            401,
            "the token is missing or wrong" if not shown else "the token is wrong",
            headers={"WWW-Authenticate": "Bearer"},
        )
