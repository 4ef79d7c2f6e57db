"""A network namespace of one's own: for redirects, and for ports that a machine has only once."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
_ENTER = (
    ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
)
_ENVIRONMENT = {**os.environ, "PATH": PATH}

_FILES = {"/etc/resolv.conf": "", "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n"}


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


def run(
    script: str,
    *arguments: str,
    ipv6: bool = True,
    network: Sequence[str] = (),
    files: dict[str, str] | None = None,
    seconds: float = 60,
) -> str:
    """What a Python script says that runs in a new namespace, with loopback up and nothing else.

    Without `ipv6` as in a pod of a cluster that has none. `network` are commands of `ip` that make
    what is there before. `files` are seen in place of the machine's, and may be written to.
    The machine's own resolvers and names are not seen.
    """
    off = "" if ipv6 else "sysctl -qw net.ipv6.conf.all.disable_ipv6=1; "
    lines = "".join(f"ip {command}; " for command in network)
    with tempfile.TemporaryDirectory() as directory:
        for number, (path, text) in enumerate({**_FILES, **(files or {})}.items()):
            (Path(directory) / str(number)).write_text(text)
            lines += f"mount --bind {directory}/{number} {path}; "
        return _run(f'ip link set lo up; {off}{lines}exec "$@"', seconds, script, *arguments)


def _run(setup: str, seconds: float, script: str, *arguments: str) -> str:
    done = subprocess.run(
        [*_ENTER, "--mount", "sh", "-ec", setup, "-", sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        cwd=ROOT,
        env=_ENVIRONMENT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Namespace:
    """A network namespace of its own: what runs `inside` it sees no other network."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, initializer=os.unshare, initargs=(os.CLONE_NEWNET,))
        self.inside(self.command, "ip", "link", "set", "lo", "up")

    def inside[T](self, do: Callable[..., T], *args: Any, **named: Any) -> T:
        return self._thread.submit(do, *args, **named).result(60)

    @staticmethod
    def command(*words: str) -> None:
        subprocess.run(words, check=True, capture_output=True)

    def close(self) -> None:
        self._thread.shutdown()
