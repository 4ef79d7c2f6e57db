"""The containers and volumes that make a sidecar, described here and nowhere else.

Used by `app.inject.pod` for pods, and by `app.inject.snippet` for the values of vendors' charts.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from app.contract import names
from app.contract.canary import setting as canary
from app.contract.dummies import NETWORKS, PORTS_SETTING, SETTING, Network, mapped, with_ports
from app.contract.names import PORT_PROXY, PORT_SIDECAR_HEALTH
from app.contract.record import bracketed
from app.contract.settings import size
from app.inject import own_ca
from app.inject.resources import Resources
from app.inject.settings import InjectSettings, Redirect, SecretKey

Object = dict[str, Any]

_SPOOL_ROOM = 96 << 20  # room beside the spool: a pod over its volume's limit is evicted
_TOKEN_SECONDS = 3600
_SECCOMP = {"type": "RuntimeDefault"}
_UNPRIVILEGED = {
    "runAsUser": names.SIDECAR_UID,
    "runAsGroup": names.SIDECAR_UID,
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": _SECCOMP,
}
_TOKEN_SOURCE = {
    "serviceAccountToken": {
        "audience": names.AUDIENCE,
        "expirationSeconds": _TOKEN_SECONDS,
        "path": names.FILE_TOKEN,
    }
}
PROJECTED_TOKEN: Object = {"sources": [_TOKEN_SOURCE]}
# Kubernetes mounts the token of the pod's ServiceAccount, the application's own, into every
# container that mounts nothing at this path, also into those that a webhook added.
NO_API_TOKEN: Object = {
    "name": names.VOLUME_NOTHING,
    "mountPath": names.MOUNT_API_TOKEN,
    "readOnly": True,
}
_OTEL_HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"  # headers of the exporters' requests, with credentials
SYSCTL = "net.ipv4.ip_unprivileged_port_start"


class Plan(NamedTuple):
    """Decisions about one pod."""

    settings: InjectSettings
    redirect: Redirect
    mode: str
    hosts: tuple[str, ...]
    addresses: tuple[tuple[str, str], ...]  # dummy addresses of the hosts
    all_until: str = ""
    container: str = ""  # the application's first container, and its image
    image: str = ""
    resources: Resources | None = None  # the settings' own
    copies: tuple[own_ca.Copy, ...] = ()
    rehearse: str = ""
    ports: Mapping[str, tuple[int, ...]] = MappingProxyType({})  # besides 80 and 443, by host
    canary_images: tuple[str, ...] | None = None  # of the pod, if it is to be looked for


def containers(plan: Plan) -> list[Object]:
    """The containers in their order, before all other init containers."""
    found = [sidecar(plan)] if plan.redirect == "loopback" else [sidecar(plan), redirect(plan)]
    return [*found, append(plan)] if plan.copies else found


def sidecar(plan: Plan) -> Object:
    """A native sidecar: ready before anything else of the pod starts, and ended after it.

    It has no probe. A startup probe would add a second or two to a pod's start: the kubelet probes
    once a second, and acts on the result at its next sync, a second later. So the redirect, which
    starts meanwhile, waits for the sidecar, or else a hook does, which the kubelet waits for.
    Readiness of a native sidecar, and a restart of its container by a liveness probe, count for the
    whole pod: `addon.supervisor`, the image's command, watches over it instead.
    """
    hook = {"postStart": {"exec": {"command": ["python", "-m", "addon.ready"]}}}
    return {
        "name": names.CONTAINER_SIDECAR,
        **_image(plan.settings),
        "restartPolicy": "Always",
        "env": environment(plan),
        "ports": [{"name": names.PORT_NAME_SIDECAR, "containerPort": PORT_SIDECAR_HEALTH}],
        **({"lifecycle": hook} if plan.redirect == "loopback" else {}),
        "resources": (plan.resources or plan.settings.both).sidecar,
        "securityContext": _UNPRIVILEGED,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": names.VOLUME_CA, "mountPath": names.MOUNT_CA},
            {"name": names.VOLUME_TRUST, "mountPath": names.MOUNT_TRUST},
            {"name": names.VOLUME_SPOOL, "mountPath": names.MOUNT_SPOOL},
            {"name": names.VOLUME_TOKEN, "mountPath": names.MOUNT_TOKEN, "readOnly": True},
            NO_API_TOKEN,
        ],
    }


def redirect(plan: Plan) -> Object:
    """Exits once the sidecar is ready and a redirected connection has reached it; its failure keeps
    the pod from starting, and its last words show as the container's state."""
    return {
        "name": names.CONTAINER_REDIRECT,
        **_image(plan.settings),
        "command": ["python", "-m", "addon.redirect"],
        "args": [f"--mode={plan.redirect}", "--wait"],
        "env": [
            {"name": "TELEMOCK_HOSTS", "value": mapped(plan.addresses)},
            *([{"name": PORTS_SETTING, "value": with_ports(plan.ports)}] if plan.ports else []),
            *_ranges(plan.settings.dummy_ranges),
            {
                "name": "TELEMOCK_HEALTH_HOST",
                "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}},
            },
        ],
        "resources": (plan.resources or plan.settings.both).redirect,
        "securityContext": {
            "runAsUser": 0,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
            "seccompProfile": _SECCOMP,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [NO_API_TOKEN],
    }


def append(plan: Plan) -> Object:
    """Runs once the sidecar is ready, and never keeps the pod from starting."""
    return {
        "name": names.CONTAINER_OWN_CA,
        **_image(plan.settings),
        "command": ["python", "-m", "addon.tls.append"],
        "args": own_ca.arguments(plan.copies),
        "resources": (plan.resources or plan.settings.both).redirect,
        "securityContext": _UNPRIVILEGED,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": names.VOLUME_TRUST, "mountPath": names.MOUNT_TRUST},
            *own_ca.mounts(plan.copies),
            NO_API_TOKEN,
        ],
    }


def volumes(env: Mapping[str, str] = MappingProxyType({})) -> list[Object]:
    """The sidecar's volumes. `env` is the operator's environment for it."""
    limit = f"{_spool_size(env) + _SPOOL_ROOM >> 20}Mi"
    return [
        {"name": names.VOLUME_CA, "emptyDir": _memory("8Mi")},  # and the CAs for real hosts
        {"name": names.VOLUME_TRUST, "emptyDir": {"sizeLimit": "8Mi"}},
        {"name": names.VOLUME_SPOOL, "emptyDir": {"sizeLimit": limit}},
        {"name": names.VOLUME_TOKEN, "projected": PROJECTED_TOKEN},
        {"name": names.VOLUME_NOTHING, "emptyDir": _memory("1Mi")},
    ]


def environment(plan: Plan) -> list[Object]:
    """The sidecar's environment. Kubernetes wants a variable before those that refer to it."""
    settings = plan.settings
    from_pod = {
        "POD_NAMESPACE": "metadata.namespace",
        "POD_NAME": "metadata.name",
        "POD_UID": "metadata.uid",
        "NODE_NAME": "spec.nodeName",
        "POD_IP": "status.podIP",
        **({} if plan.canary_images is None else canary.FIELDS),
    }
    given = {
        "TELEMOCK_APP_URL": settings.app_url,
        "TELEMOCK_API_URL": settings.api_url,
        "TELEMOCK_API_CA_PEM": settings.api_ca,
        "TELEMOCK_TOKEN_FILE": f"{names.MOUNT_TOKEN}/{names.FILE_TOKEN}",
        "TELEMOCK_DATA": names.MOUNT_SPOOL,
        "TELEMOCK_CA_DIR": names.MOUNT_CA,
        "TELEMOCK_TRUST_DIR": names.MOUNT_TRUST,
        "TELEMOCK_MODE": plan.mode,
        **_listening(plan),
        PORTS_SETTING: with_ports(plan.ports),
        "TELEMOCK_HEALTH_HOST": "$(POD_IP)",
        "TELEMOCK_ALL_UNTIL": plan.all_until if plan.redirect == "all" else "",
        "TELEMOCK_REHEARSE": plan.rehearse,
        "TELEMOCK_EGRESS_PROXY": _expandable(settings.egress_proxy),
        "TELEMOCK_WORKLOAD_CONTAINER": plan.container,
        "TELEMOCK_WORKLOAD_IMAGE": _expandable(plan.image),
        **_canary(plan.canary_images),
    }
    ours = {name: value for name, value in given.items() if value}
    more = {name: value for name, value in settings.env.items() if name not in ours}
    headers = settings.otel_headers if _OTEL_HEADERS not in more else None
    return [
        *(
            {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
            for name, path in from_pod.items()
        ),
        *({"name": name, "value": value} for name, value in (ours | more).items()),
        *([{"name": _OTEL_HEADERS, "valueFrom": _secret(headers)}] if headers else []),
    ]


def api_url(app_url: str) -> str:
    """The API's URL of the release that answers at `app_url`."""
    host = urlsplit(app_url).hostname or ""
    return f"https://{bracketed(host)}:{names.PORT_APP_TLS}"


def _listening(plan: Plan) -> Object:
    if plan.redirect == "loopback":
        return {"TELEMOCK_LOOPBACK": mapped(plan.addresses)}
    return {
        "TELEMOCK_TRANSPARENT": f"127.0.0.1:{PORT_PROXY},[::1]:{PORT_PROXY}",
        "TELEMOCK_HOSTS": mapped(plan.addresses),
    }


def _canary(images: Sequence[str] | None) -> dict[str, str]:
    """Names of the pod, for the sidecar to look for in what is sent."""
    if images is None:
        return {}
    found = dict.fromkeys(image for image in images if image)
    return {canary.SETTING.name: canary.POD, canary.ENV_IMAGES: _expandable(",".join(found))}


def _memory(limit: str) -> Object:
    return {"medium": "Memory", "sizeLimit": limit}


def _spool_size(env: Mapping[str, str]) -> int:
    try:
        return size(env.get("TELEMOCK_SPOOL_SIZE") or names.SPOOL_SIZE)
    except ValueError:  # the sidecar reports it, and does not start
        return size(names.SPOOL_SIZE)


def _ranges(chosen: Sequence[Network]) -> list[Object]:
    """The operator's ranges, for the redirect to find a free one in; its default is the pool."""
    if tuple(chosen) == NETWORKS:
        return []
    return [{"name": SETTING, "value": ",".join(map(str, chosen))}]


def _secret(entry: SecretKey) -> Object:
    return {"secretKeyRef": {"name": entry.name, "key": entry.key, "optional": True}}


def _image(settings: InjectSettings) -> Object:
    policy = {"imagePullPolicy": settings.pull_policy} if settings.pull_policy else {}
    return {"image": settings.image, **policy}


def _expandable(text: str) -> str:
    """Escapes $: Kubernetes expands $(NAME) in a value, and reads $$ as one dollar sign."""
    return text.replace("$", "$$")
