"""The release that the app belongs to, in a cluster: whom it asks who calls, its certificate, and
where it says what went wrong. Made by `app.runtime` when TELEMOCK_CLUSTER is set.
"""

import asyncio
import logging
import os
import time

from app.cluster import certificates
from app.cluster.certificates import LEAF_APP, ServerCertificate, TlsError
from app.cluster.kube import Api, KubeError, connect, path
from app.cluster.token_review import ClusterAuthority
from app.contract.instant import iso
from app.contract.settings import SettingError
from app.logs.masked import place
from app.settings import Settings

_LOOK_S = 30.0  # between looks at the certificate
_SOON_S = 2.0  # while there is none
_MESSAGE_CAP = 1024  # characters of an Event, by Kubernetes' rules

log = logging.getLogger(__name__)


class Release:
    """`authority` decides about callers, `certificate` is what the API's port shows."""

    def __init__(self, api: Api, namespace: str, name: str, secret: str = "") -> None:
        """`secret` holds certificates that someone else renews; "": our own are used."""
        self.api = api
        self.namespace = namespace
        self.name = name
        self.authority = ClusterAuthority(api, name)
        self.certificate = ServerCertificate(LEAF_APP)
        self._load = certificates.loader(api, namespace, name, secret)
        self._error = "not loaded yet"

    @classmethod
    def join(cls, settings: Settings) -> "Release":
        """Asks nothing yet: the mock must start while the API server is away. Raises
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

    async def renewing(self) -> None:
        """Keeps the certificate up to date, for ever. The last good one stays in use."""
        while True:
            try:
                material = await asyncio.to_thread(self._load)
                if self.certificate.use(material):
                    log.info("the certificate ends in %.0f days", self.certificate.days_left())
                self._error = ""
            except Exception as e:  # the task must outlive one bad look
                known = isinstance(e, KubeError | TlsError)
                error = str(e) if known else place(e)
                if error != self._error:
                    log.error("the certificate cannot be looked at: %s", error)
                self._error = error
            await asyncio.sleep(_LOOK_S if self.certificate.loaded else _SOON_S)

    def health(self) -> dict[str, object]:
        """Of the certificate."""
        loaded = self.certificate.loaded
        days = round(self.certificate.days_left(), 1)
        ok = loaded and days > 0
        return {"ok": ok, "error": self._error, **({"days_left": days} if loaded else {})}

    async def warn(self, reason: str, text: str) -> None:
        """A Warning Event on the release's Deployment. That it cannot be written is logged."""
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
        except (KubeError, KeyError, TypeError) as e:  # then `kubectl describe` does not show it
            log.warning("the Deployment %s cannot be looked at: %s", self.name, e)
        now = iso(time.time_ns())
        self.api.request(
            "POST",
            path("api", "v1", "namespaces", self.namespace, "events"),
            {
                "metadata": {"generateName": f"{self.name}-", "namespace": self.namespace},
                "involvedObject": about,
                "reason": reason,
                "message": text[:_MESSAGE_CAP],
                "type": "Warning",
                "count": 1,
                "firstTimestamp": now,
                "lastTimestamp": now,
                "source": {"component": "telemock"},
                "reportingComponent": "telemock.io/app",
                "reportingInstance": os.environ.get("HOSTNAME", self.name),
            },
        )
