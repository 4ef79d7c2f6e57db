"""Writes files atomically: readers see the whole file or none."""

import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path


def write_whole(
    path: Path,
    pieces: Iterable[bytes],
    mode: int = 0o666,
    *,
    put: Callable[[Path, Path], None] = os.replace,
    sync: bool = False,
) -> None:
    """Writes a temporary file beside `path` and `put`s it there: `os.link` keeps a file that exists
    already. `mode` before the umask; `sync` survives a power failure. Raises OSError."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.writelines(pieces)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        put(part, path)
    finally:
        part.unlink(missing_ok=True)
