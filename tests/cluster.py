"""What the tests of the cluster's parts need of a real API server.

They take the cluster that KUBECONFIG names, in namespaces of their own; without one they are
skipped. A kubeconfig of a test's own names a stand-in, or an API server that is away.
"""

import base64
import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cluster.kube import KubeApi, KubeError, connect, path

needs_cluster = pytest.mark.skipif(
    not os.environ.get("KUBECONFIG"), reason="needs a cluster: set KUBECONFIG"
)


AWAY = "http://127.0.0.1:9"  # nobody listens there


def kubeconfig(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    server: str,
    *,
    token: str = "",
    ca: bytes = b"",
) -> None:
    """Makes the kubeconfig one of this API server, for the rest of the test."""
    at = {"server": server}
    if ca:
        at["certificate-authority-data"] = base64.b64encode(ca).decode()
    config = {
        "clusters": [{"name": "c", "cluster": at}],
        "users": [{"name": "u", "user": {"token": token} if token else {}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "here",
    }
    (folder / "config").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(folder / "config"))


@contextlib.contextmanager
def cluster() -> Iterator[KubeApi]:
    """A connection with the rights of the kubeconfig."""
    api = connect()
    try:
        yield api
    finally:
        api.close()


@contextlib.contextmanager
def namespace(api: KubeApi, prefix: str, labels: dict[str, str] | None = None) -> Iterator[str]:
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
