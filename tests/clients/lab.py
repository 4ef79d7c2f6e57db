"""All clients through one sidecar: an app, a sidecar and the vendors' hosts in a network namespace.

In `mock` the clients come by the kernel's redirect, as in a pod. In `observe` they come through
CONNECT, behind a `Tee` that keeps what each of them sent, which must be what the vendors got.
"""

import contextlib
import http.client
import json
import random
import select
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

from app.contract import names
from app.contract.rules import Bundle, RuleSet
from app.run import processes
from tests.clients import starting
from tests.clients.table import HOSTS, PROFILES, Client
from tests.clients.vendor import Vendor
from tests.netns import ROOT, Namespace
from tests.peers import Listener
from tests.sidecar import Sidecar, authority
from tests.waiting import wait_for

PORT = 17443  # of the redirect
DUMMIES = ",".join(f"192.0.2.{number}={host}" for number, host in enumerate(HOSTS, 1))


def planted(client: Client, version: str) -> dict[str, str]:
    """What the client is told to send; the secrets are its own."""
    mark = f"{random.getrandbits(64):016x}"
    return {
        "version": version,
        "password": f"c4na/ry+{mark}=x",
        "key": "AKIA" + "".join(random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=16)),
        "email": f"c4nary.{mark}@acme.test",
        "own_key": f"{random.getrandbits(128):032x}",
    }


class Tee(Listener):
    """Stands for every host, keeps what comes, and passes it on through the sidecar's CONNECT."""

    def __init__(self, context: ssl.SSLContext, sidecar: Sidecar) -> None:
        self.connections: list[bytearray] = []
        self._sidecar = sidecar
        context.sni_callback = lambda tls, name, _: setattr(tls, "host", name)
        super().__init__(context, port=443)

    def connected(self, connection: socket.socket) -> None:
        kept = bytearray()
        self.connections.append(kept)
        with self._sidecar.connect(connection.host) as far:  # type: ignore[attr-defined]
            other = {connection: far, far: connection}
            while True:
                # One thread: OpenSSL reads and writes a connection by turns only.
                for ready in [s for s in other if s.pending()] or select.select(other, [], [])[0]:
                    ready.setblocking(False)
                    with contextlib.suppress(ssl.SSLWantReadError):  # a ticket, not yet data
                        if not (data := ready.recv(65536)):
                            return
                        if ready is connection:
                            kept += data
                        other[ready].setblocking(True)
                        other[ready].sendall(data)


class Lab:
    def __init__(self, folder: Path, mode: str, **environ: str) -> None:
        folder.mkdir()
        self.folder, self.mode = folder, mode
        self.space = Namespace()
        self.inside = self.space.inside
        ca, context = authority(folder, *HOSTS)
        self.vendor: Vendor = self.inside(Vendor, context)
        self.data, self.logs = folder / "app", folder / "logs"
        self.app: processes.App = self.inside(
            processes.start_app, self.data, self.logs,
            environ={"TELEMOCK_PROFILES": ",".join(PROFILES), "LOG_LEVEL": "DEBUG", **environ},
        )  # fmt: skip
        self.sidecar: Sidecar = self.inside(
            Sidecar, folder / "sidecar", Bundle(RuleSet()),
            TELEMOCK_APP_URL=self.app.url,
            TELEMOCK_TOKEN_FILE=str(self.data / names.FILE_TOKEN),
            TELEMOCK_MODE=mode,
            TELEMOCK_HOSTS=DUMMIES,
            TELEMOCK_TRANSPARENT=f"127.0.0.1:{PORT}",
            TELEMOCK_UPSTREAM_CA=str(ca),
            TELEMOCK_RESOLVE=",".join(f"{host}:443=127.0.0.1:{self.vendor.port}" for host in HOSTS),
            LOG_LEVEL="DEBUG",
            **environ,
        )  # fmt: skip
        self.inside(wait_for, lambda: self.sidecar.health()["profiles"]["source"] == "app", 20)
        self.hosts, self.trust = folder / "hosts", self.sidecar.data / "ca/bundle.pem"
        at, self.tee = DUMMIES.replace("=", " ").split(","), None
        if mode == "observe":
            at, self.trust = [f"127.0.0.1 {host}" for host in HOSTS], ca
            self.tee = self.inside(Tee, context, self.sidecar)
        else:
            redirect = [
                sys.executable,
                "-m",
                "addon.redirect",
                "--hosts",
                DUMMIES,
                "--port",
                f"{PORT}",
            ]
            done = self.inside(subprocess.run, redirect, cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        self.hosts.write_text("\n".join(["127.0.0.1 localhost", *at]) + "\n")

    def run(self, client: Client, sent: dict[str, str]) -> subprocess.CompletedProcess[str]:
        home = self.folder.with_name(f"{self.folder.name}-home")  # not ours to search
        return self.inside(starting.start, client, home, self.hosts, self.trust, sent)

    def get(self, path: str) -> bytes:
        return self.inside(self._get, path)

    def _get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.app.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"authorization": f"Bearer {self.app.token}"})
            answer = connection.getresponse()
            assert answer.status == 200, (path, answer.status)
            return answer.read()

    def delivered(self) -> None:
        """Waits until the app has all records."""

        def all_there() -> bool:
            said = self.sidecar.health()["shipper"]
            return said["reserved"] == said["stored"]

        self.inside(wait_for, all_there, 30)

    def captures(self, profile: str) -> list[dict[str, Any]]:
        found = self.get(f"/api/v1/captures?limit=1000&order=arrival&profile={profile}")
        return json.loads(found)["items"]

    def command(self, *arguments: str) -> bytes:
        done = self.inside(
            subprocess.run, [*processes.PYTHON, "app.cli", *arguments], cwd=ROOT,
            env={"PATH": starting.PATH, "TELEMOCK_DATA": str(self.data)}, capture_output=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def stop(self) -> None:
        self.inside(self.sidecar.stop)
        self.inside(self.app.stop)
        self.vendor.close()
        if self.tee is not None:
            self.tee.close()
        self.space.close()
