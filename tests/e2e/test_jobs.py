"""A Job ends although a sidecar runs beside it, and its telemetry is not lost by that."""

import pytest

from tests.e2e import pods
from tests.e2e.cluster import Cluster, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def test_a_job_completes_and_its_telemetry_arrives(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "report", "namespace": cribl.namespace},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/name": "report"}},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [
                        {
                            "name": "report",
                            "image": pods.IMAGE,
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["node", "/opt/cribl/bin/cribl.mjs", "once"],
                            "env": [
                                {"name": "CRIBL_DIST_MODE", "value": "worker"},
                                {"name": "TEST_TAG", "value": "of-a-job"},
                            ],
                        }
                    ],
                },
            },
        },
    }
    cluster.apply(job)

    def ended() -> object:
        found = cluster.get("batch/v1", "Job", "report", cribl.namespace).get("status", {})
        assert not found.get("failed"), found
        return found.get("succeeded")

    until(ended, "the Job has completed", 90)
    assert release.capture("of-a-job")["workload"]["container"] == "report"
