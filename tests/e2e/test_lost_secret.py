"""The Secret with the release's authority is deleted: what runs goes on, status says what is wrong,
and two commands mend it."""

import subprocess
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import TELEMOCK, Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def telemock(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [TELEMOCK, *arguments], capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout + done.stderr


def test_it_is_told_and_mended(
    cluster: Cluster, release: Release, cribl: Cribl, values: dict[str, Any]
) -> None:
    leader, authority = cribl.leader, release.secret()["ca.crt"]
    cluster.delete("v1", "Secret", f"{release.name}-tls", release.namespace)
    until(
        lambda: "there is no Secret" in telemock("status", "-n", cribl.namespace)[1],
        "status says that the app's Secret is gone",
        90,
        pause=3,
    )
    # Both go on with the certificate that they have.
    assert cribl.telemetry(leader, "without-secret")["status"] == 200

    release.upgrade(values)
    until(lambda: release.secret().get("ca.crt"), "there is an authority again", 90)
    assert release.secret()["ca.crt"] != authority
    until(
        lambda: set(release.ca_bundles()) == {release.secret()["ca.crt"]},
        "the API server trusts it",
        90,
    )
    old = f"{cribl.namespace}/{leader['metadata']['name']}: "

    def told() -> bool:
        code, said = telemock("status", "-n", cribl.namespace, "--check")
        mine = [line for line in said.splitlines() if line.startswith(old)]
        return code == 1 and any("authority" in line for line in mine)

    until(told, "status says that its pods trust another authority", 90, pause=3)
    code, said = telemock("restart", "-n", cribl.namespace, "--yes")
    assert code == 0 and f"restarted {cribl.namespace} deployment/leader" in said
    for name in ("leader", "workers-logstream-workergroup"):
        cluster.rolled_out("Deployment", name, cribl.namespace)
    until(
        lambda: cribl.leader["metadata"]["name"] != leader["metadata"]["name"],
        "there is another leader",
    )
    assert cribl.telemetry(cribl.leader, "with-new-secret")["status"] == 200
    release.capture("with-new-secret", 60)
