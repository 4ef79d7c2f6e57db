"""Writes files atomically: readers see the whole file or none."""

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

PRIVATE, PRIVATE_DIR = 0o600, 0o700  # modes: nobody but the owner reads what was captured


def is_full(error: OSError) -> bool:
    """True if a disk, or its quota, has no room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_whole(
    path: Path,
    pieces: Iterable[bytes],
    mode: int = PRIVATE,
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


def write_to(path: Path, pieces: Iterable[bytes], mode: int = PRIVATE) -> None:
    """Writes where a person says: a file as `write_whole`, behind links too; a pipe or device, such
    as /dev/stdout, is written to and never replaced. Raises OSError."""
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            file.writelines(pieces)
    else:
        try:
            write_whole(path.resolve(), pieces, mode)
        except OSError as e:
            raise OSError(e.errno, e.strerror, str(path)) from None  # not the temporary file


def private(path: str, flags: int) -> int:
    """Opens a file for its owner alone; an `opener` for `open`."""
    return os.open(path, flags | os.O_CLOEXEC, PRIVATE)


def tighten(directory: Path, patterns: Iterable[str]) -> None:
    """Takes other users' access from the files in `directory` whose names match, as older versions
    left them, and from the directory itself unless it holds other things too.

    Leaves what belongs to another user, links, and directories that anybody may write to (/tmp).
    """
    patterns = tuple(patterns)
    with suppress(OSError):  # there is none, or it is not ours
        paths = list(directory.iterdir())
        ours = [path for path in paths if any(fnmatch(path.name, p) for p in patterns)]
        for path in ours:
            _restrict(path, os.O_NOFOLLOW, stat.S_ISREG)
        if len(ours) == len(paths):
            _restrict(directory, os.O_DIRECTORY, stat.S_ISDIR)


def _restrict(path: Path, flags: int, is_kind: Callable[[int], bool]) -> None:
    """Changes the file behind a descriptor: no link can take its place meanwhile."""
    with suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
        try:
            state = os.fstat(fd)
            shared = state.st_mode & stat.S_ISVTX
            if is_kind(state.st_mode) and state.st_uid == os.geteuid() and not shared:
                os.fchmod(fd, stat.S_IMODE(state.st_mode) & PRIVATE_DIR)
        finally:
            os.close(fd)
