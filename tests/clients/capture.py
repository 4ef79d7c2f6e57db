"""Writes what each client sends into `sent/`, for tests that need no client:

    python -m tests.clients.capture [CLIENT…]

as root, after `make clients`. What a client tells of this machine is replaced.
"""

import base64
import json
import sys
import tempfile
from collections import Counter
from importlib.metadata import distributions
from pathlib import Path

from tests.clients import starting
from tests.clients.table import CLIENTS, HERE, HOSTS, INSTALLED, Client
from tests.clients.vendor import Request, Vendor
from tests.netns import Namespace
from tests.sidecar import authority

SENT = {
    "version": "4.10",
    "password": "c4naryPassw0rd",
    "key": "AKIA" + "CANARYCANARYCANA",
    "email": "c4nary@acme.test",
    "own_key": "c4nary00" * 4,
}
ALIKE = 2  # requests of a method to a host that are kept
PYTHON = "import platform\nplatform.platform = lambda *_, **__: 'Linux-6.12.0-x86_64'\n"
NODE = """
const os = require("os");
os.release = () => "6.12.0";
os.cpus = () => [{ model: "a processor", speed: 0 }];
os.totalmem = () => 2 ** 31;
"""


def version(client: Client) -> str:
    """Of the package that is installed."""
    if client.program.suffix == ".cjs":
        package = INSTALLED / "node_modules" / client.package / "package.json"
        return str(json.loads(package.read_text())["version"])
    (packages,) = INSTALLED.glob("lib/python3*/site-packages")
    return next(
        one.version
        for one in distributions(path=[str(packages)])
        if one.name.lower().replace("_", "-") == client.package
    )


def written(requests: list[Request]) -> list[dict[str, object]]:
    alike = Counter[tuple[str, str]]()
    found = []
    for one in requests:
        alike[one.method, one.header("host")] += 1
        if alike[one.method, one.header("host")] <= ALIKE:
            found.append(one)
    return [
        {
            "method": one.method,
            "url": f"https://{one.header('host')}{one.target}",
            "headers": one.headers,
            "body": base64.b64encode(one.body).decode(),
        }
        for one in found
    ]


def main(asked: list[str]) -> None:
    space = Namespace()
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        ca, context = authority(folder, *HOSTS)
        vendor = space.inside(Vendor, context, 443)
        (folder / "hosts").write_text(f"127.0.0.1 localhost {' '.join(HOSTS)}\n")
        (folder / "sitecustomize.py").write_text(PYTHON)
        (folder / "machine.cjs").write_text(NODE)
        for client in CLIENTS:
            if asked and client.id not in asked:
                continue
            vendor.requests.clear()
            done = space.inside(
                starting.start, client, folder / "home", folder / "hosts", ca, SENT,
                PYTHONPATH=str(folder), NODE_OPTIONS=f"--require {folder / 'machine.cjs'}",
            )  # fmt: skip
            if done.returncode:
                sys.exit(f"{client.id} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
            release = version(client)
            said = {
                "client": f"{client.package} {release}",
                "version": release if client.version == "package" else SENT["version"],
                "requests": written(vendor.requests),
            }
            file = HERE / "sent" / f"{client.id.replace('/', '-')}.json"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(said, indent=1) + "\n")
            print(f"{client.id}: {said['client']}, {len(vendor.requests)} requests")
        vendor.close()
    space.close()


if __name__ == "__main__":
    main(sys.argv[1:])
