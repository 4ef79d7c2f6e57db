"""What the tests of the cluster's parts need of a real API server.

They take the cluster that KUBECONFIG names, in namespaces of their own; without one they are
skipped.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator

import pytest

from app.kube import Api, KubeError, connect, path

needs_cluster = pytest.mark.skipif(
    not os.environ.get("KUBECONFIG"), reason="needs a cluster: set KUBECONFIG"
)


@contextlib.contextmanager
def cluster() -> Iterator[Api]:
    """A connection with the rights of the kubeconfig."""
    api = connect()
    try:
        yield api
    finally:
        api.close()


@contextlib.contextmanager
def namespace(api: Api, prefix: str, labels: dict[str, str] | None = None) -> Iterator[str]:
    """A namespace of this test only; its removal is asked for at the end and not awaited."""
    name = f"{prefix}-{secrets.token_hex(3)}"
    api.request(
        "POST",
        "/api/v1/namespaces",
        {"metadata": {"name": name, "labels": labels or {}}},
    )
    try:
        yield name
    finally:
        with contextlib.suppress(KubeError):
            api.request("DELETE", path("api", "v1", "namespaces", name))
