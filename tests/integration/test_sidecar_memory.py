"""Attacks on a sidecar of 192 MiB, one after the other, while a well-behaved client is answered.

All of them: `make attacks`, which prints the table.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.attacks.kinds import ATTACKS
from tests.attacks.lab import LIMIT, SLOWEST_S
from tests.sidecar import ROOT

QUICK = {x.name: x for x in ATTACKS if x.quick}


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.attacks", "--quick", "--json"],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    lines = [x for x in done.stdout.splitlines() if x.startswith("{")]
    assert lines, done.stderr
    return {x["name"]: x for x in map(json.loads, lines)}


@pytest.mark.parametrize("name", QUICK)
def test_the_sidecar_survives_and_goes_on_serving(
    outcomes: dict[str, dict[str, Any]], name: str
) -> None:
    assert name in outcomes, "an earlier attack killed it"
    outcome = outcomes[name]
    assert outcome["alive"]
    assert outcome["peak"] < LIMIT
    assert outcome["errors"] == []
    assert outcome["slowest"] < SLOWEST_S
    bounds = QUICK[name].bounds
    assert not bounds or set(bounds) & set(outcome["exceeded"])
