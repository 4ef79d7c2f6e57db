"""A pod whose own name and ids are looked for in what it sends, by annotation."""

import hashlib

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import Cribl
from tests.e2e.release import Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def test_an_id_that_is_made_of_the_pods_name_is_found_and_no_other_pod_is_searched(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    pod = cribl.start("canary-of-a-node", annotations={"canary": "true"})
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    made = hashlib.sha256(name.encode()).hexdigest()
    cribl.telemetry(pod, "canary-one", machine=made, place=uid)
    found = release.capture("canary-one")["canary"]["found"]
    assert {("query.machine", "SHA-256"), ("query.place", "as it is")} <= {
        (field, how) for _, field, how in found
    }
    assert name not in str(found) and uid not in str(found)
    cribl.telemetry(cribl.leader, "canary-not", machine=made)
    assert "canary" not in release.capture("canary-not")
