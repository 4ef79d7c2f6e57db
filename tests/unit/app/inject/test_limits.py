"""A pod with a sidecar under LimitRanges and ResourceQuotas, as a real API server judges it."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.cluster.kube import KubeApi, KubeError, path
from app.inject import Injection, NamespaceFacts, inject
from app.inject.limits import counted, refusals, usage
from app.inject.settings import WaitingPods
from tests.cluster import cluster, namespace, needs_cluster
from tests.unit.app.inject.test_pod import settings

Object = dict[str, Any]


def limit_range(type: str = "Container", **item: Any) -> Object:
    return {"metadata": {"name": "range"}, "spec": {"limits": [{"type": type, **item}]}}


def quota(used: Object | None = None, scopes: Object | None = None, **hard: str) -> Object:
    names = {k.replace("_", "."): v for k, v in hard.items()}
    return {
        "metadata": {"name": "quota"},
        "spec": {"hard": names, **(scopes or {})},
        "status": {"hard": names, "used": used or {}},
    }


def own(**resources: Any) -> Object:
    """An application's container."""
    return {"name": "app", "image": "a:1", "resources": resources}


SMALL = own(requests={"cpu": "10m", "memory": "16Mi"}, limits={"cpu": "100m", "memory": "64Mi"})
HIGH = {
    "scopeSelector": {
        "matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In", "values": ["system-cluster-critical"]}
        ]
    }
}
BOTH = {"limits": {"cpu": "200m"}}

# name -> bounds, the application's container, annotation resources, the reason's words ("": none)
CASES: dict[str, tuple[Object, Object, str, str]] = {
    "roomy range": (limit_range(max={"memory": "1Gi"}), SMALL, "", ""),
    "least memory": (
        limit_range(min={"memory": "50Mi"}), own(requests={"memory": "50Mi"}), "",
        "wants of a container at least 50Mi of memory, and container telemock-redirect requests "
        "32Mi",
    ),
    "least memory, met": (
        limit_range(min={"memory": "50Mi"}), own(requests={"memory": "50Mi"}),
        '{"redirect": {"requests": {"memory": "50Mi"}}}', "",
    ),
    "most memory": (
        limit_range(max={"memory": "150Mi"}), SMALL, "",
        "at most 150Mi of memory, and container telemock has a limit of 192Mi",
    ),
    "most cpu gives a default": (
        limit_range(max={"cpu": "1"}, default={"cpu": "1"}), SMALL, "", ""
    ),
    "too little cpu by default": (
        limit_range(default={"cpu": "10m"}), own(requests={"cpu": "5m"}), "", "more than its limit"
    ),
    "ratio": (
        limit_range(maxLimitRequestRatio={"memory": "2"}),
        own(requests={"memory": "32Mi"}, limits={"memory": "64Mi"}), "",
        "a limit of memory at most 2 times its request, and container telemock has 3",
    ),
    "ratio of cpu without a limit": (
        limit_range(maxLimitRequestRatio={"cpu": "10"}),
        own(requests={"cpu": "50m"}, limits={"cpu": "100m"}), "", "lacks one",
    ),
    "whole pod": (
        limit_range("Pod", max={"memory": "200Mi"}), SMALL, "",
        "wants of a pod at most 200Mi of memory, and this one with a sidecar has a limit of 320Mi",
    ),
    "whole pod, cpu limit missing": (
        limit_range("Pod", max={"cpu": "10"}), SMALL, '{"limits": {"cpu": null}}', ""
    ),
    "whole pod, roomy": (limit_range("Pod", max={"memory": "2Gi"}), SMALL, "", ""),
    "claims only": (limit_range("PersistentVolumeClaim", max={"storage": "1Gi"}), SMALL, "", ""),
    "roomy quota": (quota(requests_memory="1Gi"), SMALL, "", ""),
    "memory used up": (
        quota(requests_memory="64Mi"), SMALL, "",
        "has 64Mi of requests.memory left, and this pod with a sidecar takes 96Mi",
    ),
    "plain name": (
        quota(memory="90Mi"), SMALL, "", "has 90Mi of memory left, and this pod with a sidecar"
    ),
    "cpu limit missing": (
        quota(limits_cpu="4"), SMALL, "",
        "wants a cpu limit of every container, and container telemock has none",
    ),
    "cpu limit by annotation": (quota(limits_cpu="4"), SMALL, '{"limits": {"cpu": "200m"}}', ""),
    "cpu limits too large": (
        quota(limits_cpu="250m"), SMALL, '{"limits": {"cpu": "200m"}}',
        "has 250m of limits.cpu left",
    ),
    "only pods": (quota(pods="5"), SMALL, "", ""),
    "another scope": (quota(scopes={"scopes": ["Terminating"]}, memory="1Mi"), SMALL, "", ""),
    "its scope": (
        quota(scopes={"scopes": ["NotTerminating"]}, memory="1Mi"), SMALL, "", "1Mi of memory left"
    ),
    "best effort no more": (
        quota(scopes={"scopes": ["NotBestEffort"]}, memory="1Mi"), own(), "",
        "a memory request of every container, and container app has none",
    ),
    "best effort": (quota(scopes={"scopes": ["BestEffort"]}, pods="0"), SMALL, "", ""),
    "another priority": (quota(scopes=HIGH, memory="1Mi"), SMALL, "", ""),
    "disk": (quota(**{"requests.ephemeral-storage": "1Gi"}), SMALL, "", ""),
}  # fmt: skip


def facts(bound: Object) -> NamespaceFacts:
    if "limits" in bound["spec"]:
        return NamespaceFacts("n", limit_ranges=[bound])
    return NamespaceFacts("n", quotas=[bound])


def given(container: Object, annotation: str) -> Object:
    meta = {"name": "a", "annotations": {"telemock.io/resources": annotation}}
    return {"metadata": meta, "spec": {"containers": [container]}}


def done(case: str) -> Injection:
    bound, container, annotation, _ = CASES[case]
    return inject(given(container, annotation), settings(), facts(bound))


@pytest.mark.parametrize("case", CASES)
def test_a_pod_that_would_be_refused_is_left_alone(case: str) -> None:
    words = CASES[case][3]
    found = done(case)
    assert found.injected is not bool(words), found.reasons
    if words:
        (told,) = found.reasons
        assert told.id in ("limit_range", "quota") and words in told.sentence
        assert found.pod["spec"] == given(*CASES[case][1:3])["spec"]


def test_what_others_use_counts() -> None:
    full = quota({"requests.memory": "950Mi"}, requests_memory="1Gi")
    found = inject(given(SMALL, ""), settings(), facts(full))
    assert "has 74Mi of requests.memory left" in found.reasons[0].sentence
    over = quota({"requests.memory": "2Gi"}, requests_memory="1Gi")
    found = inject(given(SMALL, ""), settings(), facts(over))
    assert "has 0Mi of requests.memory left" in found.reasons[0].sentence


def test_a_sidecar_does_not_take_the_place_of_pods_that_are_due() -> None:
    """Six replicas of 32Mi in 384Mi: three sidecars of 64Mi fit, if they come first."""
    replica = own(requests={"memory": "32Mi"}, limits={"memory": "64Mi"})
    pod = given(replica, "")
    pod["metadata"]["ownerReferences"] = [{"uid": "rs", "controller": True}]
    used, injected = 0, []
    for made in range(6):
        due = WaitingPods("rs", 6 - made, {"containers": [replica]})
        room = quota({"requests.memory": f"{used}Mi"}, requests_memory="384Mi")
        found = inject(pod, settings(), NamespaceFacts("n", quotas=[room], waiting=[due]))
        injected.append(found.injected)
        used += 96 if found.injected else 32
    assert injected == [True] * 3 + [False] * 3
    assert used == 384
    assert "takes 96Mi, and pods that are due 64Mi" in found_at(4, pod, replica).reasons[0].sentence


def found_at(number: int, pod: Object, replica: Object) -> Injection:
    due = WaitingPods("rs", 7 - number, {"containers": [replica]})
    room = quota({"requests.memory": "288Mi"}, requests_memory="384Mi")
    return inject(pod, settings(), NamespaceFacts("n", quotas=[room], waiting=[due]))


@pytest.mark.parametrize(
    ("operator", "values", "name", "matches"),
    [("In", ["a"], "a", True), ("In", ["a"], "", False), ("NotIn", ["a"], "b", True),
     ("NotIn", ["a"], "a", False), ("Exists", [], "b", True), ("Exists", [], "", False),
     ("DoesNotExist", [], "", True), ("DoesNotExist", [], "b", False)],
)  # fmt: skip
def test_scopes_by_priority(operator: str, values: list[str], name: str, matches: bool) -> None:
    scope = {"scopeName": "PriorityClass", "operator": operator, "values": values}
    asked = quota(scopes={"scopeSelector": {"matchExpressions": [scope]}}, memory="1Mi")
    spec = {"priorityClassName": name, "containers": [SMALL]}
    assert bool(counted(asked, spec)) is matches


def test_init_containers_count_as_kubernetes_counts_them() -> None:
    def container(memory: str, **more: str) -> Object:
        return {"name": "x", "resources": {"requests": {"memory": memory}}, **more}

    spec = {
        "initContainers": [container("10Mi", restartPolicy="Always"), container("100Mi")],
        "containers": [container("30Mi"), container("30Mi")],
    }
    assert usage(spec)["requests.memory"] == 110 << 20
    spec["initContainers"][1] = container("40Mi")
    assert usage(spec)["requests.memory"] == 70 << 20


@pytest.mark.parametrize("bad", [None, {"memory": "many"}, {"memory": []}])
def test_bounds_that_are_not_understood_leave_the_pod_alone(bad: Any) -> None:
    broken = {"metadata": {"name": "q"}, "spec": {"hard": bad}, "status": {}}
    found = refusals({"containers": [SMALL]}, NamespaceFacts("n", quotas=[broken]))
    assert [r.id for r in found] == (["bounds_unknown"] if bad else [])


def test_bounds_that_cannot_be_read_leave_the_pod_alone() -> None:
    found = inject(given(SMALL, ""), settings(), NamespaceFacts("n", unknown="403"))
    assert (found.injected, [r.id for r in found.reasons]) == (False, ["bounds_unknown"])


@contextlib.contextmanager
def bounded(api: KubeApi, bound: Object) -> Iterator[Callable[[Object], str]]:
    """A namespace with that bound, and how its API server refuses a pod ("": it does not)."""
    kind = "limitranges" if "limits" in bound["spec"] else "resourcequotas"
    with namespace(api, "bounds") as ns:
        place = path("api", "v1", "namespaces", ns)
        made = {"metadata": bound["metadata"], "spec": bound["spec"]}
        api.request("POST", f"{place}/{kind}", made)

        def refusal(pod: Object) -> str:
            try:
                api.request("POST", f"{place}/pods", pod, query={"dryRun": "All"}, timeout=30)
            except KubeError as e:
                return str(e)
            return ""

        yield refusal


@needs_cluster
@pytest.mark.parametrize("case", CASES)
def test_the_api_server_agrees(case: str) -> None:
    """It refuses the pod with the sidecar exactly where we leave it alone, and no pod is refused
    that it takes without one."""
    bound, container, annotation, words = CASES[case]
    plain = given(container, annotation)
    forced = inject(plain, settings()).pod
    with cluster() as api, bounded(api, bound) as refusal:
        assert bool(refusal(forced)) is bool(words), refusal(forced)
        if not refusal(plain):
            assert refusal(done(case).pod) == ""
