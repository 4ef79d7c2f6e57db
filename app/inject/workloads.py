"""The workloads whose pods get a sidecar: which one made a pod, and which cannot make any.

`app.inject.gather` looks at them for `telemock status`, `app.inject.restart` restarts them.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from app.cluster.kube import KubeApi, KubeError, Object, path
from app.contract import names

RESTARTABLE = ("Deployment", "StatefulSet", "DaemonSet")
_GROUPS = {
    "ReplicaSet": ("apps", "replicasets"),
    "Deployment": ("apps", "deployments"),
    "StatefulSet": ("apps", "statefulsets"),
    "DaemonSet": ("apps", "daemonsets"),
    "Job": ("batch", "jobs"),
}


class Controller(NamedTuple):
    """A controller of pods. `kind` is Kubernetes', such as Deployment."""

    namespace: str
    kind: str
    name: str

    @property
    def place(self) -> str:
        """Its path in the API."""
        group, plural = _GROUPS[self.kind]
        return path("apis", group, "v1", "namespaces", self.namespace, plural, self.name)

    def __str__(self) -> str:
        return f"{self.kind.lower()}/{self.name}"


class Unmade(NamedTuple):
    """A workload that lacks pods because the API server refuses them."""

    workload: Controller
    message: str


def owner(meta: Mapping[str, object]) -> Controller | None:
    """The pod's controller, a Deployment in place of its ReplicaSet; None for any other."""
    references = meta.get("ownerReferences")
    for reference in references if isinstance(references, list) else ():
        kind, name = str(reference["kind"]), str(reference["name"])
        if kind == "ReplicaSet":
            kind, name = "Deployment", name.rpartition("-")[0]
        if kind in RESTARTABLE and name:
            return Controller(str(meta["namespace"]), kind, name)
    return None


def unmade(api: KubeApi, namespace: str, opted_in: Mapping[str, bool | None]) -> list[Unmade]:
    """Finds workloads that opted in and lack pods now, by their Events. Raises KubeError."""
    space = ("namespaces", namespace) if namespace else ()
    selector = "reason=FailedCreate,type=Warning"
    events = api.items(path("api", "v1", *space, "events"), fieldSelector=selector)
    latest: dict[Controller, str] = {}
    for event in sorted(events, key=lambda e: str(e.get("lastTimestamp") or "")):
        about = event.get("involvedObject") or {}
        if about.get("kind") in _GROUPS:
            found = Controller(str(about["namespace"]), str(about["kind"]), str(about["name"]))
            latest[found] = str(event.get("message") or "")
    return list(_lacking(api, latest.items(), opted_in))


def _lacking(
    api: KubeApi, latest: Iterable[tuple[Controller, str]], opted_in: Mapping[str, bool | None]
) -> Iterator[Unmade]:
    for workload, message in latest:
        try:
            found = api.get(workload.place)
        except KubeError:  # gone since, or not to be read: then it is not known to be true
            continue
        if _wants(found, bool(opted_in.get(workload.namespace))) and lacking(found):
            yield Unmade(workload, message)


def _wants(workload: Object, opted_in: bool) -> bool:
    meta = workload["spec"]["template"].get("metadata") or {}
    label = (meta.get("labels") or {}).get(names.LABEL_INJECT)
    return label == names.INJECT_ENABLED or (label is None and opted_in)


def lacking(workload: Object) -> int:
    """Counts the pods that it has yet to make, as its status says."""
    spec, status = workload["spec"], workload.get("status") or {}
    if "desiredNumberScheduled" in status:
        made, wanted = status.get("currentNumberScheduled", 0), status["desiredNumberScheduled"]
    elif "completions" in spec or "parallelism" in spec:  # a Job
        done = int(status.get("succeeded", 0))
        left = max(int(spec.get("completions") or spec.get("parallelism") or 1) - done, 0)
        ended = spec.get("suspend") or status.get("completionTime") or status.get("conditions")
        made = status.get("active", 0)
        wanted = 0 if ended else min(int(spec.get("parallelism", 1)), left)
    else:
        made, wanted = status.get("replicas", 0), spec.get("replicas", 1)
    return max(int(wanted) - int(made), 0)
