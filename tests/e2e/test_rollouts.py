"""Pods are made all the time, while the injector is rolled out, and while one of it dies: each of
them gets its sidecar."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from app.cluster.kube import connect
from tests.e2e.cluster import Cluster, until
from tests.e2e.conftest import Cribl
from tests.e2e.pods import IMAGE
from tests.e2e.release import Release
from tests.webhooks import Load

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

AT_LEAST = 30  # pods, before and after


@contextlib.contextmanager
def made_all_the_time(namespace: str) -> Iterator[Load]:
    with contextlib.closing(connect()) as api, Load(api, namespace) as load:
        load.more(AT_LEAST)
        yield load
        load.more(AT_LEAST)


def test_a_rolling_update_misses_no_pod(cluster: Cluster, release: Release, cribl: Cribl) -> None:
    before = {p["metadata"]["uid"] for p in release.injector_pods()}
    with made_all_the_time(cribl.namespace) as load:
        for name in release.injectors:
            cluster.apps.patch_namespaced_deployment(
                name,
                release.namespace,
                {"spec": {"template": {"metadata": {"annotations": {"telemock.test/roll": "1"}}}}},
            )
        release.rolled_out()
    assert not load.refused, f"{len(load.refused)} of {load.made}: {load.refused[:3]}"
    assert before.isdisjoint(p["metadata"]["uid"] for p in release.injector_pods())


def killer(release: Release) -> dict[str, Any]:
    """A pod that sees the node's processes, and ends them when it is told to."""
    wait = "trap exit TERM; while :; do sleep 1 & wait $!; done"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "killer", "namespace": f"{release.name}-node"},
        "spec": {
            "hostPID": True,
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "killer",
                    "image": IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", wait],
                    "securityContext": {"privileged": True, "runAsUser": 0},
                }
            ],
        },
    }


@pytest.mark.parametrize("half", [0, 1])
def test_the_death_of_one_misses_no_pod(
    cluster: Cluster, release: Release, cribl: Cribl, half: int
) -> None:
    """All processes of its container are killed on the node: nothing can be drained."""
    namespace = cluster.make_namespace(f"{release.name}-node", enforce="privileged")
    cluster.apply(killer(release))
    pod = until(
        lambda: [
            p for p in cluster.find("v1", "Pod", namespace) if p["status"].get("phase") == "Running"
        ],
        "the killer runs",
    )[0]
    victim = sorted(release.injector_pods(), key=lambda p: str(p["metadata"]["name"]))[half]
    uid = victim["metadata"]["uid"]
    find = (
        f"n=0; for p in /proc/[0-9]*; do "
        f"if grep -qsE '{uid}|{uid.replace('-', '_')}' $p/cgroup; then "
        f"kill -9 ${{p#/proc/}} && n=$((n+1)); fi; done; echo $n"
    )

    def restarted() -> bool:
        found = cluster.get("v1", "Pod", victim["metadata"]["name"], release.namespace)
        (state,) = found["status"]["containerStatuses"]
        return bool(state["restartCount"] and state["ready"])

    with made_all_the_time(cribl.namespace) as load:
        assert int(cluster.run(pod, "killer", "sh", "-c", find)) >= 1
        until(restarted, "the injector is started again", 90)
    assert not load.refused, f"{len(load.refused)} of {load.made}: {load.refused[:3]}"
