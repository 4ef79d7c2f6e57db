"""Pods that cannot be served, or ask for what is not there: they run without a sidecar, and the
annotation and an Event on the pod's owner say why in a sentence."""

import json
import subprocess
from typing import Any

import pytest
import yaml
from kubernetes.dynamic.exceptions import DynamicApiError

from tests.e2e import pods
from tests.e2e.cluster import Cluster, documents, status_of, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import TELEMOCK, Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def skipped(cluster: Cluster, pod: dict[str, Any]) -> dict[str, Any]:
    """Creates it, checks that it was let through as it is; the pod as it runs."""
    (made,) = cluster.apply(pod)
    names = [c["name"] for c in made["spec"].get("initContainers") or []]
    assert "telemock" not in names
    assert status_of(made)["injected"] is False
    return made


def told(cluster: Cluster, namespace: str, reason: str, *words: str) -> str:
    """The message of an Event of that reason with all these words."""
    return until(
        lambda: [
            e["message"]
            for e in cluster.events(namespace, reason)
            if all(w in e["message"] for w in words)
        ],
        f"an Event {reason} in {namespace} says {words}",
        20,
    )[0]


def test_a_label_with_a_wrong_value(cluster: Cluster, cribl: Cribl) -> None:
    pod = pods.node("wrong-label", cribl.namespace, labels={"telemock.io/inject": "yes"})
    skipped(cluster, pod)
    assert "enabled" in told(cluster, cribl.namespace, "TelemockSkipped", "'yes'")


def test_an_unknown_profile(cluster: Cluster, cribl: Cribl) -> None:
    pod = pods.node("wrong-profile", cribl.namespace, annotations={"profiles": "no-such-vendor"})
    skipped(cluster, pod)
    assert "cribl" in told(cluster, cribl.namespace, "TelemockSkipped", "no-such-vendor")


def test_a_pod_that_listens_on_our_port(cluster: Cluster, cribl: Cribl) -> None:
    pod = pods.node("port-taken", cribl.namespace, container={"ports": [{"containerPort": 17443}]})
    skipped(cluster, pod)
    told(cluster, cribl.namespace, "TelemockSkipped", "17443")


def test_istio_s_ports_do_not_matter(cluster: Cluster, cribl: Cribl) -> None:
    pod = pods.node("beside-istio", cribl.namespace)
    pod["spec"]["containers"].append(
        {
            "name": "istio-proxy",
            "image": pods.IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "command": ["node", "-e", "for (const p of [15001, 15090])"
                        " require('http').createServer((q, r) => r.end()).listen(p)"],
            "ports": [{"containerPort": 15001}, {"containerPort": 15090}],
        }
    )  # fmt: skip
    cluster.apply(pod)
    (made,) = cluster.ready_pods(cribl.namespace, "app.kubernetes.io/name=beside-istio")
    assert status_of(made)["injected"] is True
    assert cribl.telemetry(made, "beside-istio")["status"] == 200


@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_where_net_admin_is_not_allowed(
    cluster: Cluster, release: Release, cribl: Cribl, level: str
) -> None:
    """Asked for by name; `auto` would have chosen loopback."""
    namespace = cluster.make_namespace(f"{release.name}-{level}", inject="enabled", enforce=level)
    pod = pods.restricted(pods.node("asks-too-much", namespace, annotations={"redirect": "hosts"}))
    skipped(cluster, pod)
    told(cluster, namespace, "TelemockSkipped", "NET_ADMIN", "loopback")


def test_the_host_s_network(cluster: Cluster, cribl: Cribl) -> None:
    pod = pods.node("on-host", cribl.namespace, spec={"hostNetwork": True})
    pod["spec"]["nodeSelector"] = {"no": "such-node"}
    skipped(cluster, pod)
    told(cluster, cribl.namespace, "TelemockSkipped", "hostNetwork")


def test_a_pod_that_insists_is_refused_without_a_sidecar(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    """By the admission policy, which the value `admissionPolicy.enabled` adds."""
    pod = pods.node(
        "insists",
        cribl.namespace,
        labels={"telemock.io/inject": "enabled"},
        annotations={"profiles": "no-such-vendor"},
    )
    with pytest.raises(DynamicApiError) as refused:
        cluster.apply(pod, dry_run=True)
    said = str(refused.value.body)
    assert "asks for a sidecar" in said and "unknown_profile" in said, said


def test_a_pod_that_got_one_has_an_event_too(cluster: Cluster, cribl: Cribl) -> None:
    """On its owner, which is there before the pod is."""
    owners = {
        e["involvedObject"]["kind"]
        for e in cluster.events(cribl.namespace, "TelemockInjected")
        if "workers" in e["involvedObject"]["name"]
    }
    assert owners == {"ReplicaSet"}


def problems(namespace: str, pod: str) -> list[str]:
    done = subprocess.run(
        [TELEMOCK, "status", "-n", namespace, "--json"], capture_output=True, text=True, timeout=60
    )
    rows = {row["pod"]: row for row in map(json.loads, done.stdout.splitlines())}
    found: list[str] = rows.get(pod, {}).get("problems", [])
    return found


def test_a_listener_that_nobody_declared_is_named(cluster: Cluster, cribl: Cribl) -> None:
    """With redirect loopback the sidecar has the ports 80 and 443 of loopback addresses."""
    listen = "require('http').createServer((q, r) => r.end()).listen(443, '::')"
    pod = pods.node(
        "undeclared",
        cribl.namespace,
        annotations={"redirect": "loopback"},
        container={"command": ["node", "-e", listen], "livenessProbe": None,
                   "readinessProbe": None},
    )  # fmt: skip
    cluster.apply(pod)
    (told,) = until(
        lambda: [p for p in problems(cribl.namespace, "undeclared") if "cannot listen" in p],
        "status names the container",
        60,
        pause=2,
    )
    assert "the container cribl cannot listen: " in told and "EADDRINUSE" in told
    assert "telemock.io/redirect: hosts" in told


def test_an_image_that_the_node_does_not_have_is_named(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    plain = yaml.safe_dump(pods.node("no-image", cribl.namespace))
    (made,) = documents(release.inject("-f", "-", text=plain, image="telemock-sidecar:no-such"))
    for container in made["spec"]["initContainers"]:
        container["imagePullPolicy"] = "Never"  # no registry is asked
    cluster.apply(made)
    (told,) = until(
        lambda: [p for p in problems(cribl.namespace, "no-image") if "cannot get the image" in p],
        "status names the image",
        60,
        pause=2,
    )
    assert "telemock-sidecar:no-such of the container telemock: ErrImageNeverPull" in told
    cluster.delete("v1", "Pod", "no-image", cribl.namespace)


def test_a_misspelled_annotation_is_told_with_the_nearest_name(
    cluster: Cluster, cribl: Cribl
) -> None:
    skipped(cluster, pods.node("misspelled", cribl.namespace, annotations={"mod": "observe"}))
    words = "telemock.io/mod means nothing; did you mean telemock.io/mode"
    told(cluster, cribl.namespace, "TelemockSkipped", words)
    assert [p for p in problems(cribl.namespace, "misspelled") if words in p]
