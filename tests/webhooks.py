"""Webhook configurations of a real API server, each for one namespace of a test only."""

import contextlib
from collections.abc import Iterator

from app.kube import Api, KubeError, Object, path

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


@contextlib.contextmanager
def configuration(
    api: Api, name: str, namespace: str, url: str, entries: int = 1
) -> Iterator[Object]:
    """`entries` webhooks at `url` (more than one only to look at), without a caBundle, that refuse
    the namespace's pods when they cannot be called."""
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    webhooks = [
        {
            "name": f"e{n}.injector.telemock.io",
            "clientConfig": {"url": url},
            "namespaceSelector": selector,
            "rules": [rule],
            "failurePolicy": "Fail",
            "timeoutSeconds": 10,
            "sideEffects": "NoneOnDryRun",
            "admissionReviewVersions": ["v1"],
        }
        for n in range(entries)
    ]
    made = api.request("POST", CONFIGURATIONS, {"metadata": {"name": name}, "webhooks": webhooks})
    try:
        yield made
    finally:
        with contextlib.suppress(KubeError):
            api.request("DELETE", f"{CONFIGURATIONS}/{name}")


def pods(namespace: str) -> str:
    return path("api", "v1", "namespaces", namespace, "pods")
