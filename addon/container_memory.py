"""How much of its memory the container uses, as its cgroup tells it. Read by `addon.supervisor`.

At the limit the kernel ends a process, with cgroup v2 all of the container's together: the kubelet
wants it so (memory.oom.group). Then the pod is not ready.
"""

from typing import NamedTuple

RESERVE = 1 / 8  # of the limit: for what is allocated between two looks
# The less is left, the sooner the next look comes, as if this much were allocated in a second.
GROWTH = 400 << 20
LOOKS_S = (0.02, 1.0)

# Of version 2 and of version 1, with the files of the limit and of what is used.
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
        """Bytes that may still be used; less than 0 when it is about to be too much."""
        return int(self.limit * (1 - RESERVE)) - self.used()

    def used(self) -> int:
        """Bytes that the kernel cannot take back: all but files, which count while there is much
        room. With version 2 what it holds for sockets counts too. 0 when it cannot be read."""
        try:
            used = int(_read(f"{self.folder}/{self.usage}"))
            if used < self.limit // 2:  # files or not; the rest takes the kernel longer
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
    """None where there is no limit."""
    for folder, most, usage in _CGROUPS:
        try:
            found = _read(f"{folder}/{most}").strip()
        except OSError:
            continue
        # Without a limit version 2 says "max", version 1 a number beyond any machine's memory.
        limited = found.isdigit() and int(found) < 1 << 60
        return ContainerMemory(folder, usage, int(found)) if limited else None
    return None


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes a megabyte
        return file.read()
