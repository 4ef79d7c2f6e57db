"""Values that add the sidecar to the official Cribl charts, without a webhook.

Printed by `telemock inject --values`. Those charts lack most of what `inject()` uses:
- a volume of `extraVolumeMounts` is mounted in the Cribl container too, so the sidecar shares one
  and mounts its folders: Cribl sees the one with the public certificate only;
- leader and edge have no hostAliases, so an init container writes an /etc/hosts for Cribl.
"""

from typing import Any, Literal, NamedTuple

from app.contract import names
from app.inject import hosts, sidecar
from app.inject import kube_yaml as yaml_text
from app.inject.containers import CA_VARIABLE
from app.inject.settings import InjectionStatus, InjectSettings, Redirect
from app.inject.sidecar import Plan

Chart = Literal["leader", "workergroup", "edge"]
Object = dict[str, Any]

_SHARED = "telemock"  # one volume with all folders of the sidecar
_HOSTS = "telemock-hosts"
_FOLDERS = {
    names.MOUNT_CA: "ca",
    names.MOUNT_TRUST: "trust",
    names.MOUNT_SPOOL: "spool",
    names.MOUNT_API_TOKEN: "nothing",
}
_WRITE_HOSTS = (
    "import sys; "
    "open(sys.argv[1], 'w').write(open('/etc/hosts').read() + '\\n'.join(sys.argv[2:]) + '\\n')"
)


class _Official(NamedTuple):
    name: str  # the chart's
    container: str
    env: str  # the value that sets variables
    host_aliases: bool
    mounts: tuple[Object, ...] = ()  # the chart's default mounts: our list replaces them


_CHARTS: dict[str, _Official] = {
    "leader": _Official("logstream-leader", "logstream-leader", "env", False),
    "workergroup": _Official("logstream-workergroup", "logstream-workergroup", "env", True),
    "edge": _Official(
        "edge", "edge", "extraEnv", False,
        ({"name": "host-root", "mountPath": "/hostfs", "hostPath": "/", "readonly": True},),
    ),
}  # fmt: skip


def values(chart: Chart, settings: InjectSettings, redirect: Redirect) -> str:
    """Renders YAML for `helm upgrade --values`. `redirect` is hosts or all: loopback needs a
    sysctl, which not all of the charts can set."""
    official = _CHARTS[chart]
    chosen = hosts.chosen(settings.rules.profiles, {}, redirect, settings.dummy_ranges)
    plan = Plan(
        settings,
        redirect,
        settings.mode,
        chosen.named,
        chosen.addresses,
        container=official.container,
        ports=chosen.ports,
    )
    status = InjectionStatus(True, ["values"], plan.redirect, plan.mode, settings.version)
    found: Object = {
        "extraInitContainers": _containers(plan, official),
        "extraVolumeMounts": [*official.mounts, *_mounts(official)],
        "extraSecretMounts": [
            {
                "name": names.VOLUME_TOKEN,
                "mountPath": names.MOUNT_TOKEN,
                "readOnly": True,
                "projected": sidecar.PROJECTED_TOKEN,
            }
        ],
        official.env: {CA_VARIABLE: f"{names.MOUNT_TRUST}/{names.FILE_CA_CERT}"},
        "podAnnotations": {names.ANNOTATION_STATUS: status.json()},
    }
    if official.host_aliases:
        found["extraPodConfigs"] = {"hostAliases": hosts.aliases(plan.addresses, redirect)}
    return _head(chart, official) + yaml_text.write(found)


def _containers(plan: Plan, official: _Official) -> list[Object]:
    found = sidecar.containers(plan)
    if not official.host_aliases:
        found.append(_hosts_writer(plan, found[0]))
    for container in found:
        container["volumeMounts"] = [_of_shared(mount) for mount in container["volumeMounts"]]
    return found


def _of_shared(mount: Object) -> Object:
    folder = _FOLDERS.get(mount["mountPath"])
    return mount | {"name": _SHARED, "subPath": folder} if folder else mount


def _hosts_writer(plan: Plan, main: Object) -> Object:
    """An init container that adds the hosts to a copy of the pod's /etc/hosts, for Cribl."""
    entries = [f"{address} {host}" for address, host in plan.addresses]
    return {
        "name": _HOSTS,
        "image": main["image"],
        "command": ["python", "-c", _WRITE_HOSTS, "/hosts/hosts", *entries],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": main["securityContext"],
        "volumeMounts": [{"name": _HOSTS, "mountPath": "/hosts"}, sidecar.NO_API_TOKEN],
    }


def _mounts(official: _Official) -> list[Object]:
    trust = {"name": _SHARED, "mountPath": names.MOUNT_TRUST, "subPath": "trust", "readOnly": True}
    own_hosts = {"name": _HOSTS, "mountPath": "/etc/hosts", "subPath": "hosts", "readOnly": True}
    return [trust] if official.host_aliases else [trust, own_hosts]


def _head(chart: Chart, official: _Official) -> str:
    lines = [
        f"Values for the chart cribl/{official.name}: its pods get telemock's sidecar without a",
        "webhook. Made for version 4.19.2 of the chart; use with",
        f"  helm upgrade --install NAME cribl/{official.name} --values FILE --values THIS",
        "A list in your own values replaces the one here: put both together then.",
        "",
        "The namespace must be at Pod Security level privileged: the redirect needs NET_ADMIN.",
        "The sidecar's key lies on the node's disk, in a folder that the Cribl container does not",
        "see. The token that it does see lets it send captures of its own pod, and no more.",
    ]
    if chart == "workergroup":
        lines += [
            "",
            "Not for `deployment: statefulset`: that chart has no emptyDir then. Use",
            "  helm template … | telemock inject -f - | kubectl apply -f -",
        ]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)
