"""Who gets a sidecar, and what a pod that gets one looks like."""

from typing import Any

import pytest

from tests.e2e import pods
from tests.e2e.cluster import Cluster, status_of
from tests.e2e.conftest import SELECTED, Cribl
from tests.e2e.release import Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def injected(pod: dict[str, Any]) -> bool:
    return "telemock" in [c["name"] for c in pod["spec"].get("initContainers") or []]


def test_the_leader_of_an_opted_in_namespace_gets_a_sidecar(cribl: Cribl) -> None:
    leader = cribl.leader
    sidecar, redirect = leader["spec"]["initContainers"][:2]
    assert (sidecar["name"], sidecar["restartPolicy"]) == ("telemock", "Always")
    assert redirect["name"] == "telemock-redirect"
    status = status_of(leader)
    assert (status["injected"], status["redirect"], status["mode"]) == (True, "hosts", "mock")
    assert [c["name"] for c in leader["spec"]["containers"]] == ["logstream-leader"]


def test_so_do_its_workers(cribl: Cribl) -> None:
    assert all(injected(worker) for worker in cribl.workers)


def test_only_the_sidecar_sees_the_authority_s_key(cribl: Cribl) -> None:
    leader = cribl.leader
    for container in leader["spec"]["containers"]:
        names = {m["name"]: m for m in container["volumeMounts"]}
        assert "telemock-ca" not in names
        assert names["telemock-trust"]["readOnly"] is True


def test_the_sidecar_is_no_root_and_may_nothing(cribl: Cribl) -> None:
    sidecar = cribl.leader["spec"]["initContainers"][0]
    context = sidecar["securityContext"]
    assert context["runAsUser"] == 2931
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_our_containers_have_no_api_token(cluster: Cluster, cribl: Cribl) -> None:
    """The application has its own; what Kubernetes would mount into each container is not there."""
    leader = cribl.leader
    place = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert "token" in cluster.run(leader, "logstream-leader", "ls", place).split()
    assert cluster.run(leader, "telemock", "ls", "-A", place) == ""
    assert cluster.run(leader, "telemock", "ls", "/var/run/secrets/telemock").split() == ["token"]
    found = cluster.run(
        leader, "telemock", "sh", "-c", "find / -name token -not -path '/proc/*' 2>/dev/null; true"
    )
    assert found.split() and all("secrets/telemock/" in path for path in found.split())
    tokens = {
        volume["name"]
        for volume in leader["spec"]["volumes"]
        if any(
            "serviceAccountToken" in source and "audience" not in source["serviceAccountToken"]
            for source in (volume.get("projected") or {}).get("sources") or ()
        )
    }
    assert tokens, "this cluster mounts no tokens: the test shows nothing"
    for container in leader["spec"]["initContainers"]:
        assert not tokens & {m["name"] for m in container["volumeMounts"]}


def test_a_start_writes_no_warning(cluster: Cluster, cribl: Cribl) -> None:
    """Pods that are Ready by now were so without an Event that somebody would be woken for."""
    ready = {p["metadata"]["name"] for p in (cribl.leader, *cribl.workers)}
    ours = ("{telemock}", "{telemock-redirect}")
    warnings = [
        (event["reason"], event["message"])
        for event in cluster.events(cribl.namespace)
        if event["type"] == "Warning"
        and event["involvedObject"].get("name") in ready
        and (event["involvedObject"].get("fieldPath") or "").endswith(ours)
    ]
    assert warnings == []


def test_a_pod_that_opted_out_is_left_alone(cribl: Cribl) -> None:
    assert not injected(cribl.vendor)


def test_without_opt_in_a_pod_is_what_was_asked_for(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    namespace = cluster.make_namespace(f"{release.name}-plain")
    (made,) = cluster.apply(pods.node("plain", namespace))
    assert not injected(made)
    assert status_of(made) == {}
    assert "hostAliases" not in made["spec"]
    (container,) = made["spec"]["containers"]
    assert [e["name"] for e in container["env"]] == ["CRIBL_DIST_MODE", "TELEMETRY_SECONDS"]


def test_a_label_on_the_pod_is_enough(cluster: Cluster, release: Release, cribl: Cribl) -> None:
    pod = pods.node("labelled", f"{release.name}-plain", labels={"telemock.io/inject": "enabled"})
    assert injected(cluster.apply(pod, dry_run=True)[0])


def test_so_is_a_name_that_the_release_selects(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    """The official charts give pods no labels of one's own."""
    pod = pods.node(SELECTED, f"{release.name}-plain")
    assert injected(cluster.apply(pod, dry_run=True)[0])


def test_injecting_twice_changes_nothing(cluster: Cluster, cribl: Cribl) -> None:
    """A pod that was read back and made again, as backup tools do."""
    (once,) = cluster.apply(pods.node("twice", cribl.namespace), dry_run=True)
    again = {k: once[k] for k in ("apiVersion", "kind", "spec")} | {
        "metadata": {k: once["metadata"][k] for k in ("name", "namespace", "labels", "annotations")}
    }
    (twice,) = cluster.apply(again, dry_run=True)
    assert twice["spec"]["initContainers"] == once["spec"]["initContainers"]
    assert twice["spec"]["containers"] == once["spec"]["containers"]
    assert twice["spec"]["hostAliases"] == once["spec"]["hostAliases"]
