"""Reads the container's memory usage and limit from its cgroup, for `addon.supervisor`.

At the limit the kernel kills a process; with cgroup v2 all of the container's together, as the
kubelet sets memory.oom.group. Then the pod is not ready.
"""

from typing import NamedTuple

RESERVE = 1 / 8  # of the limit: for allocations between two looks
# The less is left, the sooner the next look, as if a process allocated this much per second.
GROWTH = 400 << 20
LOOKS_S = (0.02, 1.0)

# For cgroup v2 and v1: the folder, and its files with the limit and the usage.
_CGROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)


class ContainerMemory(NamedTuple):
    folder: str
    usage: str  # name of a file there
    limit: int

    @property
    def room(self) -> int:
        """Bytes that may still be used; negative shortly before the limit."""
        return int(self.limit * (1 - RESERVE)) - self.used()

    def used(self) -> int:
        """Bytes that the kernel cannot reclaim: without the page cache, which is included below
        half the limit. With v2 socket buffers count too. 0 when it cannot be read."""
        try:
            used = int(_read(f"{self.folder}/{self.usage}"))
            if used < self.limit // 2:  # with the page cache; the rest costs the kernel more time
                return used
            for line in _read(f"{self.folder}/memory.stat").splitlines():
                if line.startswith((b"active_file ", b"inactive_file ")):
                    used -= int(line.split()[1])
        except (OSError, ValueError):
            return 0
        return used

    def patience(self) -> float:
        """Seconds until the next look."""
        return min(max(self.room / GROWTH, LOOKS_S[0]), LOOKS_S[1])


def memory() -> ContainerMemory | None:
    """None if there is no limit."""
    for folder, most, usage in _CGROUPS:
        try:
            found = _read(f"{folder}/{most}").strip()
        except OSError:
            continue
        # Without a limit v2 says "max", v1 a number beyond any machine's memory.
        limited = found.isdigit() and int(found) < 1 << 60
        return ContainerMemory(folder, usage, int(found)) if limited else None
    return None


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes a megabyte
        return file.read()
