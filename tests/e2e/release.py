"""One `helm install` of the chart, and the app behind it as an operator reaches it.

E2E_RELEASE names the release and its namespace, TAG the images' tag (by default the chart's
appVersion), KEEP=1 leaves everything in the cluster.
"""

import os
import ssl
import subprocess
import sys
import tempfile
from base64 import b64decode
from contextlib import ExitStack
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx
import yaml

from tests.e2e.cluster import OURS, Cluster, Forward, until

ROOT = Path(__file__).parents[2]
TELEMOCK = str(Path(sys.executable).with_name("telemock"))
CHART = ROOT / "charts" / "telemock"
RELEASE = os.environ.get("E2E_RELEASE", "telemock-e2e")
VIEWER, ADMIN, NOBODY = "e2e-viewer", "e2e-admin", "e2e-nobody"
LOCAL = "e2e-local"  # who may read one namespace's captures
# People whom the login proxy names; a Secret holds what it proves itself with.
READS, DECIDES = "reads@example.com", "decides@example.com"
LOGIN_HEADER, LOGIN_SECRET = "X-Auth-Request-Email", "login-proxy"


class Release:
    """The names are those that the chart makes from the release's."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = self.namespace = name
        self.app, self.injector = self.name, f"{self.name}-injector"
        self.injectors = (self.injector, f"{self.injector}-b")
        self.login_secret = token_urlsafe(24)
        self._stack = ExitStack()
        self._port = 0
        self.notes = ""

    # --- helm --------------------------------------------------------------------------------

    def helm(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["helm", *arguments, "--namespace", self.namespace],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        assert not check or done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr}"
        return done.stdout + done.stderr

    def upgrade(self, values: dict[str, Any], *more: str) -> str:
        """`helm upgrade --install` with exactly these values; returns the notes."""
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(values, file)
            file.flush()
            return self.helm(
                "upgrade", "--install", self.name, str(CHART), "--values", file.name,
                "--wait", "--timeout", "150s", *more,
            )  # fmt: skip

    def rolled_out(self) -> None:
        for name in (self.app, *self.injectors):
            self.cluster.rolled_out("Deployment", name, self.namespace)
        # One on its way out still answers the API server with what it was started with.
        selector = self._selector("app.kubernetes.io/component=injector")
        until(
            lambda: (
                not any(
                    p["metadata"].get("deletionTimestamp")
                    for p in self.cluster.find("v1", "Pod", self.namespace, selector)
                )
            ),
            "the former injectors have ended",
        )

    def app_pod(self) -> dict[str, Any]:
        selector = "app.kubernetes.io/component=app"
        return self.cluster.ready_pods(self.namespace, self._selector(selector))[0]

    def injector_pods(self, count: int = 2) -> list[dict[str, Any]]:
        selector = self._selector("app.kubernetes.io/component=injector")
        return self.cluster.ready_pods(self.namespace, selector, count)

    def scale_injectors(self, replicas: int) -> None:
        for name in self.injectors:
            self.cluster.scale(name, self.namespace, replicas)

    def _selector(self, more: str) -> str:
        return f"app.kubernetes.io/instance={self.name},{more}"

    def secret(self) -> dict[str, bytes]:
        found = self.cluster.get("v1", "Secret", f"{self.name}-tls", self.namespace)
        return {k: b64decode(v) for k, v in (found.get("data") or {}).items()}

    def ca_bundles(self) -> list[bytes]:
        """The caBundle of each entry of the webhook configuration."""
        found = self.cluster.get(
            "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", self.injector
        )
        return [b64decode(w["clientConfig"].get("caBundle") or "") for w in found["webhooks"]]

    def inject(self, *arguments: str, text: str = "", image: str = "") -> str:
        """What `telemock inject` prints for this release, from manifests in `text`."""
        if not image:
            app: str = self.app_pod()["spec"]["containers"][0]["image"]
            image = app.replace("-app:", "-sidecar:")
        with tempfile.NamedTemporaryFile(suffix=".pem") as authority:
            authority.write(self.secret()["ca.crt"])
            authority.flush()
            done = subprocess.run(
                [TELEMOCK, "inject", *arguments, "--image", image, "--mode", "mock",
                 "--app-url", f"http://{self.app}.{self.namespace}.svc:8000",
                 "--api-ca", authority.name],
                input=text, capture_output=True, text=True,
            )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    # --- the API -----------------------------------------------------------------------------

    def make_login_secret(self) -> None:
        self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": LOGIN_SECRET,
                    "namespace": self.namespace,
                    "labels": OURS,
                },
                "stringData": {"secret": self.login_secret},
            }
        )

    def make_accounts(self) -> None:
        """One who may look, by the value `rbac.viewers`; one who may decide too, by `rbac.admins`;
        one who may nothing; and one who may reach the app, by `rbac.tunnel`, and look once a
        namespace lets them."""
        for name in (VIEWER, ADMIN, NOBODY, LOCAL):
            self.cluster.apply(
                {
                    "apiVersion": "v1",
                    "kind": "ServiceAccount",
                    "metadata": {"name": name, "namespace": self.namespace, "labels": OURS},
                }
            )

    def let_read(self, namespace: str) -> None:
        """Lets LOCAL, as docs/security says: by a RoleBinding in the namespace to the viewer's
        ClusterRole."""
        self.cluster.apply(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": LOCAL, "namespace": namespace},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": f"{self.name}-captures-viewer",
                },
                "subjects": [
                    {"kind": "ServiceAccount", "name": LOCAL, "namespace": self.namespace}
                ],
            }
        )

    def environ(self, account: str, folder: Path) -> dict[str, str]:
        """Environment with a kubeconfig of that account; its context has the account's name."""
        made = folder / f"{account}.kubeconfig"
        environ = {**os.environ, "KUBECONFIG": str(made), "TELEMOCK_DATA": str(folder / "data")}

        def config(*arguments: str, env: dict[str, str] | None = None) -> str:
            command = ["kubectl", "config", *arguments]
            return subprocess.run(
                command, check=True, capture_output=True, text=True, env=env
            ).stdout

        made.write_text(config("view", "--minify", "--flatten", "--raw"))
        cluster = config("view", "--minify", "-o", "jsonpath={.contexts[0].context.cluster}")
        token = self.cluster.token(account, self.namespace)
        config("set-credentials", account, "--token", token, env=environ)
        config("set-context", account, "--cluster", cluster, "--user", account, "--namespace",
               self.namespace, env=environ)  # fmt: skip
        return environ

    def api(
        self,
        path: str,
        *,
        account: str = VIEWER,
        method: str = "GET",
        json: Any = None,
        **parameters: str,
    ) -> httpx.Response:
        """One request to the app's TLS port, as that account; "" sends no token."""
        token = self.cluster.token(account, self.namespace) if account else ""
        return self.api_with(token, path, method, json, **parameters)

    def api_with(
        self, token: str, path: str, method: str = "GET", json: Any = None, **parameters: str
    ) -> httpx.Response:
        trust = ssl.create_default_context(cadata=self.secret()["ca.crt"].decode())
        headers = {"authorization": f"Bearer {token}"} if token else {}
        for attempt in (1, 2):
            try:
                with httpx.Client(verify=trust, trust_env=False, timeout=30) as http:
                    return http.request(
                        method,
                        f"https://localhost:{self._forwarded(again=attempt > 1)}{path}",
                        params=parameters,
                        headers=headers,
                        json=json,
                    )
            except httpx.TransportError:
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def _forwarded(self, *, again: bool) -> int:
        """A pod that went away takes its forward with it."""
        if again or not self._port:
            self._stack.close()
            self._port = self._stack.enter_context(
                Forward(self.namespace, f"service/{self.app}", 8443)
            )
        return self._port

    def captures(self, **filters: str) -> list[dict[str, Any]]:
        answer = self.api("/api/v1/captures", limit="1000", **filters)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def tagged(self, prefix: str) -> list[tuple[str, dict[str, Any]]]:
        """(tag, record) of the telemetry whose parameter `fc.tag` begins so, with duplicates."""
        found = []
        for record in self.captures(profile="cribl"):
            for name, value in record.get("request", {}).get("query", []):
                if name == "fc.tag" and value.startswith(prefix):
                    found.append((value, record))
        return found

    def capture(self, tag: str, seconds: float = 30) -> dict[str, Any]:
        """The one record of the telemetry with that tag."""
        found = until(lambda: self.tagged(tag), f"the capture {tag} is in the store", seconds)
        assert [t for t, _ in found] == [tag], found
        return found[0][1]

    def close(self) -> None:
        self._stack.close()
