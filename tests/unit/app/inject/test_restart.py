"""Which workloads are restarted: those that opted in and lack what a new pod would get."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.cluster.kube import KubeApi, path
from app.inject.gather import OptedIn
from app.inject.restart import ANNOTATION, due, restart
from tests.cluster import cluster, namespace, needs_cluster
from tests.unit.app.inject.test_workloads import workload
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def api() -> Iterator[KubeApi]:
    with cluster() as found:
        yield found


@needs_cluster
def test_unseen_pods_of_opted_in_workloads(api: KubeApi) -> None:
    with namespace(api, "restart") as ns:
        place = path("apis", "apps", "v1", "namespaces", ns)
        pods = path("api", "v1", "namespaces", ns, "pods")
        for kind in ("Deployment", "StatefulSet"):
            api.request("POST", f"{place}/{kind.lower()}s", workload(kind))
        out = workload("DaemonSet", "disabled")
        api.request("POST", f"{place}/daemonsets", out)
        bare: dict[str, Any] = {
            "metadata": {"name": "bare"}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}
        }  # fmt: skip
        api.request("POST", pods, bare)
        told = {"telemock.io/status": '{"reasons": ["host_network"]}'}
        left = {**bare, "metadata": {"name": "left", "annotations": told}}
        api.request("POST", pods, left)
        wait_for(lambda: len(list(api.items(pods))) == 5, 30)
        assert due(api, ns, OptedIn({ns: False}, True)) == ({}, [])
        found = due(api, ns, OptedIn({ns: True}, True))
        assert {str(c) for c in found.controllers} == {
            "deployment/deployment", "statefulset/statefulset",
        }  # fmt: skip
        assert found.by_hand == [f"pod {ns}/bare"]
        assert {*found.controllers.values()} == {
            "its pods have no sidecar, as no injector saw them"
        }
        for controller in found.controllers:
            restart(api, controller)
            made = api.get(controller.place)["spec"]["template"]["metadata"]["annotations"]
            assert made[ANNOTATION].endswith("Z")
