"""`helm uninstall` leaves nothing but the claim that it says it leaves."""

import pytest

from tests.e2e.cluster import OURS, Cluster, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import Release

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


def test_only_the_claim_is_left(cluster: Cluster, release: Release, cribl: Cribl) -> None:
    leader = cribl.leader
    release.close()
    said = release.helm("uninstall", release.name, "--wait", "--timeout", "120s")
    assert "PersistentVolumeClaim" in said

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

    claim = {("PersistentVolumeClaim", release.name)}
    until(lambda: left() == claim, f"only the claim is left, not {left() - claim}", 60)
    # Pods that are there keep running, and are answered.
    assert cribl.telemetry(leader, "orphan")["status"] == 200
