"""Without a webhook: what `telemock inject` prints is enough, as values of the official charts and
as a manifest."""

import base64
from typing import Any

import pytest
import yaml

from tests.e2e import pods
from tests.e2e.cluster import Cluster, documents
from tests.e2e.conftest import Cribl
from tests.e2e.release import Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

API_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
LINE = b"cribl /// living the stream!\n"


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, release: Release) -> str:
    """Not opted in."""
    return cluster.make_namespace(f"{release.name}-gitops")


def as_the_chart_renders(deployment: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """What the official charts make of these values, and nothing of any other."""
    spec = deployment["spec"]["template"]["spec"]
    (main,) = spec["containers"]
    known = {"extraInitContainers", "extraVolumeMounts", "env", "podSecurityContext",
             "extraPodConfigs", "extraSecretMounts", "podAnnotations"}  # fmt: skip
    assert set(values) <= known, values.keys()
    spec["initContainers"] = values.get("extraInitContainers", [])

    def mount(each: dict[str, Any], source: dict[str, Any]) -> None:
        spec.setdefault("volumes", []).append({"name": each["name"], **source})
        main.setdefault("volumeMounts", []).append(
            {
                "name": each["name"],
                "mountPath": each["mountPath"],
                "subPath": each.get("subPath", ""),
                "readOnly": each.get("readOnly"),
            }
        )

    for each in values.get("extraVolumeMounts", []):
        source = {"emptyDir": {}}
        if "existingClaim" in each:
            source = {"persistentVolumeClaim": {"claimName": each["existingClaim"]}}
        elif "hostPath" in each:
            source = {"hostPath": {"path": each["hostPath"]}}
        mount(each, source)
    for each in values.get("extraSecretMounts", []):
        mount(each, {"projected": each["projected"]})
    main["env"] += [{"name": k, "value": v} for k, v in values.get("env", {}).items()]
    spec["securityContext"] = values.get("podSecurityContext", {})
    spec |= values.get("extraPodConfigs", {})
    return deployment


@pytest.mark.parametrize("chart", ["leader", "workergroup"])
def test_the_official_charts_values(
    cluster: Cluster, release: Release, cribl: Cribl, namespace: str, chart: str
) -> None:
    values = yaml.safe_load(release.inject("--values", chart))
    objects = pods.leader(namespace) if chart == "leader" else pods.workergroup(namespace)
    made = [as_the_chart_renders(o, values) if o["kind"] == "Deployment" else o for o in objects]
    cluster.apply(*made)
    selector, count = (pods.LEADER, 1) if chart == "leader" else (pods.WORKERS, 2)
    for pod in cluster.ready_pods(namespace, selector, count):
        assert cluster.run(pod, "telemock", "ls", "-A", API_TOKEN) == ""
        tag = f"by-values-{pod['metadata']['name']}"
        answer = cribl.telemetry(pod, tag)
        assert base64.b64decode(answer.get("body", "")) == LINE, answer
        assert release.capture(tag)["workload"]["pod"] == pod["metadata"]["name"]


def test_a_manifest(cluster: Cluster, release: Release, cribl: Cribl, namespace: str) -> None:
    plain = yaml.safe_dump_all([pods.node("by-manifest", namespace)])
    cluster.apply(*documents(release.inject("-f", "-", text=plain)))
    (pod,) = cluster.ready_pods(namespace, "app.kubernetes.io/name=by-manifest")
    assert cribl.telemetry(pod, "by-manifest")["status"] == 200
    assert cluster.run(pod, "telemock", "ls", "-A", API_TOKEN) == ""
    release.capture("by-manifest")
