"""A small volume that can really be full: a tmpfs in a mount namespace of its own."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_ENTER = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
_SCRIPT = 'mount -t tmpfs -o size="$1",mode=0777 tmpfs "$2" && echo mounted && exec cat'


class Volume:
    """`path` is its name inside of the namespace, which commands behind `enter` are in; `seen` is
    where this process finds it. SQLite cannot be opened under the second name."""

    def __init__(self, path: Path, pid: int) -> None:
        self.path = path
        self.seen = Path(f"/proc/{pid}/root{path}")
        user = ["--user", "--preserve-credentials"] if _ENTER else []
        go = ["sh", "-c", 'cd "$0" && exec "$@"', str(path)]
        self.enter = ["nsenter", "--target", str(pid), "--mount", *user, *go]

    def fill(self) -> None:
        """Leave no byte."""
        with (self.seen / "filler").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            for piece in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while file.write(bytes(piece)) == piece:
                        pass

    def free(self) -> None:
        (self.seen / "filler").unlink()


@contextlib.contextmanager
def volume(path: Path, size: int) -> Iterator[Volume]:
    """Mounts `size` bytes at `path`, which it creates. Skips the test where it cannot mount."""
    missing = [tool for tool in ("unshare", "nsenter", "mount") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    path.mkdir()
    holder = subprocess.Popen(
        ["unshare", *_ENTER, "--mount", "sh", "-c", _SCRIPT, "-", str(size), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if holder.stdin is None or holder.stdout is None or holder.stderr is None:
        raise AssertionError
    try:
        if holder.stdout.readline() != b"mounted\n":
            why = holder.stderr.read().decode().strip()
            pytest.skip(f"no file system can be mounted in a namespace here: {why}")
        yield Volume(path, holder.pid)
    finally:
        holder.stdin.close()  # ends it, and the volume with the last process that uses it
        holder.wait(10)
        holder.stdout.close()
        holder.stderr.close()
