"""`telemock status` and `telemock captures tail`, as an operator types them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import until
from tests.e2e.conftest import Cribl
from tests.e2e.release import TELEMOCK, VIEWER, Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
def viewer(release: Release, tmp_path: Path) -> dict[str, str]:
    """Environment with a kubeconfig of somebody who may look at pods and captures."""
    return release.environ(VIEWER, tmp_path)


def run(*arguments: str, env: dict[str, str] | None = None, code: int = 0) -> str:
    done = subprocess.run(
        [TELEMOCK, *arguments], capture_output=True, text=True, env=env, timeout=60
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_status_says_of_each_pod_what_it_is(release: Release, cribl: Cribl) -> None:
    leader = cribl.leader["metadata"]["name"]
    cribl.telemetry(cribl.leader, "for-status")
    release.capture("for-status")
    lines = run("status", "-n", cribl.namespace, "--json").splitlines()
    found: dict[str, dict[str, Any]] = {row["pod"]: row for row in map(json.loads, lines)}
    assert found[leader]["injected"] is True
    assert found[leader]["redirect_proven"] is True
    assert found[leader]["captures"] >= 1
    assert "vendor" not in found or found["vendor"]["injected"] is False


def test_status_is_readable_too(cribl: Cribl) -> None:
    said = run("status", "-n", cribl.namespace)
    assert cribl.leader["metadata"]["name"] in said


def test_tail_follows_a_namespace(release: Release, cribl: Cribl, viewer: dict[str, str]) -> None:
    process = subprocess.Popen(
        [TELEMOCK, "captures", "tail", "--server", f"cluster:{VIEWER}", "--namespace",
         cribl.namespace],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=viewer,
    )  # fmt: skip
    assert process.stdout
    os.set_blocking(process.stdout.fileno(), False)
    seen = b""

    def told() -> bool:
        nonlocal seen
        cribl.telemetry(cribl.leader, "for-tail", v="9.9.9-tail")
        seen += (process.stdout.read() or b"") if process.stdout else b""
        return b"9.9.9-tail" in seen

    try:
        until(told, "tail shows the capture", 45, pause=1)
    except AssertionError:
        print(seen.decode())
        raise
    finally:
        process.terminate()
        process.communicate(timeout=10)
