"""Runs the test files of a folder in two processes of pytest, side by side: they wait more than
they work. `python -m tests.side_by_side FOLDER [OPTION…]`; `make test-integration` calls it.

A file is run whole by one of the two. What each printed comes once it has ended; the exit code is
the worse one. pytest-xdist would not do: the tests are made from what the machine has, by each of
its processes anew.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

NOTHING_COLLECTED = 5  # pytest's, where options choose none of a half's


def halves(folder: Path) -> list[list[str]]:
    files = sorted(map(str, folder.glob("test_*.py")))
    return [files[::2], files[1::2]]


def main(arguments: Sequence[str]) -> int:
    folder, *options = arguments
    running = []
    for files in halves(Path(folder)):
        printed = tempfile.TemporaryFile()  # noqa: SIM115 - open until it was shown
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, *files]
        running.append((subprocess.Popen(command, stdout=printed, stderr=printed), printed))
    codes = []
    try:
        for process, printed in running:
            codes.append(process.wait())
            printed.seek(0)
            sys.stdout.write(printed.read().decode("utf-8", "replace"))
            sys.stdout.flush()
    finally:
        for process, _ in running:
            process.terminate()
    if 0 in codes and set(codes) <= {0, NOTHING_COLLECTED}:
        return 0
    return max(map(abs, codes))  # below 0: ended by a signal


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
