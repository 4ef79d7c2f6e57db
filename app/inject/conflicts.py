"""Finds what rules out a sidecar in a pod, before anything is changed. Used by `app.inject.pod`."""

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from app.contract import names
from app.inject.reasons import Reason, of, reason
from app.inject.settings import NamespaceFacts, Redirect
from app.inject.sidecar import SYSCTL, volumes

MIRROR = "kubernetes.io/config.mirror"
_PORTS = (names.PORT_PROXY, names.PORT_SIDECAR_HEALTH)


def all_containers(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lists init containers first, in their order of start."""
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def untouched(pod: Mapping[str, Any], namespace: NamespaceFacts) -> Reason | None:
    """The reason to leave the pod as it is, None without one."""
    meta, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    label = (meta.get("labels") or {}).get(names.LABEL_INJECT)
    if label == names.INJECT_DISABLED:
        return reason("opted_out")
    if label is None and namespace.labels.get(names.LABEL_INJECT) == names.INJECT_DISABLED:
        return reason("namespace_opted_out")
    if MIRROR in (meta.get("annotations") or {}):
        return reason("mirror_pod")
    if any(
        c.get("name") == names.CONTAINER_SIDECAR and c.get("restartPolicy") == "Always"
        for c in spec.get("initContainers") or ()
    ):
        return reason("already_injected")
    return None


def label_value(pod: Mapping[str, Any]) -> Reason | None:
    """Reports a label that is neither of its two values: else a typing error would go unnoticed."""
    label = ((pod.get("metadata") or {}).get("labels") or {}).get(names.LABEL_INJECT)
    if label in (None, names.INJECT_ENABLED):
        return None
    return reason("label_value", repr(label))


def unknown_names(pod: Mapping[str, Any]) -> list[Reason]:
    """Reports labels and annotations in our name that mean nothing, with the nearest that does."""
    meta = pod.get("metadata") or {}
    labels, annotations = (names.LABEL_INJECT, names.LABEL_INJECTED), names.OUR_ANNOTATIONS
    found = []
    for word, other, known, elsewhere in (
        ("label", "annotation", labels, annotations),
        ("annotation", "label", annotations, labels),
    ):
        for name in meta.get(f"{word}s") or {}:
            if not name.startswith(f"{names.API_GROUP}/") or name in known:
                continue
            near = difflib.get_close_matches(name, known, 1)
            if name in elsewhere:
                remedy = f"it is {'an' if other == 'annotation' else 'a'} {other}"
            elif near:
                remedy = f"did you mean {near[0]}"
            else:
                remedy = f"known are {', '.join(known)}"
            found.append(reason("unknown_name", f"the {word} {name} means nothing; {remedy}"))
    return found


def impossible(spec: Mapping[str, Any]) -> list[Reason]:
    """Conflicts with any redirect."""
    found = []
    if _windows(spec):
        found.append(reason("windows"))
    if spec.get("hostNetwork"):
        found.append(reason("host_network"))
    taken = [
        f"a container {c['name']}"
        for c in all_containers(spec)
        if c.get("name") in names.OUR_CONTAINERS
    ]
    ours = {volume["name"] for volume in volumes()}
    taken += [f"a volume {v['name']}" for v in spec.get("volumes") or () if v.get("name") in ours]
    if taken:
        found.append(reason("name_taken", " and ".join(taken)))
    found += _ports(spec, _PORTS, "port_taken")
    return found


def impossible_with(
    redirect: Redirect,
    spec: Mapping[str, Any],
    namespace: NamespaceFacts,
    more: Mapping[str, Iterable[int]] = MappingProxyType({}),
) -> list[Reason]:
    """Conflicts with this redirect, in this pod and namespace. `more`: other ports than the web's,
    by host."""
    if redirect == "loopback":
        others = (port for ports in more.values() for port in ports)
        wanted = dict.fromkeys((*names.REDIRECTED_PORTS, *others))
        return [*_ports(spec, wanted, "loopback_port_taken"), *_sysctl(spec)]
    found = []
    if not namespace.allows_net_admin:
        found.append(reason("net_admin_forbidden", redirect))
    if redirect == "all" and (users := list(_with_our_uid(spec))):
        found.append(reason("uid_taken", of(users, "run")))
    return found


def _windows(spec: Mapping[str, Any]) -> bool:
    selected = (spec.get("nodeSelector") or {}).get("kubernetes.io/os")
    return "windows" in ((spec.get("os") or {}).get("name"), selected)


def _ports(spec: Mapping[str, Any], wanted: Iterable[int], id: str) -> list[Reason]:
    return [
        reason(id, f"{of(who, 'declare')} port {port}")
        for port in wanted
        if (who := [c["name"] for c in all_containers(spec) if _listens(c, port)])
    ]


def _listens(container: Mapping[str, Any], port: int) -> bool:
    return any(
        p.get("containerPort") == port and p.get("protocol", "TCP") == "TCP"
        for p in container.get("ports") or ()
    )


def _sysctl(spec: Mapping[str, Any]) -> list[Reason]:
    lowest = min(names.REDIRECTED_PORTS)
    for sysctl in (spec.get("securityContext") or {}).get("sysctls") or ():
        value = str(sysctl.get("value"))
        if sysctl.get("name") == SYSCTL and not (value.isdigit() and int(value) <= lowest):
            return [reason("sysctl_taken", value)]
    return []


def _with_our_uid(spec: Mapping[str, Any]) -> Iterable[str]:
    of_pod = (spec.get("securityContext") or {}).get("runAsUser")
    for container in all_containers(spec):
        uid = (container.get("securityContext") or {}).get("runAsUser", of_pod)
        if uid == names.SIDECAR_UID:
            yield container["name"]
