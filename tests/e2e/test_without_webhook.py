"""Without a webhook: what `telemock inject` prints is enough, as values of the official charts and
as a manifest."""

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import pods
from tests.e2e.cluster import Cluster, documents
from tests.e2e.conftest import Cribl
from tests.e2e.release import Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

LINE = b"cribl /// living the stream!\n"


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, release: Release) -> str:
    """Not opted in."""
    return cluster.make_namespace(f"{release.name}-gitops")


def telemock(release: Release, tmp_path: Path, *arguments: str, text: str = "") -> str:
    authority = tmp_path / "ca.pem"
    authority.write_bytes(release.secret()["ca.crt"])
    image = release.app_pod()["spec"]["containers"][0]["image"].replace("-app:", "-sidecar:")
    host = f"{release.app}.{release.namespace}.svc"
    done = subprocess.run(
        [str(Path(sys.executable).with_name("telemock")), "inject", *arguments,
         "--app-url", f"http://{host}:8000", "--api-ca", str(authority), "--image", image,
         "--mode", "mock"],
        input=text, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_the_chart_renders(deployment: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """What the official charts make of these values, and nothing of any other."""
    spec = deployment["spec"]["template"]["spec"]
    (main,) = spec["containers"]
    known = {"extraInitContainers", "extraVolumeMounts", "env", "podSecurityContext",
             "extraPodConfigs", "extraSecretMounts", "podAnnotations"}  # fmt: skip
    assert set(values) <= known, values.keys()
    spec["initContainers"] = values.get("extraInitContainers", [])
    for each in values.get("extraVolumeMounts", []):
        spec.setdefault("volumes", []).append(
            {"name": each["name"]} | {k: each[k] for k in ("emptyDir", "hostPath") if k in each}
        )
        main.setdefault("volumeMounts", []).append(
            {k: each[k] for k in ("name", "mountPath", "readOnly", "subPath") if k in each}
        )
    for each in values.get("extraSecretMounts", []):
        spec.setdefault("volumes", []).append(
            {"name": each["name"], "projected": each["projected"]}
        )
        main.setdefault("volumeMounts", []).append(
            {"name": each["name"], "mountPath": each["mountPath"], "readOnly": True}
        )
    main["env"] += [{"name": k, "value": v} for k, v in values.get("env", {}).items()]
    spec["securityContext"] = values.get("podSecurityContext", {})
    spec |= values.get("extraPodConfigs", {})
    return deployment


@pytest.mark.parametrize("chart", ["leader", "workergroup"])
def test_the_official_charts_values(
    cluster: Cluster, release: Release, cribl: Cribl, namespace: str, tmp_path: Path, chart: str
) -> None:
    values = yaml.safe_load(telemock(release, tmp_path, "--values", chart))
    objects = pods.leader(namespace) if chart == "leader" else pods.workergroup(namespace)
    made = [as_the_chart_renders(o, values) if o["kind"] == "Deployment" else o for o in objects]
    cluster.apply(*made)
    selector, count = (pods.LEADER, 1) if chart == "leader" else (pods.WORKERS, 2)
    for pod in cluster.ready_pods(namespace, selector, count):
        tag = f"by-values-{pod['metadata']['name']}"
        answer = cribl.telemetry(pod, tag)
        assert base64.b64decode(answer.get("body", "")) == LINE, answer
        assert release.capture(tag)["workload"]["pod"] == pod["metadata"]["name"]


def test_a_manifest(
    cluster: Cluster, release: Release, cribl: Cribl, namespace: str, tmp_path: Path
) -> None:
    plain = yaml.safe_dump_all([pods.node("by-manifest", namespace)])
    cluster.apply(*documents(telemock(release, tmp_path, "-f", "-", text=plain)))
    (pod,) = cluster.ready_pods(namespace, "app.kubernetes.io/name=by-manifest")
    assert cribl.telemetry(pod, "by-manifest")["status"] == 200
    release.capture("by-manifest")
