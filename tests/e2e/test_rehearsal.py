"""A pod whose vendor is having a bad day, by annotation."""

import pytest

from app.contract import names
from tests.e2e.cluster import Cluster, status_of
from tests.e2e.conftest import Cribl
from tests.e2e.release import Release

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
