"""The real app as it runs in a cluster, as a process of this machine.

The API server that KUBECONFIG names decides about callers, and a namespace of the test holds the
release's objects.
"""

import base64
import os
import secrets
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from app.cluster.kube import KubeApi, Object, path
from app.run.processes import free_port
from tests.serving import environment
from tests.waiting import wait_for

NAME = f"telemock-{secrets.token_hex(3)}"  # of this run: a cluster holds several releases
LABELS = {"app": NAME}


class Released:
    """`plain` asks without TLS; `client(token)` asks the API, and trusts the release's authority
    only."""

    def __init__(self, port: int, tls_port: int, process: subprocess.Popen[bytes], ca: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.api_url = f"https://localhost:{tls_port}"
        self.tls_port = tls_port
        self.process = process
        self.ca = ca
        self.trust = ssl.create_default_context(cadata=ca)
        self.plain = httpx.Client(base_url=self.url, trust_env=False, timeout=20)

    def client(self, token: str = "") -> httpx.Client:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(
            base_url=self.api_url, headers=headers, verify=self.trust, trust_env=False, timeout=20
        )


def objects(api: KubeApi, namespace: str) -> Object:
    """Makes what the chart renders and the app needs; returns the Deployment."""
    secrets = path("api", "v1", "namespaces", namespace, "secrets")
    api.request("POST", secrets, {"metadata": {"name": f"{NAME}-tls"}})
    deployments = path("apis", "apps", "v1", "namespaces", namespace, "deployments")
    template = {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [{"name": "app", "image": "telemock-app:none"}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": LABELS}, "template": template}
    return api.request("POST", deployments, {"metadata": {"name": NAME}, "spec": spec})


def service(api: KubeApi, namespace: str) -> None:
    """Leads to the pods of LABELS."""
    ports = [{"name": "http", "port": 8000}, {"name": "https", "port": 8443, "targetPort": "api"}]
    place = path("api", "v1", "namespaces", namespace, "services")
    api.request(
        "POST", place, {"metadata": {"name": NAME}, "spec": {"ports": ports, "selector": LABELS}}
    )


@contextmanager
def webhook(api: KubeApi, namespace: str, ca: str) -> Iterator[str]:
    """The release's webhook configuration, for no namespace at all; its path."""
    place = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    name = f"{NAME}-injector"
    called = {"name": name, "namespace": namespace, "path": "/mutate", "port": 443}
    entry = {
        "name": "test.telemock.io",
        "clientConfig": {"service": called, "caBundle": base64.b64encode(ca.encode()).decode()},
        "namespaceSelector": {"matchLabels": {"telemock.test/no": "namespace"}},
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["pods"],
            }
        ],
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    api.request("POST", place, {"metadata": {"name": name}, "webhooks": [entry]})
    try:
        yield f"{place}/{name}"
    finally:
        api.request("DELETE", f"{place}/{name}")


@contextmanager
def released(folder: Path, api: KubeApi, namespace: str, **values: str) -> Iterator[Released]:
    """Ready, with the certificates that it made itself."""
    port, tls_port = free_port(), free_port()
    settings = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "TELEMOCK_CLUSTER": "1",
        "TELEMOCK_TLS_PORT": str(tls_port),
        "TELEMOCK_FULLNAME": NAME,
        "POD_NAMESPACE": namespace,
    }
    folder.mkdir(exist_ok=True)
    console = folder / "console.log"
    with console.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve"],
            env={**os.environ, **environment(folder), **settings, **values},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    plain = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)

    def ready() -> bool:
        assert process.poll() is None, console.read_text()
        try:
            return plain.get("/ready").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_for(ready, 40)
        secret = api.get(path("api", "v1", "namespaces", namespace, "secrets", f"{NAME}-tls"))
        ca = base64.b64decode(secret["data"]["ca.crt"]).decode()
        served = Released(port, tls_port, process, ca)
        try:
            yield served
        finally:
            served.plain.close()
    finally:
        plain.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0, console.read_text()
