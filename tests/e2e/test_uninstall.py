"""`helm uninstall` leaves what it says it leaves, and the next install goes on with it."""

import json
import subprocess
from typing import Any

import pytest

from tests.e2e.cluster import OURS, Cluster, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import TELEMOCK, Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

CLUSTER_WIDE = (
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
)
IN_NAMESPACE = (
    ("v1", "Pod"), ("v1", "Service"), ("v1", "Secret"), ("v1", "ConfigMap"),
    ("v1", "ServiceAccount"), ("v1", "PersistentVolumeClaim"), ("apps/v1", "Deployment"),
    ("rbac.authorization.k8s.io/v1", "Role"), ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("networking.k8s.io/v1", "NetworkPolicy"), ("networking.k8s.io/v1", "Ingress"),
    ("policy/v1", "PodDisruptionBudget"), ("coordination.k8s.io/v1", "Lease"),
)  # fmt: skip
KUBERNETES_OWN = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}


def status(namespace: str) -> dict[str, dict[str, Any]]:
    """By pod, as `telemock status` has them."""
    done = subprocess.run(
        [TELEMOCK, "status", "-n", namespace, "--json"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {row["pod"]: row for row in map(json.loads, done.stdout.splitlines())}


def uninstall(release: Release) -> str:
    release.close()
    return release.helm("uninstall", release.name, "--wait", "--timeout", "120s")


def install(release: Release, values: dict[str, Any]) -> None:
    release.upgrade(values)
    release.rolled_out()


def test_only_claim_and_authority_are_left(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    leader = cribl.leader
    said = uninstall(release)
    assert "PersistentVolumeClaim" in said and "Secret" in said

    for api_version, kind in CLUSTER_WIDE:
        names = [o["metadata"]["name"] for o in cluster.find(api_version, kind)]
        assert not [n for n in names if release.name in n], kind

    def left() -> set[tuple[str, str]]:
        return {
            (kind, found["metadata"]["name"])
            for api_version, kind in IN_NAMESPACE
            for found in cluster.find(api_version, kind, release.namespace)
            if not OURS.items() <= (found["metadata"].get("labels") or {}).items()
        } - KUBERNETES_OWN

    kept = {("PersistentVolumeClaim", release.name), ("Secret", f"{release.name}-tls")}
    until(lambda: left() == kept, f"only {kept} are left, not {left() - kept}", 60)
    # Pods that are there keep running, and are answered.
    assert cribl.telemetry(leader, "orphan")["status"] == 200


def test_the_next_install_gets_what_old_sidecars_have(
    cluster: Cluster, release: Release, cribl: Cribl, values: dict[str, Any]
) -> None:
    leader, authority = cribl.leader, release.secret()["ca.crt"]
    install(release, values)
    assert release.secret()["ca.crt"] == authority
    release.capture("orphan", 90)
    assert cribl.telemetry(leader, "adopted")["status"] == 200
    release.capture("adopted", 90)
    assert cribl.leader["metadata"]["uid"] == leader["metadata"]["uid"]


def test_with_another_authority_status_names_the_pods_and_the_remedy(
    cluster: Cluster, release: Release, cribl: Cribl, values: dict[str, Any]
) -> None:
    leader, authority = cribl.leader, release.secret()["ca.crt"]
    uninstall(release)
    cluster.delete("v1", "Secret", f"{release.name}-tls", release.namespace)
    install(release, values)
    assert release.secret()["ca.crt"] != authority
    assert cribl.telemetry(leader, "refused-by-mistrust")["status"] == 200
    name = leader["metadata"]["name"]
    row = until(
        lambda: (found := status(cribl.namespace)[name])["trouble"] == "distrusted" and found,
        "status says that the sidecar does not trust the app",
        90,
    )
    remedy = f"kubectl -n {cribl.namespace} rollout restart deployment/leader"
    assert [p for p in row["problems"] if p.endswith(remedy)], row
    assert "kubectl rollout restart" in cluster.logs(leader, "telemock")
    # Made anew it is well; what the former one could not send is gone with its pod.
    cluster.core.delete_namespaced_pod(name, cribl.namespace)
    until(lambda: cribl.leader["metadata"]["name"] != name, "there is another leader", 60)
    assert cribl.telemetry(cribl.leader, "trusted-again")["status"] == 200
    release.capture("trusted-again", 60)
    assert status(cribl.namespace)[cribl.leader["metadata"]["name"]]["trouble"] == ""
