"""What a gate costs a job: `telemock run --nothing -- true`, by turns with `true` and a plain run.

`python -m tests.bench.gate [--turns 21]` prints a line for each: the median time, the least and the
most, and the processor time. `new` has a data directory of its own each time, as in a CI job.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.bench.startup import measured, told

_NEW = "export TELEMOCK_DATA=$(mktemp -d {folder}/XXXXXX); "


def commands(telemock: Path, folder: Path) -> dict[str, list[str]]:
    """By name, in the order of a turn."""
    gate = f"{telemock} run --nothing -- true 2>/dev/null"
    return {
        "true": ["sh", "-c", "true"],
        "telemock run --nothing -- true": ["sh", "-c", gate],
        "the same, new": ["sh", "-c", _NEW.format(folder=folder) + gate],
        "telemock run -- true": ["sh", "-c", f"{telemock} run -- true 2>/dev/null"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gate", description=__doc__)
    parser.add_argument("--turns", type=int, default=21)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"TELEMOCK_DATA": f"{folder}/data", "TELEMOCK_LOGS": f"{folder}/logs"}
        of = commands(Path(sys.executable).with_name("telemock"), Path(folder))
        print(*told(measured(of, given.turns)), sep="\n")


if __name__ == "__main__":
    main()
