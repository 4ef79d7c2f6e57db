"""The state of pods that opted in: injected or why not, redirected or not, seen or not.

`watched` picks the pods and `judge` sums up what is known of one; both are pure.
`app.inject.gather` asks the cluster for it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from app.cluster.kube import Object
from app.contract import names
from app.contract.dummies import PORTS_SETTING
from app.contract.rules import RuleSet
from app.contract.settings import listed
from app.inject.conflicts import MIRROR, all_containers
from app.inject.reasons import REASONS, unkept
from app.inject.selectors import matches
from app.inject.sentences import say
from app.inject.settings import InjectionStatus
from app.inject.workloads import Unmade, owner
from app.report.build import Report
from app.report.coverage import count

_PULLING = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_WAITING_WELL = ("", "ContainerCreating", "PodInitializing")
# What programs say when a port is taken: of the C library, Node, Java, .NET.
_IN_USE = re.compile(r"address (?:is )?already in use|EADDRINUSE|address in use", re.I)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)
_ADDRESSES = ("TELEMOCK_HOSTS", "TELEMOCK_LOOPBACK")  # of the sidecar: ADDRESS=HOST, …


TERMINATING = "Terminating"  # as kubectl says


class PodStatus(msgspec.Struct, kw_only=True):
    """None is "not known". `redirect_proven`: a redirected connection reached the sidecar (with
    `loopback`: its listeners were reached). `dropped` and `refused` (clients that refused our
    certificate) count since the sidecar's start; `missing` are records of any of its starts that
    the app lacks; `waiting` are records that the app has not taken, and `trouble` is a word for why
    it takes none; `restarts` counts those by Kubernetes and within the container; `stale_hosts` are
    the profiles' hosts that this pod does not redirect; `problems` want to be mended, `notes` only
    to be known; `coverage` is the verdict of the app's ledger. `pod` is KIND/NAME for a workload
    whose pods cannot be made."""

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
    notes: list[str] = []
    coverage: str = ""


class SidecarCounters(NamedTuple):
    """Figures of a sidecar's /metrics."""

    refused: int
    dropped: int
    waiting: int
    restarts: int = 0
    trouble: str = ""  # a word of sentences.TROUBLES


class AppView(NamedTuple):
    """The app's knowledge of the pods."""

    report: Report
    rules: RuleSet

    def may_read(self, namespace: str) -> bool:
        """False where the report is of others' namespaces, and says nothing of this one."""
        return self.report.namespaces is None or namespace in self.report.namespaces


class Surroundings(NamedTuple):
    """The cluster's other knowledge of a pod: the release's `authority` (PEM, "" when unknown) and
    the last lines of a container that fails."""

    authority: str = ""
    failed: Mapping[str, str] = {}


def watched(
    pods: Iterable[Object],
    opted_in: Mapping[str, bool | None],
    selector: Mapping[str, object] = MappingProxyType({}),
) -> list[Object]:
    """Picks the pods with our label, an annotation of ours or a sidecar, those of namespaces that
    opted in, and those that the release selects; leaves out pods that opted out. `opted_in` is None
    for a namespace that says nothing."""
    found = []
    for pod in pods:
        meta = pod["metadata"]
        label = (meta.get("labels") or {}).get(names.LABEL_INJECT)
        annotations = meta.get("annotations") or {}
        ours = any(name.startswith(f"{names.API_GROUP}/") for name in annotations)
        space = opted_in.get(meta["namespace"])
        chosen = space is None and meta["namespace"] != "kube-system"
        picked = chosen and matches(selector, meta.get("labels") or {})
        wanted = label is not None or ours or space or picked
        if sidecar_of(pod) is not None or (wanted and label != names.INJECT_DISABLED):
            found.append(pod)
    return found


def judge(
    pod: Object,
    seen: AppView | None,
    counters: SidecarCounters | None,
    around: Surroundings = Surroundings(),  # noqa: B008 - immutable
) -> PodStatus:
    meta, status = pod["metadata"], pod.get("status") or {}
    told = injection_of(pod)
    sidecar = sidecar_of(pod)
    proven, failure = _proof(pod) if sidecar is not None else (None, "")
    stale = _stale(pod, seen.rules, told.redirect) if seen and sidecar is not None else []
    restarts = _restarts(pod, counters)
    may = seen is not None and seen.may_read(meta["namespace"])
    captures, last, missing, lost = (
        _captures(meta, seen.report) if seen and may else (None, "", None, {})
    )
    problems, notes = _reasons(told, sidecar is not None)
    if sidecar is None and MIRROR in (meta.get("annotations") or {}):
        notes.append(REASONS["mirror_pod"].sentence)
    if sidecar is None and not problems and not notes:
        problems.append(say("unseen", restart=restart(meta)))
    if sidecar is not None:
        if failure:
            problems.append(say("redirect_failed", message=failure))
        problems += _not_running(pod, around.failed if told.redirect == "loopback" else {})
        if stale:
            problems.append(say("stale_hosts", hosts=", ".join(stale), restart=restart(meta)))
        problems += _delivery(meta, counters, restarts, missing, lost)
        distrusted = counters is not None and counters.trouble == "distrusted"
        if not distrusted and trusts_another(sidecar, around.authority):
            problems.append(say("old_authority", restart=restart(meta)))
    return PodStatus(
        namespace=meta["namespace"],
        pod=meta["name"],
        phase=TERMINATING if "deletionTimestamp" in meta else status.get("phase", ""),
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
        notes=notes,
    )


def judge_unmade(found: Unmade) -> PodStatus:
    """A row for a workload that has no pod to judge."""
    return PodStatus(
        namespace=found.workload.namespace,
        pod=str(found.workload),
        phase="FailedCreate",
        injected=False,
        reasons=[],
        mode="",
        redirect="",
        redirect_proven=None,
        version="",
        captures=None,
        last_seen="",
        missing=None,
        refused=None,
        dropped=None,
        waiting=None,
        trouble="",
        restarts=None,
        stale_hosts=[],
        problems=[say("not_made", message=found.message)],
    )


def restart(meta: Object) -> str:
    """ "restart it", with the command if its owner can be restarted."""
    found = owner(meta)
    if found is None:
        return "restart it"
    return f"restart it: kubectl -n {found.namespace} rollout restart {found}"


def injection_of(pod: Object) -> InjectionStatus:
    """The annotation that injection left, empty when there is none that can be read."""
    text = (pod["metadata"].get("annotations") or {}).get(names.ANNOTATION_STATUS, "")
    try:
        return msgspec.json.decode(text, type=InjectionStatus)
    except (msgspec.DecodeError, RecursionError):
        return InjectionStatus()


def sidecar_of(pod: Object) -> Object | None:
    every = all_containers(pod["spec"])
    return next((c for c in every if c["name"] == names.CONTAINER_SIDECAR), None)


def failing(pod: Object) -> Iterator[str]:
    """Names the application's containers that ended badly, whose last lines say why."""
    for name, state in _states(pod).items():
        ended = [(state.get(w) or {}).get("terminated") or {} for w in ("state", "lastState")]
        if name not in names.OUR_CONTAINERS and any(e.get("exitCode") for e in ended):
            yield name


def _reasons(told: InjectionStatus, injected: bool) -> tuple[list[str], list[str]]:
    """The reasons' sentences: those that keep telemetry from being seen, and the others."""
    problems: list[str] = []
    notes: list[str] = []
    sentences = [*told.said, *([""] * len(told.reasons))]
    for id, sentence in zip(told.reasons, sentences, strict=False):
        row = REASONS.get(id)
        said = sentence or (unkept(id) if row else say(id))
        blind = row is None or row.skips or row.blind
        (problems if blind or not injected else notes).append(said)
    return problems, notes


def _not_running(pod: Object, failed: Mapping[str, str]) -> Iterator[str]:
    status = pod.get("status") or {}
    if status.get("reason") == "Evicted":
        yield say("evicted", message=status.get("message") or "it does not say why")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            message = condition.get("message") or condition.get("reason") or "it does not say why"
            yield say("unscheduled", message=message)
    images = {c["name"]: c.get("image", "") for c in all_containers(pod["spec"])}
    for name, state in _states(pod).items():
        waiting = (state.get("state") or {}).get("waiting") or {}
        reason = str(waiting.get("reason") or "")
        message = f"{reason} {waiting.get('message') or ''}".strip()
        if name not in names.OUR_CONTAINERS or reason in _WAITING_WELL:
            continue
        if reason in _PULLING:
            yield say("image", image=images.get(name, ""), container=name, message=message)
        elif not (name == names.CONTAINER_REDIRECT and _proof(pod)[1]):
            ended = (state.get("lastState") or {}).get("terminated") or {}
            yield say("container", container=name, message=ended.get("message") or message)
    for name, lines in failed.items():
        if line := next((x for x in lines.splitlines() if _IN_USE.search(x)), ""):
            yield say("port_in_use", container=name, message=line)


def _delivery(
    meta: Object,
    counters: SidecarCounters | None,
    restarts: int | None,
    missing: int | None,
    lost: Mapping[str, int],
) -> Iterator[str]:
    logs = f"kubectl -n {meta['namespace']} logs {meta['name']} -c {names.CONTAINER_SIDECAR}"
    if counters and counters.refused:
        yield say("refused", count=count(counters.refused, "time", "times"))
    if counters and counters.trouble:
        waiting = count(counters.waiting, "record", "records")
        yield say(counters.trouble, waiting=waiting, restart=restart(meta))
    if counters and counters.dropped:
        yield say("dropped", count=count(counters.dropped, "record", "records"), logs=logs)
    if missing:
        yield say("missing", count=missing, lost=_lost(lost, missing))
    if restarts:
        yield say("restarts", count=count(restarts, "time", "times"), logs=logs)


def trusts_another(sidecar: Object, authority: str) -> bool:
    """True if none of the authorities that the pod was given is one of the release's now."""
    env = {v["name"]: v.get("value", "") for v in sidecar.get("env") or ()}
    own, theirs = (
        {"".join(found.split()) for found in _CERTIFICATE.findall(text)}
        for text in (env.get("TELEMOCK_API_CA_PEM", ""), authority)
    )
    return bool(own and theirs and not own & theirs)


def _restarts(pod: Object, counters: SidecarCounters | None) -> int | None:
    state = _states(pod).get(names.CONTAINER_SIDECAR)
    if state is None and counters is None:
        return None
    return int((state or {}).get("restartCount", 0)) + (counters.restarts if counters else 0)


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
            return False, said or "its log says why"
    return None, ""


def _stale(pod: Object, rules: RuleSet, redirect: str) -> list[str]:
    """Hosts, and ports of hosts, that the profiles name by now, and this pod was not given. `all`
    needs no hosts: it finds the host in the connection."""
    annotations = pod["metadata"].get("annotations") or {}
    only = listed(annotations.get(names.ANNOTATION_PROFILES, ""))
    hosts = [
        host
        for profile in rules.profiles
        if not only or profile.id in only
        for host in profile.hosts
        if not host.suffix
    ]
    wanted = set() if redirect == "all" else {host.name for host in hosts}
    wanted |= {f"{host.name}:{port}" for host in hosts for port in host.ports}
    given = {v["name"]: v.get("value", "") for v in (sidecar_of(pod) or {}).get("env") or ()}
    pairs = [pair for name in _ADDRESSES for pair in listed(given.get(name, ""))]
    led = {*(pair.rpartition("=")[2] for pair in pairs), *listed(given.get(PORTS_SETTING, ""))}
    lacking = wanted - led
    return sorted(one for one in lacking if one.rpartition(":")[0] not in lacking)


def _captures(meta: Object, report: Report) -> tuple[int, str, int, dict[str, int]]:
    this = (meta["namespace"], meta["name"])
    sent = [w for w in report.workloads if (w.namespace, w.pod) == this]
    lacking = [m for m in report.missing if (m.namespace, m.pod) == this]
    lost: Counter[str] = Counter()
    for line in lacking:
        lost.update(line.lost)
    last = max((w.last_seen for w in sent), default="")
    return sum(w.count for w in sent), last, sum(m.missing for m in lacking), dict(lost)


def _lost(reasons: Mapping[str, int], missing: int) -> str:
    if not reasons:
        return "they are lost, or still in the pod"
    why = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
    if (lost := sum(reasons.values())) >= missing:
        return f"lost: {why}"
    return f"{lost} are lost ({why}), the others may still be in the pod"


def _tag(image: str) -> str:
    return image.rpartition(":")[2] if ":" in image.rpartition("/")[2] else ""
