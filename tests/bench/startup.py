"""How long `telemock --help` takes, by turns with a Python that does nothing.

`python -m tests.bench.startup [--turns 21] [--beside PATH/TO/telemock]` prints a line for each: the
median time, the least and the most, and the processor time, which other work on the machine hardly
changes. `--beside` adds the same commands of another installation, such as one of `main`.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.figures import summary

COMMANDS = (("--help",), ("captures", "tail", "--help"), ("version",))
BARE = "python -c pass"


class Run(NamedTuple):
    """Milliseconds."""

    wall: float
    processor: float


def commands(telemock: Path, beside: Path | None) -> dict[str, list[str]]:
    """By name, in the order of a turn."""
    found = {BARE: [sys.executable, "-c", "pass"]}
    found["python -c 'import typer'"] = [sys.executable, "-c", "import typer"]
    for arguments in COMMANDS:
        found[" ".join(("telemock", *arguments))] = [str(telemock), *arguments]
        if beside is not None:
            found[" ".join(("beside", *arguments))] = [str(beside), *arguments]
    return found


def run(command: Sequence[str]) -> Run:
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    begun = time.monotonic()
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Run(wall * 1e3, (used.ru_utime + used.ru_stime) * 1e3)


def measured(commands: Mapping[str, Sequence[str]], turns: int) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {name: [] for name in commands}
    for turn in range(-1, turns):  # the first is not counted: files come from the disk
        for name, command in commands.items():
            taken = run(command)
            if turn >= 0:
                found[name].append(taken)
    return found


def told(found: Mapping[str, Sequence[Run]]) -> list[str]:
    lines = []
    for name, runs in found.items():
        wall = summary([r.wall for r in runs])
        processor = summary([r.processor for r in runs])
        lines.append(
            f"{name}: {wall.median:.0f} ms ({wall.low:.0f} to {wall.high:.0f}), "
            f"processor {processor.median:.0f} ms"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.startup", description=__doc__)
    parser.add_argument("--turns", type=int, default=21)
    parser.add_argument("--beside", type=Path, metavar="TELEMOCK")
    given = parser.parse_args()
    telemock = Path(sys.executable).with_name("telemock")
    print(*told(measured(commands(telemock, given.beside), given.turns)), sep="\n")


if __name__ == "__main__":
    main()
