"""The app's release in a cluster: the authority that reviews its callers, its certificate, and its
Warning Events. Made by `app.runtime` when TELEMOCK_CLUSTER is set.
"""

import asyncio
import logging
import os

from app.cluster import certificates
from app.cluster.certificates import LEAF_APP, ServerCertificate
from app.cluster.kube import KubeApi, KubeError, connect, path
from app.cluster.token_review import ClusterAuthority
from app.contract.settings import SettingError
from app.settings import Settings

log = logging.getLogger(__name__)


class Release:
    """`authority` reviews callers, `certificate` is shown on the API's port."""

    def __init__(self, api: KubeApi, namespace: str, name: str, secret: str = "") -> None:
        """`secret` holds certificates that someone else renews; "" uses our own."""
        self.api = api
        self.namespace = namespace
        self.name = name
        self.authority = ClusterAuthority(api, name)
        self.certificate = ServerCertificate(LEAF_APP)
        self._load = certificates.loader(api, namespace, name, secret)

    @classmethod
    def join(cls, settings: Settings) -> "Release":
        """Sends no request yet: the mock must start while the API server is away. Raises
        SettingError."""
        try:
            api = connect()
        except KubeError as e:
            raise SettingError(f"TELEMOCK_CLUSTER is 1, but {e}") from None
        namespace = settings.pod_namespace or api.namespace
        if not namespace:
            raise SettingError(
                "TELEMOCK_CLUSTER is 1, but POD_NAMESPACE is empty\n\n"
                "hint: the chart sets it to the pod's own namespace"
            )
        return cls(api, namespace, settings.fullname, settings.tls_secret)

    def close(self) -> None:
        self.authority.close()
        self.api.close()

    async def look(self) -> None:
        """Loads the certificate anew and uses it. Raises KubeError, TlsError."""
        self.certificate.use(await asyncio.to_thread(self._load))

    async def warn(self, reason: str, text: str) -> None:
        """Writes a Warning Event on the release's Deployment; logs when it cannot."""
        try:
            await asyncio.to_thread(self._warn, reason, text)
        except KubeError as e:
            log.warning("the Event %s cannot be written: %s", reason, e)

    def _warn(self, reason: str, text: str) -> None:
        about = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "namespace": self.namespace,
            "name": self.name,
        }
        deployment = path("apis", "apps", "v1", "namespaces", self.namespace, "deployments")
        try:
            about["uid"] = str(self.api.get(f"{deployment}/{self.name}")["metadata"]["uid"])
        except (KubeError, KeyError, TypeError) as e:  # `kubectl describe` will not show it
            log.warning("the Deployment %s cannot be looked at: %s", self.name, e)
        instance = os.environ.get("HOSTNAME", self.name)
        self.api.event(about, reason, text, "Warning", "telemock", instance)
