"""A network namespace of one's own: for redirects, and for ports that a machine has only once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
_ENTER = (
    ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
)
_ENVIRONMENT = {**os.environ, "PATH": PATH}


def require() -> None:
    """Skips the test where there is no network namespace with nft."""
    missing = [t for t in ("unshare", "nft", "ip") if shutil.which(t, path=PATH) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    probe = subprocess.run(
        [*_ENTER, "nft", "-f", "-"],
        input="add table inet probe\nadd chain inet probe c { type nat hook output priority 0; }\n",
        capture_output=True,
        text=True,
        env=_ENVIRONMENT,
        check=False,
    )
    if probe.returncode:
        pytest.skip(f"no network namespace with nft here: {probe.stderr.strip()}")


def run(script: str, *arguments: str, ipv6: bool = True) -> str:
    """What a Python script says that runs in a new namespace, with loopback up and nothing else.

    Without `ipv6` as in a pod of a cluster that has none.
    """
    off = "" if ipv6 else "sysctl -qw net.ipv6.conf.all.disable_ipv6=1; "
    setup = f'ip link set lo up; {off}exec "$@"'
    done = subprocess.run(
        [*_ENTER, "sh", "-ec", setup, "-", sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env=_ENVIRONMENT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
