"""Controllers of pods, as a real API server has them."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.cluster.kube import KubeApi, KubeError, path
from app.inject.workloads import Controller, lacking, owner, unmade
from tests.cluster import cluster, namespace, needs_cluster
from tests.waiting import wait_for


@pytest.mark.parametrize(
    ("kind", "name", "found"),
    [("ReplicaSet", "web-5d8f9c", "deployment/web"), ("ReplicaSet", "alone", None),
     ("StatefulSet", "w", "statefulset/w"), ("DaemonSet", "edge", "daemonset/edge"),
     ("Job", "once", None)],
)  # fmt: skip
def test_owner(kind: str, name: str, found: str | None) -> None:
    made = owner({"namespace": "n", "ownerReferences": [{"kind": kind, "name": name}]})
    assert (str(made) if made else None) == found


def test_pods_of_nobody_have_no_owner() -> None:
    assert owner({"namespace": "n"}) is None


def test_its_place_in_the_api() -> None:
    assert Controller("n", "Job", "a").place == "/apis/batch/v1/namespaces/n/jobs/a"


@pytest.mark.parametrize(
    ("spec", "status", "number"),
    [
        ({"replicas": 3}, {"replicas": 1}, 2),
        ({"replicas": 3}, {}, 3),
        ({"replicas": 0}, {"replicas": 1}, 0),
        ({}, {"desiredNumberScheduled": 5, "currentNumberScheduled": 2}, 3),
        ({"parallelism": 3, "completions": 4}, {"active": 1, "succeeded": 2}, 1),
        ({"parallelism": 3, "completions": 4}, {"active": 1}, 2),
        ({"parallelism": 2}, {}, 2),
        ({"parallelism": 2, "suspend": True}, {}, 0),
        ({"parallelism": 2, "completions": 2}, {"conditions": [{"type": "Failed"}]}, 0),
    ],
)
def test_pods_that_are_due(spec: dict[str, Any], status: dict[str, Any], number: int) -> None:
    assert lacking({"spec": spec, "status": status}) == number


@pytest.fixture(scope="module")
def api() -> Iterator[KubeApi]:
    with cluster() as found:
        yield found


def workload(kind: str, label: str = "", replicas: int = 1) -> dict[str, Any]:
    labels = {"app": kind.lower(), **({"telemock.io/inject": label} if label else {})}
    spec: dict[str, Any] = {
        "selector": {"matchLabels": {"app": kind.lower()}},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "a", "image": "a:1"}]},
        },
    }
    if kind != "DaemonSet":
        spec["replicas"] = replicas
    if kind == "StatefulSet":
        spec["serviceName"] = "a"
    return {"metadata": {"name": kind.lower()}, "spec": spec}


@needs_cluster
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_workloads_that_lack_pods_are_found_until_they_have_them(api: KubeApi, kind: str) -> None:
    with namespace(api, "unmade") as ns:
        hard = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
        api.request("POST", path("api", "v1", "namespaces", ns, "resourcequotas"), hard)
        place = path("apis", "apps", "v1", "namespaces", ns, f"{kind.lower()}s")
        api.request("POST", place, workload(kind))
        wait_for(lambda: bool(unmade(api, ns, {ns: True})), 30)
        (found,) = unmade(api, ns, {ns: True})
        assert "exceeded quota: none" in found.message
        assert found.workload.kind == ("ReplicaSet" if kind == "Deployment" else kind)
        assert unmade(api, ns, {ns: False}) == []  # it did not opt in
        # Room again: what its Event says is over.
        api.request("DELETE", path("api", "v1", "namespaces", ns, "resourcequotas", "none"))
        if kind == "Deployment":
            api.request("DELETE", f"{place}/{kind.lower()}")
            wait_for(lambda: not unmade(api, ns, {ns: True}), 30)
        else:
            wait_for(lambda: not unmade(api, ns, {ns: True}), 60)


@needs_cluster
def test_without_events_nothing_is_known(api: KubeApi) -> None:
    with pytest.raises(KubeError):
        unmade(api, "..", {})
