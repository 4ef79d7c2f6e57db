"""Prometheus finds a pod with a sidecar the way that the PodMonitor says: a real one watches a real
API server, with the configuration that its operator would make of it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from app.cluster.kube import MERGE_PATCH, KubeApi, path
from app.contract.names import PORT_SIDECAR_HEALTH
from app.inject import inject
from tests.backends import prometheus
from tests.chart.helm import of_case, one
from tests.cluster import cluster, namespace, needs_cluster
from tests.sidecar import bundle_of, sidecar
from tests.unit.app.inject.test_pod import settings

pytestmark = needs_cluster

ADDRESS = "127.0.0.90"  # of the pod, as the API server is told: here its sidecar listens
LABEL = "__meta_kubernetes_pod_label_"


@pytest.fixture
def space() -> Iterator[tuple[KubeApi, str]]:
    with cluster() as api, namespace(api, "scrape") as name:
        yield api, name


def pod(api: KubeApi, space: str, name: str, spec: dict[str, Any], labels: dict[str, str]) -> None:
    """One that runs nowhere and has an address all the same."""
    place = path("api", "v1", "namespaces", space, "pods")
    spec = {**spec, "nodeSelector": {"telemock.test/no": "node"}}
    api.request("POST", place, {"metadata": {"name": name, "labels": labels}, "spec": spec})
    status = {"phase": "Running", "podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}]}
    api.request("PATCH", f"{place}/{name}/status", {"status": status}, content_type=MERGE_PATCH)


def configuration(monitor: dict[str, Any], space: str) -> dict[str, Any]:
    """As Prometheus Operator makes it of a PodMonitor, but for this namespace only."""
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    names = {"sourceLabels": "source_labels", "targetLabel": "target_label"}
    keep = [
        {"source_labels": [LABEL + key.replace(".", "_").replace("/", "_")], "regex": value}
        for key, value in monitor["spec"]["selector"]["matchLabels"].items()
    ]
    port = {"source_labels": ["__meta_kubernetes_pod_container_port_name"]}
    keep.append({**port, "regex": endpoint["port"]})
    return {
        "job_name": "podMonitor",
        "scrape_interval": "1s",
        "metrics_path": endpoint["path"],
        "kubernetes_sd_configs": [
            {
                "role": "pod",
                "kubeconfig_file": os.environ["KUBECONFIG"],
                "namespaces": {"names": [space]},
            }
        ],
        "relabel_configs": [{"action": "keep", **each} for each in keep]
        + [{names.get(k, k): v for k, v in each.items()} for each in endpoint["relabelings"]],
    }


def test_the_sidecar_of_a_pod_is_scraped_and_nothing_else(
    space: tuple[KubeApi, str], tmp_path: Path
) -> None:
    api, name = space
    # An application that has a port of that number and its own metrics beside it.
    container = {
        "name": "app",
        "image": "app:1",
        "ports": [{"name": "metrics", "containerPort": 9100}],
    }
    made = inject({"metadata": {}, "spec": {"containers": [container]}}, settings()).pod
    pod(api, name, "with", made["spec"], made["metadata"]["labels"])
    pod(api, name, "without", {"containers": [container]}, {"app": "x"})
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            sidecar(
                tmp_path / "sidecar",
                bundle_of(),
                TELEMOCK_HEALTH_HOST=ADDRESS,
                TELEMOCK_HEALTH_PORT=str(PORT_SIDECAR_HEALTH),
            )
        )
        server = stack.enter_context(prometheus(tmp_path, {}))
        job = configuration(one(of_case("everything"), "PodMonitor"), name)
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [job]}))
        httpx.post(f"{server.url}/-/reload", trust_env=False).raise_for_status()
        (found,) = server.series("up == 1", 30)
        assert found["metric"] == {
            "__name__": "up",
            "job": "telemock-sidecar",
            "instance": f"{ADDRESS}:{PORT_SIDECAR_HEALTH}",
            "k8s_namespace_name": name,
            "k8s_pod_name": "with",
        }
        assert server.series(f'telemock_spool_records{{k8s_namespace_name="{name}"}}')
        assert len(server.query("up")) == 1
