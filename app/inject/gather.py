"""Asks the cluster about pods that opted in: the API server, the sidecars, their logs.

Called by `telemock status` and `telemock restart`; `app.inject.status` judges what is found.
"""

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlencode

from app.cluster import remote
from app.cluster.kube import KubeApi, KubeError, Object, path
from app.contract import names
from app.inject.selectors import selected
from app.inject.status import (
    AppView,
    PodStatus,
    SidecarCounters,
    Surroundings,
    failing,
    injection_of,
    judge,
    judge_unmade,
    sidecar_of,
    watched,
)
from app.inject.workloads import unmade

_ASKED_AT_ONCE = 8  # sidecars asked in parallel
_ASK_S = 5.0
_LINES = 20  # of a failing container's log
_TROUBLED = re.compile(r'^telemock_app_trouble\{telemock_outcome="([a-z]+)"\} 1(?:\.0)?$', re.M)
_SAMPLE = re.compile(r"^([a-z_]+)(?:\{[^}]*\})? ([0-9.e+-]+)$", re.M)


class OptedIn(NamedTuple):
    """The namespaces, and if each opted in, None where it says nothing; `known` is False for a user
    who may not look. `selector` is that of `injector.podSelector`."""

    namespaces: dict[str, bool | None]
    known: bool
    selector: Mapping[str, Any] = MappingProxyType({})


def gather(
    api: KubeApi, namespace: str, opted_in: OptedIn, seen: AppView | None
) -> list[PodStatus]:
    """Judges a namespace's pods ("": all). `seen` None: the app was not asked. Raises KubeError."""
    chosen = pods(api, namespace, opted_in)
    authority = authority_of(api)
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as threads:
        counted = list(threads.map(lambda pod: _counters(api, pod), chosen))
        logs = list(threads.map(lambda pod: _failed(api, pod), chosen))
    rows = [
        judge(pod, seen, c, Surroundings(authority, failed))
        for pod, c, failed in zip(chosen, counted, logs, strict=True)
    ]
    try:
        return rows + [judge_unmade(found) for found in unmade(api, namespace, opted_in.namespaces)]
    except KubeError:  # a user who may not list Events
        return rows


def pods(api: KubeApi, namespace: str, opted_in: OptedIn) -> list[Object]:
    """The pods that opted in, and those with a sidecar. Raises KubeError."""
    space = ("namespaces", namespace) if namespace else ()
    found = api.items(path("api", "v1", *space, "pods"))
    return watched(found, opted_in.namespaces, opted_in.selector)


def namespaces(api: KubeApi, namespace: str) -> OptedIn:
    """Looks at the labels of a namespace ("": of all)."""
    try:
        found = (
            [api.get(path("api", "v1", "namespaces", namespace))]
            if namespace
            else list(api.items("/api/v1/namespaces"))
        )
    except KubeError:
        return OptedIn({}, False, _selector(api))
    labels = {
        space["metadata"]["name"]: (space["metadata"].get("labels") or {}).get(names.LABEL_INJECT)
        for space in found
    }
    asked = {
        name: None if label is None else label != names.INJECT_DISABLED
        for name, label in labels.items()
    }
    return OptedIn(asked, True, _selector(api))


def _selector(api: KubeApi) -> Mapping[str, Any]:
    """The release's `injector.podSelector`; {} without one, or for a user who may not look."""
    try:
        found = (selected(item) for item in api.items(remote.CONFIGURATIONS))
        return next(filter(None, found), {})
    except KubeError:
        return {}


def authority_of(api: KubeApi) -> str:
    """The release's authority, PEM; "" when it is not known."""
    try:
        return remote.find(api).ca
    except (KubeError, remote.RemoteError):
        return ""


def _failed(api: KubeApi, pod: Object) -> dict[str, str]:
    """The last lines of the application's containers that failed beside redirect loopback."""
    if injection_of(pod).redirect != "loopback":
        return {}
    meta, found = pod["metadata"], {}
    place = path("api", "v1", "namespaces", meta["namespace"], "pods", meta["name"], "log")
    for name in failing(pod):
        for previous in ("true", "false"):
            asked = {"container": name, "tailLines": _LINES, "previous": previous}
            try:
                found[name] = api.text(f"{place}?{urlencode(asked)}", timeout=_ASK_S)
            except KubeError:  # it has no previous one, or the user may not (pods/log)
                continue
            break
    return found


def _counters(api: KubeApi, pod: Object) -> SidecarCounters | None:
    """Asks a sidecar; None if that fails: it is not up, or the user may not (pods/proxy)."""
    sidecar = sidecar_of(pod)
    if sidecar is None or (pod.get("status") or {}).get("phase") != "Running":
        return None
    ports = sidecar.get("ports") or [{"containerPort": names.PORT_SIDECAR_HEALTH}]
    meta = pod["metadata"]
    target = f"{meta['name']}:{ports[0]['containerPort']}"
    place = path("api", "v1", "namespaces", meta["namespace"], "pods", target, "proxy", "metrics")
    try:
        return counters(api.text(place, timeout=_ASK_S))
    except KubeError:
        return None


def counters(metrics: str) -> SidecarCounters | None:
    """Parses Prometheus text; None when it is not a sidecar's."""
    sums: dict[str, float] = {}
    for name, value in _SAMPLE.findall(metrics):
        try:
            sums[name] = sums.get(name, 0) + float(value)
        except ValueError:
            return None
    if "telemock_spool_records" not in sums:
        return None
    return SidecarCounters(
        int(sums.get("telemock_tls_client_rejected_total", 0)),
        int(sums.get("telemock_capture_dropped_total", 0)),
        int(sums["telemock_spool_records"]),
        int(sums.get("telemock_sidecar_restarts_total", 0)),
        next(iter(_TROUBLED.findall(metrics)), ""),
    )
