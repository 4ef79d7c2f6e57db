"""A memory limit as a container has it: a control group below this process's own, where root may
make one; and what a process takes of it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

MIB = 1024 * 1024
_MOUNT = Path("/sys/fs/cgroup")


class Group:
    """A control group of version 1 or 2."""

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        path.mkdir()
        second = (path / "memory.max").exists()
        (path / ("memory.max" if second else "memory.limit_in_bytes")).write_text(str(limit))
        swap = path / ("memory.swap.max" if second else "memory.memsw.limit_in_bytes")
        with contextlib.suppress(OSError):  # without swap there is no such file
            swap.write_text("0" if second else str(limit))

    def enter(self) -> None:
        """Moves the calling process into the group, in a child before exec."""
        (self.path / "cgroup.procs").write_text("0")

    def remove(self) -> None:
        self.path.rmdir()


@contextlib.contextmanager
def group(limit: int) -> Iterator[Group | None]:
    """Makes a group; yields None where that is impossible."""
    made = None
    for parent in _own():
        with contextlib.suppress(OSError):
            made = Group(parent / f"telemock-test-{os.getpid()}", limit)
            break
    try:
        yield made
    finally:
        if made is not None:
            made.remove()


def _own() -> Iterator[Path]:
    """The directories of this process's own groups for memory."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield _MOUNT / "memory" / path.lstrip("/")
        elif not controllers and "memory" in _read(_MOUNT / "cgroup.controllers"):
            yield _MOUNT / path.lstrip("/")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def resident(pid: int, *, peak: bool = False) -> int:
    """Bytes; `peak` since `forget`."""
    name = "VmHWM:" if peak else "VmRSS:"
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(name)[2].split()[0]) * 1024


def forget(pid: int) -> None:
    """Has the peak begin anew, where the kernel lets us."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")
