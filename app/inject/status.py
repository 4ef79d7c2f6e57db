"""The state of pods that opted in: injected or why not, redirected or not, seen or not.

`watched` picks the pods and `judge` sums up what is known of one; both are pure. `gather` asks the
API server, the sidecars and the app. Called by `telemock status`.
"""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import msgspec

from app.cluster.kube import KubeApi, KubeError, Object, path
from app.contract import names
from app.contract.rules import RuleSet
from app.contract.settings import listed
from app.inject.conflicts import all_containers
from app.inject.reasons import REASONS
from app.inject.settings import InjectionStatus
from app.report.build import Report

_ASKED_AT_ONCE = 8  # sidecars asked in parallel
_ASK_S = 5.0
_UNSEEN = (
    "no injector saw this pod: it is older than the opt-in, or the injector was away; restart it"
)
# The sidecar's trouble with the app, by the words of its metric telemock.app.trouble.
_TROUBLE = {
    "unreachable": "its sidecar cannot reach the app",
    "distrusted": "its sidecar does not trust the app's certificate: the app had another authority "
    "when the pod was injected; restart it{how}",
    "unauthorized": "the app does not accept its sidecar's token: the app's log says why",
    "full": "the app's disk is full, so its records wait in the pod",
    "error": "the app does not take what its sidecar sends: the app's log says why",
}
_TROUBLED = re.compile(r'^telemock_app_trouble\{telemock_outcome="([a-z]+)"\} 1(?:\.0)?$', re.M)
_SAMPLE = re.compile(r"^([a-z_]+)(?:\{[^}]*\})? ([0-9.e+-]+)$", re.M)


class PodStatus(msgspec.Struct, kw_only=True):
    """None is "not known". `redirect_proven`: a redirected connection reached the sidecar (with
    `loopback`: its listeners were reached). `dropped` and `refused` (clients that refused our
    certificate) count since the sidecar's start; `missing` are records of any of its starts that
    the app lacks; `trouble` is a word for the app's refusal of its records; `restarts` counts those
    by Kubernetes and within the container; `stale_hosts` are the profiles' hosts that this pod does
    not redirect."""

    namespace: str
    pod: str
    phase: str
    injected: bool
    reasons: list[str]
    mode: str
    redirect: str
    redirect_proven: bool | None
    version: str
    captures: int | None
    last_seen: str
    missing: int | None
    refused: int | None
    dropped: int | None
    waiting: int | None
    trouble: str
    restarts: int | None
    stale_hosts: list[str]
    problems: list[str]


class SidecarCounters(NamedTuple):
    """Figures of a sidecar's /metrics."""

    refused: int
    dropped: int
    waiting: int
    restarts: int = 0
    trouble: str = ""  # a word of _TROUBLE


class AppView(NamedTuple):
    """The app's knowledge of the pods."""

    report: Report
    rules: RuleSet


def watched(pods: Iterable[Object], opted_in: Mapping[str, bool]) -> list[Object]:
    """Picks the pods with our label, an annotation of ours or a sidecar, and those of namespaces
    that opted in; leaves out pods that opted out."""
    found = []
    for pod in pods:
        meta = pod["metadata"]
        label = (meta.get("labels") or {}).get(names.LABEL_INJECT)
        annotations = meta.get("annotations") or {}
        ours = any(name.startswith(f"{names.API_GROUP}/") for name in annotations)
        wanted = label is not None or ours or opted_in.get(meta["namespace"], False)
        if _sidecar(pod) is not None or (wanted and label != names.INJECT_DISABLED):
            found.append(pod)
    return found


def judge(pod: Object, seen: AppView | None, counters: SidecarCounters | None) -> PodStatus:
    meta, status = pod["metadata"], pod.get("status") or {}
    told = _told(pod)
    sidecar = _sidecar(pod)
    proven, doubt = _proof(pod) if sidecar is not None else (None, "")
    stale = _stale(pod, seen.rules, told.redirect) if seen and sidecar is not None else []
    problems = [doubt] if doubt else []
    if sidecar is None:
        problems += [_sentence(id) for id in told.reasons] or [_UNSEEN]
    if stale:
        problems.append(f"not redirected, because the pod is older: {', '.join(stale)}; restart it")
    if counters and counters.refused:
        problems.append(
            f"{counters.refused} connections refused our certificate: see the annotation "
            f"{names.ANNOTATION_TRUST}"
        )
    if counters and counters.trouble:
        how = _restart(meta)
        problems.append(_TROUBLE.get(counters.trouble, counters.trouble).format(how=how))
    restarts = _restarts(pod, counters)
    if restarts:
        problems.append(
            f"its sidecar ended {restarts} times unasked and was started again: kubectl -n "
            f"{meta['namespace']} logs {meta['name']} -c {names.CONTAINER_SIDECAR}"
        )
    captures, last, missing = _captures(meta, seen.report) if seen else (None, "", None)
    return PodStatus(
        namespace=meta["namespace"],
        pod=meta["name"],
        phase="Terminating" if "deletionTimestamp" in meta else status.get("phase", ""),
        injected=sidecar is not None,
        reasons=told.reasons,
        mode=told.mode,
        redirect=told.redirect,
        redirect_proven=proven,
        version=told.version or (_tag(sidecar["image"]) if sidecar else ""),
        captures=captures,
        last_seen=last,
        missing=missing,
        refused=counters.refused if counters else None,
        dropped=counters.dropped if counters else None,
        waiting=counters.waiting if counters else None,
        trouble=counters.trouble if counters else "",
        restarts=restarts,
        stale_hosts=stale,
        problems=problems,
    )


def gather(api: KubeApi, namespace: str, seen: AppView | None) -> list[PodStatus]:
    """Judges a namespace's pods ("": all). `seen` None: the app was not asked. Raises KubeError."""
    space = ("namespaces", namespace) if namespace else ()
    pods = list(api.items(path("api", "v1", *space, "pods")))
    chosen = watched(pods, _opted_in(api, namespace))
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as threads:
        counted = list(threads.map(lambda pod: _counters(api, pod), chosen))
    return [judge(pod, seen, c) for pod, c in zip(chosen, counted, strict=True)]


def _opted_in(api: KubeApi, namespace: str) -> dict[str, bool]:
    """Namespaces that opted in or out; empty for a user who may not list namespaces."""
    try:
        found = (
            [api.get(path("api", "v1", "namespaces", namespace))]
            if namespace
            else list(api.items("/api/v1/namespaces"))
        )
    except KubeError:
        return {}
    return {
        space["metadata"]["name"]: (space["metadata"].get("labels") or {}).get(names.LABEL_INJECT)
        == names.INJECT_ENABLED
        for space in found
    }


def _counters(api: KubeApi, pod: Object) -> SidecarCounters | None:
    """Asks a sidecar; None if that fails: it is not up, or the user may not (pods/proxy)."""
    sidecar = _sidecar(pod)
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


def _told(pod: Object) -> InjectionStatus:
    text = (pod["metadata"].get("annotations") or {}).get(names.ANNOTATION_STATUS, "")
    try:
        return msgspec.json.decode(text, type=InjectionStatus)
    except (msgspec.DecodeError, RecursionError):
        return InjectionStatus()


def _sidecar(pod: Object) -> Object | None:
    every = all_containers(pod["spec"])
    return next((c for c in every if c["name"] == names.CONTAINER_SIDECAR), None)


def _restarts(pod: Object, counters: SidecarCounters | None) -> int | None:
    state = _states(pod).get(names.CONTAINER_SIDECAR)
    if state is None and counters is None:
        return None
    return int((state or {}).get("restartCount", 0)) + (counters.restarts if counters else 0)


def _restart(meta: Object) -> str:
    """A command that recreates the pod, "" if its owner has none."""
    for owner in meta.get("ownerReferences") or ():
        kind, name = owner["kind"].lower(), owner["name"]
        if kind == "replicaset":
            kind, name = "deployment", name.rpartition("-")[0]
        if kind in ("deployment", "statefulset", "daemonset"):
            return f": kubectl -n {meta['namespace']} rollout restart {kind}/{name}"
    return ""


def _states(pod: Object) -> dict[str, Object]:
    """Container states by name."""
    return {
        s["name"]: s
        for part in ("initContainerStatuses", "containerStatuses")
        for s in (pod.get("status") or {}).get(part) or ()
    }


def _proof(pod: Object) -> tuple[bool | None, str]:
    """True if redirected traffic reached the sidecar, None while that is open; and the problem if
    it failed."""
    states = _states(pod)
    redirect = [
        c["name"]
        for c in pod["spec"].get("initContainers") or ()
        if c["name"] == names.CONTAINER_REDIRECT
    ]
    if not redirect:  # the sidecar starts only after its own listeners were reached
        return (
            (True, "") if (states.get(names.CONTAINER_SIDECAR) or {}).get("started") else (None, "")
        )
    told = states.get(names.CONTAINER_REDIRECT) or {}
    for when in ("state", "lastState"):
        ended = (told.get(when) or {}).get("terminated")
        if ended and ended.get("exitCode") == 0:
            return True, ""
        if ended:
            said = " ".join(str(ended.get("message") or ended.get("reason") or "").split())
            return False, f"the redirect failed: {said or 'its log says why'}"
    return None, ""


def _stale(pod: Object, rules: RuleSet, redirect: str) -> list[str]:
    """Hosts that the profiles name by now, and this pod's /etc/hosts lacks. `all` needs none: it
    finds the host in the connection."""
    if redirect == "all":
        return []
    annotations = pod["metadata"].get("annotations") or {}
    only = listed(annotations.get(names.ANNOTATION_PROFILES, ""))
    wanted = {
        host.name
        for profile in rules.profiles
        if not only or profile.id in only
        for host in profile.hosts
        if not host.suffix
    }
    aliases = pod["spec"].get("hostAliases") or ()
    return sorted(wanted - {name for alias in aliases for name in alias.get("hostnames") or ()})


def _captures(meta: Object, report: Report) -> tuple[int, str, int]:
    this = (meta["namespace"], meta["name"])
    sent = [w for w in report.workloads if (w.namespace, w.pod) == this]
    missing = [m.missing for m in report.missing if (m.namespace, m.pod) == this]
    return sum(w.count for w in sent), max((w.last_seen for w in sent), default=""), sum(missing)


def _sentence(id: str) -> str:
    row = REASONS.get(id)
    return row.sentence.replace("{about}", "…") if row else id


def _tag(image: str) -> str:
    return image.rpartition(":")[2] if ":" in image.rpartition("/")[2] else ""
