"""addon/container_memory.py: cgroup files as both versions of the kernel's have them."""

from pathlib import Path

import pytest

from addon import container_memory
from addon.container_memory import LOOKS_S, RESERVE, ContainerMemory, memory

MIB = 1 << 20


def group(folder: Path, *, used: int, files: int = 20 * MIB, usage: str = "memory.current") -> None:
    """What the cgroup of a container tells; each file is replaced in one step."""
    stat = f"anon {used}\ninactive_file {files // 2}\nactive_file {files // 2}\nsock 0\n"
    for name, text in ((usage, f"{used + files}\n"), ("memory.stat", stat)):
        new = folder / f"{name}.new"
        new.write_text(text)
        new.replace(folder / name)


@pytest.mark.parametrize("usage", ["memory.current", "memory.usage_in_bytes"])
def test_files_do_not_count(tmp_path: Path, usage: str) -> None:
    """The kernel takes them back."""
    group(tmp_path, used=60 * MIB, files=100 * MIB, usage=usage)
    found = ContainerMemory(str(tmp_path), usage, 100 * MIB)
    assert found.used() == 60 * MIB
    assert (
        ContainerMemory(str(tmp_path), usage, 1000 * MIB).used() == 160 * MIB
    )  # not looked at closely
    assert found.room == int(100 * MIB * (1 - RESERVE)) - 60 * MIB


def test_it_is_looked_at_the_oftener_the_less_is_left(tmp_path: Path) -> None:
    found = ContainerMemory(str(tmp_path), "memory.current", 1000 * MIB)
    waits = []
    for used in (0, 600, 750, 874, 990):
        group(tmp_path, used=used * MIB)
        waits.append(found.patience())
    assert waits == sorted(waits, reverse=True)
    assert (waits[0], waits[-1]) == LOOKS_S[::-1]


def test_what_cannot_be_read_ends_nothing(tmp_path: Path) -> None:
    found = ContainerMemory(str(tmp_path), "memory.current", 100 * MIB)
    assert found.used() == 0 and found.room > 0
    (tmp_path / "memory.current").write_text("much")
    assert found.used() == 0


@pytest.mark.parametrize(
    ("files", "limit"),
    [({"memory.max": "201326592"}, 192 * MIB), ({"memory.max": "max"}, 0),
     ({"v1/memory.limit_in_bytes": "201326592"}, 192 * MIB),
     ({"v1/memory.limit_in_bytes": "9223372036854771712"}, 0), ({}, 0)],
)  # fmt: skip
def test_the_limit(
    files: dict[str, str], limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "v1").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    places = [
        (place.replace("/sys/fs/cgroup/memory", str(tmp_path / "v1")), *names)
        for place, *names in container_memory._CGROUPS
    ]
    places = [(place.replace("/sys/fs/cgroup", str(tmp_path)), *names) for place, *names in places]
    monkeypatch.setattr(container_memory, "_CGROUPS", places)
    found = memory()
    assert (found.limit if found else 0) == limit


def test_this_machine_s_can_be_read() -> None:
    found = memory()
    assert found is None or 0 < found.used() < 1 << 60
