"""Webhook configurations of a real API server, each for one namespace of a test only, and the way
from that server to a port of this machine."""

import base64
import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from app.cluster.kube import KubeApi, KubeError, Object, path
from tests.waiting import wait_for

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
NODE = "10.244.0.1"  # this machine, as the cluster here sees it
NAME = "telemock"  # of the releases


@contextlib.contextmanager
def configuration(
    api: KubeApi, name: str, namespace: str, client: Object, entries: int = 1
) -> Iterator[Object]:
    """`entries` webhooks that are called at `client`, without a caBundle, and refuse the
    namespace's pods when they cannot be called."""
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    webhooks = [
        {
            "name": f"e{n}.injector.telemock.io",
            "clientConfig": client,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
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


@contextlib.contextmanager
def release(api: KubeApi, namespace: str) -> Iterator[str]:
    """Creates the chart's objects for the injector: the empty Secret, the Service and the webhook
    configuration. Returns the name of a release whose cluster objects are this test's own."""
    name = f"{NAME}-{namespace}"
    api.request("POST", of(namespace, "secrets"), {"metadata": {"name": f"{name}-tls"}})
    ports = [{"name": "https", "port": 443, "targetPort": "https"}]
    service = {"metadata": {"name": f"{name}-injector"}, "spec": {"ports": ports}}
    api.request("POST", of(namespace, "services"), service)
    client = {
        "service": {
            "namespace": namespace, "name": f"{name}-injector", "path": "/mutate", "port": 443
        }
    }  # fmt: skip
    with configuration(api, f"{name}-injector", namespace, client):
        yield name


def endpoint(api: KubeApi, namespace: str, name: str, replica: str, port: int) -> str:
    """Sends the Service's connections to this port of this machine too; the path of that."""
    place = path("apis", "discovery.k8s.io", "v1", "namespaces", namespace, "endpointslices")
    labels = {"kubernetes.io/service-name": f"{name}-injector"}
    api.request(
        "POST",
        place,
        {
            "metadata": {"name": f"{name}-{replica}", "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [NODE], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        },
    )
    return f"{place}/{name}-{replica}"


def of(namespace: str, kind: str) -> str:
    return path("api", "v1", "namespaces", namespace, kind)


def create(api: KubeApi, namespace: str, name: str, **metadata: Any) -> Object:
    """A pod as the API server would store it (dry run)."""
    pod = {
        "metadata": {"name": name, **metadata},
        "spec": {"containers": [{"name": "a", "image": "a:1"}]},
    }
    return api.request("POST", of(namespace, "pods"), pod, query={"dryRun": "All"}, timeout=30)


def injected(pod: Object) -> bool:
    return any(c["name"] == "telemock" for c in pod["spec"].get("initContainers") or ())


def eventually_injected(api: KubeApi, namespace: str, seconds: float = 30) -> Object:
    """A pod, once the API server has learnt of configuration, authority and endpoints."""
    deadline = time.monotonic() + seconds
    while True:
        error = "not injected"
        try:
            pod = create(api, namespace, "probe")
            if injected(pod):
                return pod
        except KubeError as e:
            error = str(e)
        if time.monotonic() > deadline:
            raise AssertionError(error)
        time.sleep(0.2)


def secret(api: KubeApi, ns: str, name: str) -> dict[str, bytes]:
    found = api.get(f"{of(ns, 'secrets')}/{name}-tls")
    return {k: base64.b64decode(v) for k, v in (found.get("data") or {}).items()}


class Load:
    """Creates pods (dry run) one after the other while it runs."""

    def __init__(self, api: KubeApi, ns: str) -> None:
        self.made = 0
        self.refused: list[str] = []
        self._api, self._ns = api, ns
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(2)]

    def _run(self, n: int) -> None:
        while not self._stop.is_set():
            try:
                pod = create(self._api, self._ns, f"load-{n}")
                if not injected(pod):
                    self.refused.append("not injected")
                self.made += 1
            except KubeError as e:
                self.refused.append(str(e))

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def more(self, pods: int) -> None:
        """Returns when that many more were made."""
        wanted = self.made + pods
        wait_for(lambda: self.made >= wanted or bool(self.refused), 60)
