"""A Kubernetes cluster as the e2e tests use it: apply, wait, look, ask pods, and say what is wrong.

Everything that a test makes lies in namespaces that carry `OURS`, so that a later run of the same
E2E_RELEASE finds and removes what an interrupted one has left.
"""

import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import yaml
from kubernetes import client, config
from kubernetes.client import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import NotFoundError
from kubernetes.stream import stream

OURS = {"telemock.test/e2e": os.environ.get("E2E_RELEASE", "true")}
MANAGER = "telemock-e2e"
WORKLOADS = {"Pod", "Deployment", "StatefulSet", "Job"}


def until[T](question: Callable[[], T], what: str, seconds: float = 60, pause: float = 0.3) -> T:
    """The first true answer. Errors of the API count as no; the last one is told on failure."""
    deadline = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            last = answer = question()
            if answer:
                return answer
        except (ApiException, NotFoundError, OSError) as e:
            last = f"{type(e).__name__}: {str(e)[:500]}"
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what} (last: {str(last)[:2000]})")
        time.sleep(pause)


class Cluster:
    """The cluster of the current KUBECONFIG."""

    def __init__(self) -> None:
        chosen = client.Configuration()
        config.load_kube_config(client_configuration=chosen)
        client.Configuration.set_default(chosen)
        self.api = client.ApiClient()
        # Python 3.13 refuses authorities without a key usage, which some clusters have.
        tls = ssl.create_default_context(cafile=chosen.ssl_ca_cert)
        tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if chosen.cert_file:
            tls.load_cert_chain(chosen.cert_file, chosen.key_file)
        # Loaded once: urllib3 would load them for each connection into the context that all share.
        self.api.rest_client.pool_manager.connection_pool_kw |= {
            "ssl_context": tls, "ca_certs": None, "cert_file": None, "key_file": None,
        }  # fmt: skip
        self.core = client.CoreV1Api(self.api)
        self.apps = client.AppsV1Api(self.api)
        self.storage = client.StorageV1Api(self.api)
        self._dynamic = DynamicClient(self.api)
        self.namespaces: list[str] = []
        self._applied: list[Mapping[str, Any]] = []

    def close(self) -> None:
        self.api.rest_client.pool_manager.clear()

    # --- objects -----------------------------------------------------------------------------

    def apply(
        self, *objects: Mapping[str, Any], dry_run: bool = False, lasting: bool = False
    ) -> list[dict[str, Any]]:
        """Applies on the server's side; returns the objects as the API server then has them. What
        is `lasting` outlives the `room`."""
        done = []
        for body in objects:
            kind = self._dynamic.resources.get(api_version=body["apiVersion"], kind=body["kind"])
            got = self._dynamic.server_side_apply(
                kind,
                body=dict(body),
                name=body["metadata"]["name"],
                namespace=body["metadata"].get("namespace"),
                field_manager=MANAGER,
                force_conflicts=True,
                **({"query_params": [("dryRun", "All")]} if dry_run else {}),
            )
            done.append(got.to_dict())
            if not (dry_run or lasting):
                self._applied.append(done[-1])
        return done

    @contextmanager
    def room(self) -> Iterator[None]:
        """Deletes the workloads that are applied within: one node has CPU for some 50 pods."""
        before = len(self._applied)
        yield
        for made in self._applied[before:]:
            if made["kind"] in WORKLOADS:
                meta = made["metadata"]
                self.delete(made["apiVersion"], made["kind"], meta["name"], meta["namespace"])
        del self._applied[before:]

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
        resource = self._dynamic.resources.get(api_version=api_version, kind=kind)
        got: dict[str, Any] = resource.get(name=name, namespace=namespace or None).to_dict()
        return got

    def find(
        self, api_version: str, kind: str, namespace: str = "", selector: str = ""
    ) -> list[dict[str, Any]]:
        resource = self._dynamic.resources.get(api_version=api_version, kind=kind)
        found = resource.get(namespace=namespace or None, label_selector=selector)
        return list(found.to_dict()["items"])

    def delete(self, api_version: str, kind: str, name: str, namespace: str = "") -> None:
        """Deletes it; ignores that it is gone already."""
        resource = self._dynamic.resources.get(api_version=api_version, kind=kind)
        with suppress(NotFoundError):
            resource.delete(
                name=name,
                namespace=namespace or None,
                body={"propagationPolicy": "Background"},
            )

    def make_namespace(self, name: str, **labels: str) -> str:
        """`telemock.io/inject` is written `inject`; `enforce` is its Pod Security level."""
        full = {"inject": "telemock.io/inject", "enforce": "pod-security.kubernetes.io/enforce"}
        self.namespaces.append(name)
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": name,
                    "labels": OURS | {full.get(k, k): v for k, v in labels.items()},
                },
            }
        )
        until(
            lambda: self.get("v1", "ServiceAccount", "default", name),
            f"service account in {name}",
        )
        return name

    def remove_namespaces(self, *, wait: bool) -> None:
        """Every namespace of ours, also of an earlier run."""
        selector = ",".join(f"{k}={v}" for k, v in OURS.items())
        for found in self.find("v1", "Namespace", selector=selector):
            self.delete("v1", "Namespace", found["metadata"]["name"])
        if wait:
            until(
                lambda: not self.find("v1", "Namespace", selector=selector),
                "the namespaces of an earlier run are gone",
                120,
            )

    # --- pods --------------------------------------------------------------------------------

    def pods(self, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        """Pods that are not being deleted."""
        found = self.find("v1", "Pod", namespace, selector)
        return [p for p in found if not p["metadata"].get("deletionTimestamp")]

    def ready_pods(
        self, namespace: str, selector: str, count: int = 1, seconds: float = 90
    ) -> list[dict[str, Any]]:
        def question() -> list[dict[str, Any]]:
            found = self.pods(namespace, selector)
            return found if len(found) == count and all(map(ready, found)) else []

        return until(question, f"{count} pods {selector} in {namespace} are ready", seconds)

    def rolled_out(self, kind: str, name: str, namespace: str, seconds: float = 120) -> None:
        def question() -> bool:
            found = self.get("apps/v1", kind, name, namespace)
            wanted, status = found["spec"].get("replicas", 1), found.get("status", {})
            return (
                status.get("observedGeneration", 0) >= found["metadata"]["generation"]
                and status.get("updatedReplicas", 0) == wanted
                and status.get("readyReplicas", 0) == wanted
                and status.get("replicas", 0) == wanted
            )

        until(question, f"{kind} {namespace}/{name} is rolled out", seconds)

    def scale(self, name: str, namespace: str, replicas: int) -> None:
        """A Deployment; returns when the pods are there, or gone."""
        self.apps.patch_namespaced_deployment_scale(
            name, namespace, {"spec": {"replicas": replicas}}
        )
        if replicas:
            self.rolled_out("Deployment", name, namespace)
        else:
            selector = self.get("apps/v1", "Deployment", name, namespace)["spec"]["selector"]
            labels = ",".join(f"{k}={v}" for k, v in selector["matchLabels"].items())
            until(
                lambda: not self.find("v1", "Pod", namespace, labels),
                f"no pod of {namespace}/{name} is left",
            )

    def logs(
        self,
        pod: Mapping[str, Any],
        container: str = "",
        previous: bool = False,
        timestamps: bool = False,
    ) -> str:
        more = {"container": container} if container else {}
        more |= {
            name: "true"
            for name, wanted in {"previous": previous, "timestamps": timestamps}.items()
            if wanted
        }
        return self._get(f"{_path(pod)}/log", more)

    def ask(
        self, pod: Mapping[str, Any], port: int, path: str, *, scheme: str = "", **query: str
    ) -> Any:
        """GET through the API server: JSON decoded, other text as it is. Raises ApiException.

        With the scheme "https" whatever certificate the pod has is taken.
        """
        meta = pod["metadata"]
        name = f"{scheme}:{meta['name']}" if scheme else meta["name"]
        at = f"/api/v1/namespaces/{meta['namespace']}/pods/{name}:{port}/proxy{path}"
        text = self._get(at, query)
        try:
            return json.loads(text)
        except ValueError:
            return text

    def _get(self, path: str, query: Mapping[str, str]) -> str:
        headers: dict[str, str] = {}
        self.api.update_params_for_auth(
            headers, [], ["BearerToken"], path, "GET", None, request_auth=None
        )
        answer = self.api.rest_client.pool_manager.request(
            "GET",
            f"{self.api.configuration.host}{path}",
            fields=dict(query),
            headers=headers,
            timeout=30,
            retries=False,
        )
        text: str = answer.data.decode("utf-8", "replace")
        if answer.status >= 300:
            raise ApiException(answer.status, text[:1000])
        return text

    def run(self, pod: Mapping[str, Any], container: str, *command: str) -> str:
        """Standard output of a command in a container; it must end with 0."""
        meta = pod["metadata"]
        api = client.CoreV1Api(client.ApiClient())  # `stream` changes the client that it is given
        running = stream(
            api.connect_get_namespaced_pod_exec,
            meta["name"],
            meta["namespace"],
            container=container,
            command=list(command),
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
            _preload_content=False,
        )
        running.run_forever(timeout=60)
        running.sock.shutdown()  # which `close` leaves open once the command has ended
        out, err = running.read_stdout(), running.read_stderr()
        assert running.returncode == 0, f"{command} ended with {running.returncode}: {out}{err}"
        return str(out)

    def events(self, namespace: str, reason: str = "") -> list[dict[str, Any]]:
        found = self.find("v1", "Event", namespace)
        return [e for e in found if not reason or e["reason"] == reason]

    def token(self, account: str, namespace: str, audience: str = "") -> str:
        """Of a service account, for ten minutes."""
        spec: dict[str, Any] = {"expirationSeconds": 600}
        if audience:
            spec["audiences"] = [audience]
        made = self.core.create_namespaced_service_account_token(
            account,
            namespace,
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
        )
        token: str = made.status.token
        return token

    def watch(self, api_version: str, kind: str, namespace: str, **which: str) -> Iterator[Any]:
        """Events of the API server, for four minutes at most."""
        resource = self._dynamic.resources.get(api_version=api_version, kind=kind)
        yield from resource.watch(namespace=namespace, timeout=240, **which)

    # --- what is wrong -----------------------------------------------------------------------

    def wrong(self) -> str:
        """What a person would look at first: pods that are not well, their last lines, warnings."""
        parts: list[str] = []
        for namespace in self.namespaces:
            try:
                parts += self._wrong_in(namespace)
            except ApiException as e:
                parts.append(f"{namespace}: {e.reason}")
        return "\n".join(parts)

    def _wrong_in(self, namespace: str) -> Iterable[str]:
        for pod in self.find("v1", "Pod", namespace):
            well = ready(pod) or pod["status"].get("phase") == "Succeeded"
            name = pod["metadata"]["name"]
            phase = pod["status"].get("phase")
            yield f"pod {namespace}/{name}: {phase}{'' if well else ' NOT READY'}"
            status = (pod["metadata"].get("annotations") or {}).get("telemock.io/status")
            if status:
                yield f"  telemock.io/status: {status}"
            for each in container_statuses(pod):
                if each["restartCount"] or not well:
                    count, state = each["restartCount"], json.dumps(each["state"])
                    yield f"  {each['name']}: {state} restarts {count}"
                    if each.get("lastState"):
                        yield f"    before: {json.dumps(each['lastState'])}"
                if not well or each["name"] in ("telemock", "app", "injector"):
                    with suppress(ApiException):
                        for line in self.logs(pod, each["name"]).splitlines()[-8:]:
                            yield f"    {each['name']}| {line[:400]}"
        for event in self.events(namespace)[-40:]:
            if event["type"] != "Normal" or event["reason"].startswith("Telemock"):
                about = event["involvedObject"]
                message = (event.get("message") or "")[:500]
                yield f"  event {about['kind']}/{about.get('name')} {event['reason']}: {message}"


def _path(pod: Mapping[str, Any]) -> str:
    meta = pod["metadata"]
    return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"


def ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def container_statuses(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    status = pod.get("status", {})
    return [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]


def restarts(pod: Mapping[str, Any], container: str) -> int:
    return sum(s["restartCount"] for s in container_statuses(pod) if s["name"] == container)


def status_of(pod: Mapping[str, Any]) -> dict[str, Any]:
    """What the injector wrote into the pod; empty when it wrote nothing."""
    text = (pod["metadata"].get("annotations") or {}).get("telemock.io/status", "{}")
    found: dict[str, Any] = json.loads(text)
    return found


def documents(text: str) -> list[dict[str, Any]]:
    return [d for d in yaml.safe_load_all(text) if d]


class Forward:
    """`kubectl port-forward` to a Service, for as long as the block lasts. Bearer tokens come
    through it, which they do not through the API server's proxy."""

    def __init__(self, namespace: str, target: str, port: int) -> None:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = int(s.getsockname()[1])
        self._command = [
            "kubectl", "port-forward", "-n", namespace, target, f"{self.port}:{port}"
        ]  # fmt: skip

    def __enter__(self) -> int:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ
        )
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert b"Forwarding" in line, line + self._process.stdout.read()
        return self.port

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()
