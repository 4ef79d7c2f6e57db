"""Thin access to the Kubernetes API: paths and JSON objects, no models.

The app (token reviews, Events), the injector (its certificate, namespaces, Events) and `telemock
status` use it. `connect` imports the client library, so that commands on a laptop do not pay for it
(0.3 s, 34 MiB).
"""

import json
import os
import ssl
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from app.contract.instant import iso
from app.contract.names import MOUNT_API_TOKEN
from app.contract.record import cut
from app.escape import plain

Object = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

_TIMEOUT_S = 10.0
_PAGE = 500  # objects in one page of a list
_TEXT_CAP = 500  # characters of the API server's message that an error quotes
_MESSAGE_CAP = 1024  # characters of an Event's message, Kubernetes' limit
_IN_CLUSTER = "KUBERNETES_SERVICE_HOST"


class KubeError(Exception):
    """The API cannot be used. `status` is its HTTP status, 0 when it did not answer."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class KubeApi:
    """A connection to one API server. Any method from any thread.

    `client` is the library's ApiClient, for streams, which `request` cannot do. `namespace` is that
    of the pod or of the kubeconfig's context, "" when neither names one.
    """

    def __init__(self, settings: Any, namespace: str = "") -> None:
        from kubernetes import client

        self.client = client.ApiClient(settings)
        self.namespace = namespace
        self.client.rest_client.pool_manager.connection_pool_kw |= {
            "ssl_context": tls_context(settings),
            "ca_certs": None,
            "cert_file": None,
            "key_file": None,
        }

    @property
    def server(self) -> str:
        """URL of the API server."""
        return str(self.client.configuration.host)

    def authorization(self) -> str:
        """The Authorization header of our requests, renewed when due; "" for other credentials,
        such as a client certificate."""
        return str(self.client.configuration.get_api_key_with_prefix("BearerToken") or "")

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str | int] | None = None,
        content_type: str = "application/json",
        timeout: float = _TIMEOUT_S,
        accept: str = "application/json",
    ) -> Object:
        """Sends a request once, without retries; returns its JSON object. Raises KubeError.

        `path` is not quoted: build it with `path()` from names that others chose.
        """
        content = self._exchange(method, path, body, query, content_type, timeout, accept=accept)
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise KubeError(
                f"{method} {path}: {self.server} answered without a JSON object\n\n"
                "hint: is that a Kubernetes API server?"
            )
        return found

    def text(self, path: str, timeout: float = _TIMEOUT_S) -> str:
        """GETs text, through the API server's proxies to pods. Raises KubeError."""
        try:
            content = self._exchange("GET", path, None, None, "", timeout)
        except KubeError as e:
            if e.status != HTTPStatus.MISDIRECTED_REQUEST:
                raise
            # A pod of ours: the API server's proxy sends its own name as Host.
            content = self._exchange("GET", path, None, None, "", timeout, "localhost")
        return content.decode("utf-8", "replace")

    def _exchange(
        self,
        method: str,
        path: str,
        body: object,
        query: Mapping[str, str | int] | None,
        content_type: str,
        timeout: float,
        host: str = "",
        accept: str = "application/json",
    ) -> bytes:
        import urllib3

        headers = {"accept": accept, "user-agent": "telemock"}
        if host:
            headers["host"] = host
        if query:
            path += "?" + urlencode(query)
        data = None
        if body is not None:
            headers["content-type"] = content_type
            data = json.dumps(body).encode()
        try:
            if authorization := self.authorization():
                headers["authorization"] = authorization
            answer = self.client.rest_client.pool_manager.request(
                method,
                self.server + path,
                body=data,
                headers=headers,
                timeout=urllib3.Timeout(timeout),
                retries=False,
            )
            status, content = int(answer.status), bytes(answer.data)
        except Exception as e:  # from urllib3, from the credentials' plugin, or from its files
            raise KubeError(
                f"the Kubernetes API at {self.server} does not answer: {_short(str(e))}\n\n"
                "hint: kubectl get --raw /readyz says whether it is up"
            ) from None
        if not 200 <= status < 300:
            raise _refused(method, path, status, content)
        return content

    def get(self, path: str, **query: str | int) -> Object:
        return self.request("GET", path, query=query)

    def items(
        self, path: str, *, metadata_only: bool = False, **query: str | int
    ) -> Iterator[Object]:
        """Yields every object of a list, page by page. Raises KubeError."""
        accept = _METADATA if metadata_only else "application/json"
        more: dict[str, str | int] = {"limit": _PAGE, **query}
        while True:
            found = self.request("GET", path, query=more, accept=accept)
            yield from found.get("items") or ()
            token = (found.get("metadata") or {}).get("continue")
            if not token:
                return
            more["continue"] = token

    def event(
        self, about: Object, reason: str, message: str, type: str, component: str, instance: str
    ) -> None:
        """Writes an Event about an object with a namespace. Raises KubeError."""
        now = iso(time.time_ns())
        namespace = about["namespace"]
        self.request(
            "POST",
            path("api", "v1", "namespaces", namespace, "events"),
            {
                "metadata": {"generateName": "telemock-", "namespace": namespace},
                "involvedObject": about,
                "reason": reason,
                "message": cut(message, _MESSAGE_CAP - 1),
                "type": type,
                "count": 1,
                "firstTimestamp": now,
                "lastTimestamp": now,
                "source": {"component": component},
                "reportingComponent": component,
                "reportingInstance": instance,
            },
        )

    def close(self) -> None:
        self.client.close()


def path(*segments: str) -> str:
    """A path from its segments, each quoted: path("api", "v1", "namespaces", name)."""
    return "/" + "/".join(quote(s, safe="") if s.strip(".") else "%2E" * len(s) for s in segments)


def connect(context: str = "") -> KubeApi:
    """Connects with the credentials of the kubeconfig (KUBECONFIG, else ~/.kube/config), or,
    without one, with those of this pod. `context` is one of the kubeconfig's. Raises KubeError."""
    from kubernetes import client, config

    settings = client.Configuration()
    settings.connection_pool_maxsize = 10
    files = os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    has_file = any(Path(f).is_file() for f in files.split(os.pathsep) if f)
    if not has_file and not context and os.environ.get(_IN_CLUSTER):
        try:
            config.load_incluster_config(settings)
            return KubeApi(settings, _pod_namespace())
        except (config.ConfigException, OSError) as e:
            raise KubeError(
                f"the pod has no ServiceAccount token that can be used: {e}\n\n"
                "hint: automountServiceAccountToken must not be false for this pod"
            ) from None
    try:
        config.load_kube_config(files, context or None, settings, persist_config=False)
        contexts, current = config.list_kube_config_contexts(files)
        chosen = next((c for c in contexts if c["name"] == context), current)
        return KubeApi(settings, str(chosen["context"].get("namespace") or ""))
    except (config.ConfigException, OSError, ValueError, KeyError, TypeError) as e:
        raise KubeError(
            f"{files} gives no access to a cluster: {_short(str(e))}\n\n"
            "hint: KUBECONFIG names the file; kubectl config get-contexts lists its contexts"
        ) from None


def tls_context(settings: Any) -> ssl.SSLContext:
    """Makes one TLS context for all connections and loads the credentials' files once: urllib3
    would load them for each connection into the context that others use at that moment, which
    crashes OpenSSL. Raises OSError (with ssl.SSLError) when a file cannot be used."""
    context = ssl.create_default_context(cafile=settings.ssl_ca_cert or None)
    # Python 3.13 refuses authorities without key usage or key identifiers. Many clusters have such,
    # and every other client accepts them.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not settings.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context


def _pod_namespace() -> str:
    try:
        return (Path(MOUNT_API_TOKEN) / "namespace").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _refused(method: str, path: str, status: int, content: bytes) -> KubeError:
    try:
        message = str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        message = content[: 2 * _TEXT_CAP].decode("utf-8", "replace")
    text = f"{method} {path}: the Kubernetes API answered {status}: {_short(message)}"
    if status in (401, 403):
        text += "\n\nhint: kubectl auth can-i --list shows what these credentials may do"
    return KubeError(text, status)


def _short(text: str) -> str:
    """Cuts to one printable line: a server's text may hold anything."""
    return plain(" ".join(text.split()), _TEXT_CAP)
