"""`app.cli` loads nothing before Ctrl-C has its handler."""

import subprocess
import sys


def test_the_package_loads_nothing_of_ours() -> None:
    code = "import sys; import app.cli; print(*(m for m in sys.modules if m.startswith('app')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["app", "app.cli"]
