"""From an unknown host to a profile in two commands, with real clients: run --open, learn, add; and
the draft keeps them content in the vendor's place."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from app.run.processes import PYTHON
from tests.clients import starting
from tests.clients.capture import SENT, version
from tests.clients.table import CLIENTS, HOSTS, INSTALLED, Client
from tests.clients.vendor import Vendor
from tests.netns import ROOT, Namespace
from tests.sidecar import authority

pytestmark = pytest.mark.root


# Each takes some ten seconds: EVERY_CLIENT=1 tries all of the table.
SOME = ("python/posthog", "python/mlflow", "python/huggingface", "python/dbt", "node/next",
        "node/sentry")  # fmt: skip
TRIED = [c for c in CLIENTS if c.id in SOME or os.environ.get("EVERY_CLIENT")]


class Bench(NamedTuple):
    space: Namespace
    vendor: Vendor
    ca: Path

    def telemock(
        self, folder: Path, *arguments: str, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        resolve = ",".join(f"{host}:443=127.0.0.1:{self.vendor.port}" for host in HOSTS)
        return self.space.inside(
            subprocess.run,
            [*PYTHON, "app.cli", *arguments],
            cwd=folder, capture_output=True, text=True, timeout=100, check=False,
            env={
                "PATH": starting.PATH, "HOME": str(folder), "PYTHONPATH": str(ROOT),
                "TELEMOCK_DATA": str(folder / "data"), "TELEMOCK_RESOLVE": resolve,
                "SSL_CERT_FILE": str(self.ca), "NODE_PATH": str(INSTALLED / "node_modules"),
                "SENT": json.dumps(SENT), **environ,
            },
        )  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("learn")
    if os.geteuid():
        pytest.skip("needs root")
    space = Namespace()
    ca, context = authority(folder, *HOSTS)
    vendor = space.inside(Vendor, context)
    with contextlib.closing(vendor):
        yield Bench(space, vendor, ca)
    space.close()


def command(client: Client) -> list[str]:
    if client.program.suffix == ".py":
        return [str(INSTALLED / "bin/python"), "-P", str(client.program)]
    # Mixpanel's for Node.js fails where any proxy is named.
    return ["env", "-u", "HTTPS_PROXY", "-u", "HTTP_PROXY", "node", str(client.program)]


@pytest.mark.parametrize("client", TRIED, ids=lambda client: client.id)
def test_two_commands_lead_to_a_profile_that_keeps_the_client_content(
    bench: Bench, tmp_path: Path, client: Client
) -> None:
    if lacking := starting.lacking(client):
        pytest.skip(lacking)
    bench.vendor.requests.clear()
    opened = bench.telemock(
        tmp_path, "run", "--open", ",".join(client.hosts), "--wait", "0", "--", *command(client)
    )
    assert opened.returncode == 0, opened.stderr
    assert f"opened for this run alone: {', '.join(client.hosts)}" in opened.stderr
    sent = len(bench.vendor.requests)
    assert sent >= client.requests
    kept = bench.telemock(tmp_path, "captures", "list", "--json").stdout
    for secret in client.secrets - {"own_key"}:
        assert SENT[secret] not in kept
    file = tmp_path / "draft.yaml"
    learned = bench.telemock(tmp_path, "learn", "-o", str(file))
    assert learned.returncode == 0, learned.stderr
    assert bench.telemock(tmp_path, "rules", "check", str(file)).returncode == 0
    text = file.read_text()
    for secret in ("password", "key", "email"):
        assert SENT[secret] not in text
    added = bench.telemock(tmp_path, "profiles", "add", str(file))
    assert added.returncode == 0, added.stderr
    bench.vendor.requests.clear()
    again = bench.telemock(tmp_path, "run", "--json", "--wait", "0", "--", *command(client))
    assert again.returncode == 0, again.stderr
    assert bench.vendor.requests == []
    said = json.loads(again.stdout[again.stdout.index("{") :])
    taken = [row for row in said["sent"] if row["host"] in client.hosts]
    assert sum(row["count"] for row in taken) == sent
    assert {row["action"] for row in taken} == {"mock"}
    lines = bench.telemock(tmp_path, "captures", "list", "--action", "mock", "--json").stdout
    versions = {json.loads(line).get("product_version", "") for line in lines.splitlines()}
    right = version(client) if client.version == "package" else SENT["version"]
    if client.id == "python/huggingface":  # its User-Agent names who uses it, and then itself
        assert f"it was {right}." in text
        right = SENT["version"]
    assert versions - {""} == {right}, text
