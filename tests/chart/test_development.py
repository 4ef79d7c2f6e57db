"""skaffold.yaml, charts/dev.yaml and kind.yaml fit the tree and the chart. skaffold itself is not
needed: what it would look up in the repository is looked up here."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.generate import CHART, ROOT, render
from charts.values import read
from tests.chart.helm import needs_helm, objects, one

SKAFFOLD = yaml.safe_load((ROOT / "skaffold.yaml").read_text("utf-8"))
ARTIFACTS = {a["image"]: a for a in SKAFFOLD["build"]["artifacts"]}
(RELEASE,) = SKAFFOLD["deploy"]["helm"]["releases"]
# What schema v4beta13 knows of the objects that are used here.
KNOWN: dict[str, set[str]] = {
    "": {"apiVersion", "kind", "metadata", "build", "deploy", "portForward", "profiles", "test"},
    "build.local": {"push", "useBuildkit", "useDockerCLI", "concurrency", "tryImportMissing"},
    "artifact": {"image", "context", "docker", "sync", "requires", "hooks", "platforms"},
    "release": {
        "name", "chartPath", "valuesFiles", "setValues", "setValueTemplates", "namespace",
        "createNamespace", "wait", "upgradeOnChange", "useHelmSecrets", "version",
    },
    "portForward": {
        "resourceType", "resourceName", "namespace", "port", "address", "localPort",
    },
}  # fmt: skip


def test_no_key_is_unknown() -> None:
    assert SKAFFOLD["apiVersion"] == "skaffold/v4beta13"
    assert set(SKAFFOLD) <= KNOWN[""]
    assert set(SKAFFOLD["build"]["local"]) <= KNOWN["build.local"]
    assert all(set(a) <= KNOWN["artifact"] for a in ARTIFACTS.values())
    assert set(RELEASE) <= KNOWN["release"]
    assert all(set(p) <= KNOWN["portForward"] for p in SKAFFOLD["portForward"])


def test_every_file_is_there() -> None:
    for artifact in ARTIFACTS.values():
        assert (ROOT / artifact["docker"]["dockerfile"]).is_file()
        for rule in artifact.get("sync", {}).get("manual", ()):
            assert list(ROOT.glob(rule["src"]))
    assert (ROOT / RELEASE["chartPath"] / "Chart.yaml").is_file()
    assert all((ROOT / file).is_file() for file in RELEASE["valuesFiles"])


def test_the_images_that_are_built_are_the_chart_s() -> None:
    leaves = {leaf.name for v in read(CHART / "values.yaml") for leaf in v.leaves()}
    templates: dict[str, str] = RELEASE["setValueTemplates"]
    assert set(templates) == {
        f"image.{of}.{part}" for of in ("app", "sidecar") for part in ("repository", "tag")
    }
    assert set(templates) <= leaves
    for value, template in templates.items():
        found = re.fullmatch(r"\{\{\.IMAGE_(REPO|TAG)_(\w+)\}\}", template)
        assert found, value
        assert found[2].replace("_", "-") in ARTIFACTS
        assert found[2].endswith(value.split(".")[1])


@needs_helm
def test_changed_files_arrive_where_the_container_looks() -> None:
    found = objects(render(ROOT / "charts/dev.yaml"))
    (container,) = one(found, "Deployment", "telemock")["spec"]["template"]["spec"]["containers"]
    (rule,) = ARTIFACTS["telemock-app"]["sync"]["manual"]
    environment: dict[str, Any] = {e["name"]: e.get("value") for e in container["env"]}
    assert environment["PYTHONPATH"] == rule["dest"]
    # app/x.py goes to DEST/app/x.py, which is watched, on a volume that may be written.
    assert container["command"][-1].endswith(f" {rule['dest']}/app")
    assert Path(rule["dest"]).parent.as_posix() in [
        m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")
    ]


@needs_helm
def test_forwarded_ports_are_the_service_s() -> None:
    found = objects(render(CHART / "values.yaml"))
    for forward in SKAFFOLD["portForward"]:
        service = one(found, "Service", forward["resourceName"])
        assert forward["port"] in [p["port"] for p in service["spec"]["ports"]]
        assert forward["namespace"] == RELEASE["namespace"]


def test_kind_makes_the_cluster_that_the_makefile_names() -> None:
    kind = yaml.safe_load((ROOT / "kind.yaml").read_text("utf-8"))
    assert (kind["kind"], kind["apiVersion"]) == ("Cluster", "kind.x-k8s.io/v1alpha4")
    assert f"--name {kind['name']} " in (ROOT / "Makefile").read_text("utf-8")


@pytest.mark.parametrize("image", sorted(ARTIFACTS))
def test_compose_and_chart_use_one_tag(image: str) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["appVersion"]
    compose = (ROOT / "docker-compose.yml").read_text("utf-8")
    assert f"image: {image}:${{TAG:-{version}}}" in compose
