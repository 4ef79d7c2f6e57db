"""Checks that a directory can be written, and that a volume is large enough for its limits.

Called by `app.ingest.writer` and `app.logs.files` only after a failed write, to notice when there
is room again, and by `app.runtime` at start.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

TRIED = 1 << 20  # bytes of the trial write


def lacking(directory: Path) -> str:
    """Returns why the directory takes no writes, "" when it does. Writes an unnamed file and frees
    it at once: a quota, unlike a full disk, shows only so."""
    try:
        with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
            if file.write(bytes(TRIED)) < TRIED:
                return os.strerror(errno.ENOSPC)
    except OSError as e:
        return e.strerror or type(e).__name__
    return ""


def too_small(limits: Mapping[Path, int]) -> str:
    """Warns if the limits (in bytes, 0 for none) of directories on one volume together exceed its
    size: it would fill up before retention deletes the oldest. They must exist."""
    volumes: dict[int, list[Path]] = {}
    for directory in limits:
        volumes.setdefault(directory.stat().st_dev, []).append(directory)
    for directories in volumes.values():
        whole = shutil.disk_usage(directories[0]).total
        allowed = sum(limits[d] for d in directories)
        if allowed > whole:
            return (
                f"the volume of {' and '.join(map(str, directories))} holds {whole >> 20} MiB, "
                f"less than the {allowed >> 20} MiB that it may be filled to"
            )
    return ""
