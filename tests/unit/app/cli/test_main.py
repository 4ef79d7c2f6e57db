"""`python -m app.cli` is the command line."""

import subprocess
import sys


def test_module_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("telemock ")
