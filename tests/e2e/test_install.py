"""`helm install` gives an app and an injector that work, and says what to do next."""

from typing import Any

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.release import Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_app_and_injector_answer(cluster: Cluster, release: Release) -> None:
    app = release.app_pod()
    assert cluster.ask(app, 8000, "/health")["status"] == "ok"
    assert cluster.ask(app, 8000, "/ready")["ready"] is True
    assert "telemock_store_records" in cluster.ask(app, 8000, "/metrics")
    assert len(release.injector_pods(2)) == 2


def test_both_pass_the_restricted_pod_security_level(cluster: Cluster, release: Release) -> None:
    """The namespace enforces it, so that they run says so; here that nobody loosened it."""
    found = cluster.get("v1", "Namespace", release.namespace)
    assert found["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert release.app_pod() and release.injector_pods(2)


def test_the_injector_has_given_the_api_server_its_authority(release: Release) -> None:
    authority = release.secret()["ca.crt"]
    bundles = release.ca_bundles()
    assert bundles and all(bundle == authority for bundle in bundles)


def test_the_notes_say_what_to_type_next(release: Release) -> None:
    for wanted in ("telemock.io/inject=enabled", "Free licen", release.namespace):
        assert wanted in release.notes, release.notes


def test_helm_test_sends_one_request_and_finds_it(release: Release) -> None:
    said = release.helm("test", release.name, "--timeout", "120s")
    assert "Succeeded" in said


def test_helm_test_leaves_nothing_in_reports(release: Release) -> None:
    answer = release.api("/api/v1/report")
    assert answer.status_code == 200
    assert f"{release.name}-test" not in answer.text and "helmtest" not in answer.text


def test_without_a_default_storage_class_the_notes_say_what_to_set(
    cluster: Cluster, release: Release, values: dict[str, Any]
) -> None:
    key = "storageclass.kubernetes.io/is-default-class"

    def mark(name: str, value: str) -> None:
        cluster.storage.patch_storage_class(name, {"metadata": {"annotations": {key: value}}})

    defaults = [
        found["metadata"]["name"]
        for found in cluster.find("storage.k8s.io/v1", "StorageClass")
        if (found["metadata"].get("annotations") or {}).get(key) == "true"
    ]
    try:
        for name in defaults:
            mark(name, "false")
        notes = release.upgrade(values, "--dry-run=server")
    finally:
        for name in defaults:
            mark(name, "true")
    assert "persistence.storageClass" in notes and "default StorageClass" in notes
    assert "default StorageClass" not in release.notes
