import subprocess
import sys
from pathlib import Path

import pytest

from app.contract.cores import no_core_dumps

SCRIPT = """
import resource
from app.contract.cores import no_core_dumps
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
no_core_dumps()
print(*resource.getrlimit(resource.RLIMIT_CORE), open("/proc/self/coredump_filter").read())
open("/proc/self/fd/1").close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what it looks at is Linux'")
def test_a_crash_leaves_no_memory_behind_and_proc_stays_ours() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[4],
    )  # fmt: skip
    assert done.stdout.split() == ["0", "0", "00000000"]


def test_it_may_be_called_again() -> None:
    no_core_dumps()
    no_core_dumps()


def test_the_limit_of_open_files_is_raised_as_far_as_it_goes() -> None:
    script = """
import resource
from app.contract.cores import allow_files
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256))
allow_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["256", "256"]
