"""A namespace's quota or LimitRange never stops an application because of us."""

import json
import subprocess
from typing import Any

import pytest

from app.inject.resources import LEAST
from tests.e2e import pods
from tests.e2e.cluster import Cluster, status_of, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import TELEMOCK, Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

REPLICAS = 6
OWN = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}


def bounded(cluster: Cluster, namespace: str, kind: str, **spec: Any) -> None:
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": "bound", "namespace": namespace},
            "spec": spec,
        }
    )


def deployment(namespace: str, replicas: int = 1, **annotations: str) -> dict[str, Any]:
    node = pods.node("web", namespace)
    node["spec"]["containers"][0] |= {"resources": OWN}
    made = pods.workload("Deployment", "web", namespace, "web", node["spec"])
    made["spec"]["replicas"] = replicas
    made["spec"]["template"]["metadata"]["annotations"] = {
        f"telemock.io/{name}": value for name, value in annotations.items()
    }
    return made


def status(namespace: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [TELEMOCK, "status", "-n", namespace, "--json"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return list(map(json.loads, done.stdout.splitlines()))


def test_a_quota_that_fits_the_application_alone(cluster: Cluster, release: Release) -> None:
    """All replicas run; as many as fit have a sidecar, and the others say why they have none."""
    namespace = cluster.make_namespace(f"{release.name}-quota", inject="enabled")
    # Of what one takes with a sidecar (96Mi), three, and what the others take alone.
    bounded(cluster, namespace, "ResourceQuota", hard={"requests.memory": f"{3 * 96 + 3 * 32}Mi"})
    until(
        lambda: cluster.get("v1", "ResourceQuota", "bound", namespace).get("status"),
        "the quota is counted",
    )
    cluster.apply(deployment(namespace, REPLICAS))
    found = cluster.ready_pods(namespace, "app.kubernetes.io/name=web", REPLICAS, 120)
    injected = [p for p in found if status_of(p)["injected"]]
    left = [p for p in found if not status_of(p)["injected"]]
    assert injected and left
    for pod in left:
        assert status_of(pod)["reasons"] == ["quota"]
    rows = {row["pod"]: row for row in status(namespace)}
    for pod in left:
        (problem,) = rows[pod["metadata"]["name"]]["problems"]
        assert "the ResourceQuota bound has" in problem and "requests.memory left" in problem


def test_a_quota_of_cpu_limits(cluster: Cluster, release: Release, cribl: Cribl) -> None:
    namespace = cluster.make_namespace(f"{release.name}-limits", inject="enabled")
    bounded(cluster, namespace, "ResourceQuota", hard={"limits.cpu": "2"})
    until(
        lambda: cluster.get("v1", "ResourceQuota", "bound", namespace).get("status"),
        "the quota is counted",
    )
    plain = deployment(namespace)
    plain["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "200m"}}
    cluster.apply(plain)
    (pod,) = cluster.ready_pods(namespace, "app.kubernetes.io/name=web")
    assert status_of(pod)["reasons"] == ["quota"]
    assert "telemock.io/resources" in status_of(pod)["said"][0]
    # With what the sentence asks for it gets one.
    annotations = {"telemock.io/resources": json.dumps({"limits": {"cpu": "500m"}})}
    plain["spec"]["template"]["metadata"]["annotations"] = annotations
    cluster.apply(plain)
    (pod,) = until(
        lambda: [
            p
            for p in cluster.pods(namespace, "app.kubernetes.io/name=web")
            if status_of(p).get("injected")
        ],
        "the next pod gets a sidecar",
    )
    until(lambda: cluster.ready_pods(namespace, "app.kubernetes.io/name=web", 1, 60), "it is ready")
    answer = until(
        lambda: cribl.telemetry(pod, "with-cpu-limits").get("status") == 200, "it is answered"
    )
    assert answer
    release.capture("with-cpu-limits")


def test_a_limit_range(cluster: Cluster, release: Release) -> None:
    namespace = cluster.make_namespace(f"{release.name}-range", inject="enabled")
    limits = [{"type": "Container", "max": {"memory": "128Mi"}}]
    bounded(cluster, namespace, "LimitRange", limits=limits)
    cluster.apply(deployment(namespace))
    (pod,) = cluster.ready_pods(namespace, "app.kubernetes.io/name=web")
    assert status_of(pod)["reasons"] == ["limit_range"]
    (row,) = status(namespace)
    assert (
        "at most 128Mi of memory, and container telemock has a limit of 192Mi"
        in (row["problems"][0])
    )
    assert not [e for e in cluster.events(namespace, "FailedCreate")]


def test_a_pod_that_cannot_be_made_is_told(cluster: Cluster, release: Release) -> None:
    """Refused without us too: status names the workload, which has no pod to be asked about."""
    namespace = cluster.make_namespace(f"{release.name}-unmade", inject="enabled")
    bounded(cluster, namespace, "ResourceQuota", hard={"pods": "0"})
    until(
        lambda: cluster.get("v1", "ResourceQuota", "bound", namespace).get("status"),
        "the quota is counted",
    )
    cluster.apply(deployment(namespace))

    def told() -> bool:
        done = subprocess.run(
            [TELEMOCK, "status", "-n", namespace], capture_output=True, text=True, timeout=60
        )
        return "its pods cannot be made: " in done.stdout and "exceeded quota" in done.stdout

    until(told, "status names the workload")


def test_the_least_limits_are_enough(cluster: Cluster, release: Release, cribl: Cribl) -> None:
    """What `telemock.io/resources` takes, a pod starts with."""
    given = {part: {"limits": dict(limits)} for part, limits in LEAST.items()}
    given["sidecar"]["requests"] = {"cpu": "10m", "memory": "64Mi"}
    node = cribl.start("least", annotations={"resources": json.dumps(given)})
    sidecar, redirect = node["spec"]["initContainers"][:2]
    assert sidecar["resources"]["limits"] == LEAST["sidecar"]
    assert redirect["resources"]["limits"] == LEAST["redirect"]
    assert cribl.telemetry(node, "with-least")["status"] == 200
    release.capture("with-least", 60)
    assert cluster.ask(node, 17490, "/health")["restarts"] == 0
