"""Asks the app in the kubeconfig's cluster, from outside it.

The caller's own bearer token has to arrive there, and the API server's service proxy removes it. So
a tunnel to the app's pod carries TLS, and the certificate is checked against the release's webhook
configuration. Only administrators may write that object, so that nobody who can start a pod
receives other people's tokens. Called by `app.client.source` and `app.inject.gather`.
"""

import base64
import binascii
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import httpx

from app.cluster.kube import KubeApi, KubeError, Object, path
from app.cluster.tunnel import Tunnel, tunnel
from app.contract.names import API_GROUP, PORT_APP_TLS

_TIMEOUT_S = 60.0  # a report over many hours takes long
_TOKEN_S = 600  # lifetime of a token that we request
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_INJECTOR = "-injector"


class RemoteError(Exception):
    """The app cannot be reached. The text is meant for people, whole."""


class RemoteRelease(NamedTuple):
    """One release in the cluster. `ca` is PEM: the authority of its certificates."""

    namespace: str
    name: str
    ca: str


def find(api: KubeApi, name: str = "") -> RemoteRelease:
    """Finds the release in the cluster; `name` chooses among several. Raises RemoteError,
    KubeError."""
    found = [release for item in api.items(CONFIGURATIONS) if (release := _release(item))]
    if len(found) > 1:
        found = [release for release in found if release.name == name] or found
    if not found:
        raise RemoteError(
            f"there is no telemock in the cluster at {api.server}\n\n"
            "hint: helm install it, or choose another one: --server cluster:CONTEXT"
        )
    if len(found) > 1:
        names = ", ".join(f"{r.name} (namespace {r.namespace})" for r in found)
        raise RemoteError(
            f"the cluster holds several releases: {names}\n\n"
            "hint: TELEMOCK_FULLNAME=NAME chooses one"
        )
    if not found[0].ca:
        raise RemoteError(
            f"the injector of {found[0].namespace}/{found[0].name} has not told its certificate "
            "authority yet\n\nhint: kubectl get pods shows whether it runs; try again then"
        )
    return found[0]


def _release(configuration: Object) -> RemoteRelease | None:
    for webhook in configuration.get("webhooks") or ():
        service = webhook["clientConfig"].get("service") or {}
        name = str(service.get("name", ""))
        ours = webhook["name"] == API_GROUP or webhook["name"].endswith(f".{API_GROUP}")
        if not ours or not name.endswith(_INJECTOR):
            continue
        try:
            ca = base64.b64decode(webhook["clientConfig"].get("caBundle") or "").decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            ca = ""
        return RemoteRelease(str(service["namespace"]), name.removesuffix(_INJECTOR), ca)
    return None


@contextmanager
def client(
    api: KubeApi, release: RemoteRelease, token_s: int = _TOKEN_S
) -> Iterator[tuple[httpx.Client, Tunnel]]:
    """Opens a client of the app's API, as the kubeconfig's user. Raises RemoteError, KubeError."""
    host = f"{release.name}.{release.namespace}.svc"
    trusted = trust(release)
    headers = {"authorization": _authorization(api, release, token_s)}
    with (
        tunnel(api, release.namespace, *_pod(api, release)) as opened,
        httpx.HTTPTransport(verify=trusted, uds=str(opened.path), trust_env=False) as transport,
        httpx.Client(
            base_url=f"https://{host}:{PORT_APP_TLS}",
            headers=headers,
            timeout=_TIMEOUT_S,
            transport=transport,
            trust_env=False,
        ) as asking,
    ):
        yield asking, opened


def _pod(api: KubeApi, release: RemoteRelease) -> tuple[str, int]:
    """Finds a ready pod of the app, and the number of its API's port."""
    space = ("api", "v1", "namespaces", release.namespace)
    service = api.get(path(*space, "services", release.name))
    selector = ",".join(f"{k}={v}" for k, v in (service["spec"].get("selector") or {}).items())
    port = next(
        (p["targetPort"] for p in service["spec"]["ports"] if p["port"] == PORT_APP_TLS),
        PORT_APP_TLS,
    )
    for pod in api.items(path(*space, "pods"), labelSelector=selector):
        if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]:
            return str(pod["metadata"]["name"]), _number(pod, port)
    raise RemoteError(
        f"no pod of {release.namespace}/{release.name} is ready\n\n"
        f"hint: kubectl -n {release.namespace} get pods -l {selector}"
    )


def is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _number(pod: Object, port: int | str) -> int:
    if isinstance(port, int):
        return port
    named = [p for c in pod["spec"]["containers"] for p in c.get("ports") or ()]
    return next((int(p["containerPort"]) for p in named if p.get("name") == port), PORT_APP_TLS)


def trust(release: RemoteRelease) -> ssl.SSLContext:
    """Raises RemoteError."""
    try:
        return ssl.create_default_context(cadata=release.ca)
    except ssl.SSLError as e:
        raise RemoteError(
            f"the caBundle of {release.name}{_INJECTOR} is no certificate: {e}\n\n"
            "hint: kubectl rollout restart the injector, it writes it again"
        ) from None


def _authorization(api: KubeApi, release: RemoteRelease, token_s: int) -> str:
    """The kubeconfig's bearer token. A client certificate cannot be passed on: its user gets a
    short-lived token of the release's reader account, if they may create one."""
    if own := api.authorization():
        return own
    account = f"{release.name}-captures-viewer"
    place = path("api", "v1", "namespaces", release.namespace, "serviceaccounts", account, "token")
    try:
        made = api.request("POST", place, {"spec": {"expirationSeconds": token_s}})
    except KubeError as e:
        why, _, _ = str(e).partition("\n\n")
        raise RemoteError(
            "the kubeconfig has a client certificate, which cannot be passed on to the app, and "
            f"there is no token of the ServiceAccount {release.namespace}/{account} instead: {why}"
            "\n\nhint: ask for the right to create its tokens (serviceaccounts/token), or use a "
            "kubeconfig with a token"
        ) from None
    return f"Bearer {made['status']['token']}"
