"""Starts a client in a network namespace, with an /etc/hosts of its own and nothing of this
machine's environment."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.clients.table import HERE, INSTALLED, Client
from tests.netns import PATH

SECONDS = 60
# $0 replaces /etc/hosts; the programs are seen in a place that is the same everywhere.
_SETUP = f'mount --bind "$0" /etc/hosts; mount --bind {HERE} /mnt; hostname acme; exec "$@"'
_ENTER = ["unshare", "--mount", "--uts", "--propagation", "private", "sh", "-ec", _SETUP]


def lacking(client: Client) -> str:
    """What it takes to run the client, "" if nothing."""
    if os.geteuid():
        return "needs root"
    installed = INSTALLED / ("bin/python" if client.program.suffix == ".py" else "node_modules")
    if not installed.exists():
        return "the clients are not installed: make clients"
    if client.program.suffix == ".cjs" and shutil.which("node") is None:
        return "no node here"
    return ""


def start(
    client: Client, folder: Path, hosts: Path, ca: Path, sent: Mapping[str, str], **environ: str
) -> subprocess.CompletedProcess[str]:
    """Runs it to its end. `ca` is all that a Python client trusts, and more for one of Node.js."""
    program = f"/mnt/{client.id}{client.program.suffix}"
    command = ["node", program]
    if client.program.suffix == ".py":
        command = [str(INSTALLED / "bin/python"), "-P", program]
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [*_ENTER, str(hosts), *command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={
            "PATH": PATH,
            "HOME": str(folder),
            "NODE_PATH": str(INSTALLED / "node_modules"),
            "NODE_EXTRA_CA_CERTS": str(ca),
            "SSL_CERT_FILE": str(ca),
            "REQUESTS_CA_BUNDLE": str(ca),
            "SENT": json.dumps(sent),
            **environ,
        },
    )
