"""Inputs of `inject()` besides the pod: the release's choices, and the pod's namespace.

Filled by `app.inject.process_settings` for the webhook and by `app.cli.inject` for manifests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec

from app.contract import dummies
from app.contract.rules import RuleSet
from app.inject.resources import Resources
from app.version import VERSION

Redirect = Literal["hosts", "loopback", "all"]
REDIRECTS = ("auto", "hosts", "loopback", "all")

RESOURCES: Mapping[str, Any] = {
    "requests": {"cpu": "20m", "memory": "64Mi"},
    "limits": {"memory": "192Mi"},
}
REDIRECT_RESOURCES: Mapping[str, Any] = {
    "requests": {"cpu": "10m", "memory": "32Mi"},
    "limits": {"memory": "128Mi"},
}


class SecretKey(NamedTuple):
    """A key of a Secret in the pod's own namespace, where it may be missing: a pod cannot refer to
    another namespace's."""

    name: str
    key: str


@dataclass(frozen=True, kw_only=True)
class InjectSettings:
    """A pod's annotations win over `mode`, `redirect`, `trust` and resources; `mode` "" leaves the
    rules as they are. `rules` are all profiles that a pod may choose from, and its default."""

    image: str  # the sidecar's
    pull_policy: str = ""
    app_url: str  # http://…: the app's mock, without TLS
    api_url: str = ""  # https://…: profiles and captures; "" means app_url
    api_ca: str = ""  # PEM: CAs that the sidecar trusts for api_url
    rules: RuleSet
    mode: str = ""
    redirect: str = "auto"
    trust: tuple[str, ...] = ()
    dummy_ranges: tuple[dummies.Network, ...] = dummies.NETWORKS
    egress_proxy: str = ""  # http://[USER:PASSWORD@]HOST:PORT
    resources: Mapping[str, Any] = field(default_factory=lambda: RESOURCES)
    redirect_resources: Mapping[str, Any] = field(default_factory=lambda: REDIRECT_RESOURCES)
    env: Mapping[str, str] = field(default_factory=dict)  # the sidecar's, such as OTEL_*
    otel_headers: SecretKey | None = None  # OTEL_EXPORTER_OTLP_HEADERS
    version: str = VERSION

    @property
    def both(self) -> Resources:
        return Resources(dict(self.resources), dict(self.redirect_resources))


class InjectionStatus(msgspec.Struct):
    """The annotation that injection leaves; anyone may have changed it since."""

    injected: bool = False
    reasons: list[str] = []
    redirect: str = ""
    mode: str = ""
    version: str = ""
    said: list[str] = []  # the reasons' sentences, in the same order

    def json(self) -> str:
        return msgspec.json.encode(self).decode()


class WaitingPods(NamedTuple):
    """Pods that a controller, by its `uid`, has yet to make from this template's `spec`."""

    uid: str
    number: int
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class NamespaceFacts:
    """`security_level` is the enforced Pod Security level: privileged, baseline, restricted or "",
    which means privileged."""

    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    security_level: str = ""
    limit_ranges: Sequence[Mapping[str, Any]] = ()  # the API's objects
    quotas: Sequence[Mapping[str, Any]] = ()
    waiting: Sequence[WaitingPods] = ()  # read where there are quotas
    unknown: str = ""  # why these could not be read

    @property
    def allows_net_admin(self) -> bool:
        return self.security_level not in ("baseline", "restricted")
