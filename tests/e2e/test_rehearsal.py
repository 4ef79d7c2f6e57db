"""A pod whose vendor is having a bad day, by annotation."""

import json
import subprocess
from typing import NamedTuple

import pytest

from app.contract import names
from app.contract.faults import FAILURES
from tests.e2e.cluster import Cluster, status_of, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import TELEMOCK, Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def test_the_annotation_puts_a_fault_over_the_answers_of_that_pod_alone(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    pod = cribl.start("rehearsed", annotations={"rehearse": "500 until 1h"})
    assert cribl.telemetry(pod, "rehearsed-one")["status"] == 500
    record = release.capture("rehearsed-one")
    assert (record["response"]["status"], record["answered_by"]) == (500, "sidecar")
    assert record["detail"] == "rehearsal: not the usual answer"
    assert cribl.telemetry(cribl.leader, "rehearsed-not")["status"] == 200


def test_one_that_has_ended_is_the_usual_answer_and_a_wrong_one_is_told(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    over = cribl.start("rehearsal-over", annotations={"rehearse": "500 until 2026-01-01T00:00:00Z"})
    assert cribl.telemetry(over, "over")["status"] == 200
    wrong = cribl.start("rehearsal-wrong", annotations={"rehearse": "500"})
    assert status_of(wrong)["reasons"] == ["rehearse_value"]
    assert names.LABEL_INJECTED not in wrong["metadata"]["labels"]


URL = "https://cdn.cribl.io/telemetry/index.html"
WITH_CURL = f"curl -sS --max-time 2 {URL} 2>&1; echo exit $?"
WITH_PYTHON = f"""
import urllib.request
try:
    print(urllib.request.urlopen({URL!r}, timeout=2).status)
except OSError as e:
    print(repr(getattr(e, "reason", e)))
"""


class Seen(NamedTuple):
    """How each client says that it met the failure."""

    node: str
    curl: str
    python: str


SEEN = {
    "refused": Seen("ECONNRESET", "reset by peer", "ConnectionResetError"),
    "dropped": Seen("ETIMEDOUT", "exit 28", "TimeoutError"),
    "tls-error": Seen("alert handshake failure", "exit 35", "SSLV3_ALERT_HANDSHAKE_FAILURE"),
}


@pytest.mark.parametrize("redirect", ["hosts", "loopback", "all"])
@pytest.mark.parametrize("failure", FAILURES)
def test_connections_of_the_hosts_fail_and_others_do_not(
    cluster: Cluster, release: Release, cribl: Cribl, failure: str, redirect: str
) -> None:
    name = f"{failure}-{redirect}"
    pod = cribl.start(
        name,
        annotations={"rehearse": f"{failure} until 1h", "redirect": redirect},
        spec=cribl.through_vendor(),
    )
    seen = SEEN[failure]
    assert seen.node in str(cribl.call(pod, URL, timeout="2000"))
    assert seen.curl in cluster.run(pod, "cribl", "sh", "-c", WITH_CURL)
    assert seen.python in cluster.run(pod, "cribl", "python3", "-c", WITH_PYTHON)
    attempts = 3
    if redirect == "all":  # by the name alone, at the host's own address
        address = cribl.vendor["status"]["podIP"]
        assert seen.node in str(cribl.call(pod, URL, timeout="2000", connect=address))
        attempts = 4
    # The vendor's own certificate, which this client does not trust: nobody opened it.
    other = cribl.call(pod, "https://elsewhere.test/")
    assert other["error"] == "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
    of_pod = {"workload": f"{cribl.namespace}/{name}"}
    records = until(
        lambda: len(found := release.captures(kind="refused", **of_pod)) >= attempts and found,
        "the connections are in the store",
    )
    assert {(x["reason"], x["profile"]) for x in records} == {("rehearsal", "cribl")}
    assert all(x["detail"].startswith(f"rehearsal: {failure}; ") for x in records)
    report = release.api("/api/v1/report", **of_pod).json()
    assert {row["reason"] for row in report["refused"]} == {"rehearsal"}
    assert "met a rehearsal's fault" in report["coverage"]["verdict"]


def test_a_failure_of_connections_ends_by_itself(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    pod = cribl.start("dropped-for-a-while", annotations={"rehearse": "dropped until 20s"})
    until(
        lambda: cribl.telemetry(pod, "dropped-while").get("status") == 200,
        "the vendor is back",
        pause=1,
    )


def test_a_pod_under_a_rehearsal_is_judged_by_one_without(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    often = {"TELEMETRY_SECONDS": "1"}
    cribl.start("as-usual", env=often)
    cribl.start("judged", annotations={"rehearse": "refused until 1h"}, env=often)
    for name in ("as-usual", "judged"):
        of_pod = {"workload": f"{cribl.namespace}/{name}"}
        until(
            lambda of_pod=of_pod: len(release.captures(**of_pod)) > 3,
            f"{name} has sent for a while",
        )
    pods = [f"--{n}={cribl.namespace}/{p}" for n, p in (("pod", "judged"), ("usual", "as-usual"))]
    done = subprocess.run(
        [TELEMOCK, "rehearse", *pods, "--json"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert (row["fault"], row["judgement"]["outcome"]) == ("refused until 1h", "degraded")
    assert "prints trouble" in row["judgement"]["because"]
    assert any("ECONNRESET" in line for line in row["judgement"]["lines"])
    assert row["evidence"]["attempts"] > 1  # in the time that both pods have
