"""What is said of a pod; the pods are made by the real injection, the numbers by a real sidecar."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from addon.app_client.client import TROUBLES
from app.cluster.kube import MERGE_PATCH, KubeApi, path
from app.contract.rules import RuleSet
from app.inject import InjectSettings, NamespaceFacts, inject
from app.inject.reasons import REASONS
from app.inject.status import AppView, PodStatus, SidecarCounters, counters, gather, judge, watched
from app.profiles import load_profiles
from app.report.build import build
from app.run.processes import RunningSidecar, start_app, start_sidecar
from app.store.sqlite.store import SqliteStore
from tests.cluster import cluster, namespace, needs_cluster
from tests.records import exchange, incoming
from tests.relay import needs_image, relay

PROFILE = Path(__file__).parents[3] / "profile.yaml"
CRIBL = load_profiles(["cribl"])


def made(redirect: str = "hosts", rules: RuleSet = CRIBL, **meta: Any) -> dict[str, Any]:
    """A pod as the injector leaves it, of the namespace `logs`."""
    pod = {
        "metadata": {"name": "leader-0", "namespace": "logs", **meta},
        "spec": {"containers": [{"name": "cribl", "image": "cribl:4"}]},
        "status": {"phase": "Running"},
    }
    settings = InjectSettings(
        image="telemock-sidecar:1.2.3", app_url="http://t:8000", rules=rules, redirect=redirect
    )
    return inject(pod, settings, NamespaceFacts("logs")).pod


def state(pod: dict[str, Any], container: str, **given: Any) -> dict[str, Any]:
    statuses = pod["status"].setdefault("initContainerStatuses", [])
    statuses.append({"name": container, **given})
    return pod


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[AppView]:
    store = SqliteStore(tmp_path / "store")
    store.write(
        incoming(exchange(1), exchange(2), exchange(4), exchange(1, boot="cd" * 16, pod="x"))
    )
    yield AppView(build(store), CRIBL)
    store.close()


def test_injected_and_seen(seen: AppView) -> None:
    pod = state(made(), "telemock-redirect", state={"terminated": {"exitCode": 0}})
    found = judge(pod, seen, SidecarCounters(0, 0, 2))
    assert found == PodStatus(
        namespace="logs",
        pod="leader-0",
        phase="Running",
        injected=True,
        reasons=[],
        mode="",
        redirect="hosts",
        redirect_proven=True,
        version=found.version,
        captures=3,
        last_seen="2026-09-21T14:13:20Z",
        missing=1,
        refused=0,
        dropped=0,
        waiting=2,
        trouble="",
        restarts=0,
        stale_hosts=[],
        problems=[],
    )
    assert found.version


def test_what_cannot_be_asked_stays_open() -> None:
    found = judge(made(), None, None)
    open_ = ("captures", "missing", "refused", "dropped", "waiting", "redirect_proven", "restarts")
    assert {getattr(found, name) for name in open_} == {None}
    assert found.last_seen == "" and found.problems == []


@pytest.mark.parametrize(
    ("given", "proven", "problem"),
    [
        ({"state": {"terminated": {"exitCode": 0}}}, True, ""),
        ({"state": {"waiting": {}}}, None, ""),
        ({"state": {"running": {}}}, None, ""),
        ({"state": {"terminated": {"exitCode": 1, "message": "no\nnft"}}}, False, "failed: no nft"),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
            },
            False,
            "failed: Error",
        ),
    ],
)
def test_the_redirect_is_proven_by_its_container(
    given: dict[str, Any], proven: bool | None, problem: str
) -> None:
    found = judge(state(made(), "telemock-redirect", **given), None, None)
    assert found.redirect_proven is proven
    assert (problem in found.problems[0]) if problem else not found.problems


def test_loopback_is_proven_by_the_sidecars_start() -> None:
    pod = made("loopback")
    assert judge(pod, None, None).redirect_proven is None
    assert judge(state(pod, "telemock", started=True), None, None).redirect_proven is True


@pytest.mark.parametrize("word", TROUBLES)
def test_why_the_app_takes_nothing_is_a_problem(word: str) -> None:
    found = judge(made(), None, SidecarCounters(0, 0, 2, 0, word))
    assert found.trouble == word
    (problem,) = found.problems
    assert problem != word and "{" not in problem


@pytest.mark.parametrize(
    ("kind", "name", "target"),
    [("ReplicaSet", "workers-5d8f9c", "deployment/workers"), ("StatefulSet", "w", "statefulset/w"),
     ("DaemonSet", "edge", "daemonset/edge"), ("Job", "once", "")],
)  # fmt: skip
def test_another_authority_has_a_remedy(kind: str, name: str, target: str) -> None:
    pod = made(ownerReferences=[{"kind": kind, "name": name}])
    (problem,) = judge(pod, None, SidecarCounters(0, 0, 2, 0, "distrusted")).problems
    end = f"restart it: kubectl -n logs rollout restart {target}" if target else "restart it"
    assert problem.endswith(end)


def test_a_sidecar_that_was_started_again_is_a_problem() -> None:
    pod = state(made(), "telemock", restartCount=1)
    found = judge(pod, None, SidecarCounters(0, 0, 0, 2))
    assert found.restarts == 3
    assert "ended 3 times" in found.problems[0] and "logs leader-0 -c telemock" in found.problems[0]
    assert (
        judge(state(made(), "telemock", restartCount=0), None, SidecarCounters(0, 0, 0)).problems
        == []
    )


def test_hosts_that_a_profile_names_since_are_stale(tmp_path: Path, seen: AppView) -> None:
    (tmp_path / "acme.yaml").write_text(PROFILE.read_text())
    both = load_profiles(["cribl", tmp_path / "acme.yaml"])
    newer = seen._replace(rules=both)
    found = judge(made(), newer, None)
    assert "t.acme.test" in found.stale_hosts
    assert "t.acme.test" in found.problems[0] and "restart it" in found.problems[0]
    assert judge(made("loopback"), newer, None).stale_hosts == found.stale_hosts
    # Neither is missing: the pod has them all, wants that profile only, or has no need of names.
    assert judge(made(rules=both), newer, None).stale_hosts == []
    only = {"telemock.io/profiles": " cribl "}
    assert judge(made(annotations=only), newer, None).stale_hosts == []
    assert judge(made("all"), newer, None).stale_hosts == []


def test_why_a_pod_is_not_injected() -> None:
    pod = made(labels={"telemock.io/inject": "yes"})
    found = judge(pod, None, None)
    assert (found.injected, found.reasons) == (False, ["label_value"])
    assert found.problems[0].startswith("the label telemock.io/inject is …, expected")
    del pod["metadata"]["annotations"]
    assert "no injector saw this pod" in judge(pod, None, None).problems[0]


@pytest.mark.parametrize(
    "annotation", ["", "{", "[]", '{"reasons": 1}', '{"reasons": ["future"]}', "[" * 5000]
)
def test_annotation_that_someone_changed_is_harmless(annotation: str) -> None:
    pod = made(labels={"telemock.io/inject": "yes"})
    pod["metadata"]["annotations"]["telemock.io/status"] = annotation
    (problem,) = judge(pod, None, None).problems
    assert problem == "future" or "no injector saw this pod" in problem


def test_every_reason_reads_without_its_pod() -> None:
    for id in REASONS:
        pod = made(labels={"telemock.io/inject": "yes"})
        pod["metadata"]["annotations"]["telemock.io/status"] = json.dumps({"reasons": [id]})
        (problem,) = judge(pod, None, None).problems
        assert "{" not in problem and " " in problem


def test_refused_certificates_name_the_annotation() -> None:
    assert "telemock.io/trust" in judge(made(), None, SidecarCounters(3, 0, 0)).problems[0]


def test_who_is_watched() -> None:
    def pod(name: str, space: str = "a", **meta: Any) -> dict[str, Any]:
        return {"metadata": {"name": name, "namespace": space, **meta}, "spec": {"containers": []}}

    injected = made(labels={"telemock.io/inject": "disabled"})
    injected["spec"]["initContainers"] = made()["spec"]["initContainers"]
    pods = [
        pod("plain"),
        pod("labelled", labels={"telemock.io/inject": "enabled"}),
        pod("out", "in", labels={"telemock.io/inject": "disabled"}),
        pod("annotated", annotations={"telemock.io/mode": "observe"}),
        pod("of-the-namespace", "in"),
        pod("other", annotations={"not-telemock.io/x": ""}, labels={"a": "b"}),
        injected,
    ]
    found = [p["metadata"]["name"] for p in watched(pods, {"in": True, "a": False})]
    assert found == ["labelled", "annotated", "of-the-namespace", "leader-0"]


@pytest.mark.parametrize(
    "text", ["", "<html>", "telemock_spool_records 1.2.3", "go_goroutines 7\n"]
)
def test_what_is_no_sidecars_metrics(text: str) -> None:
    assert counters(text) is None


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[RunningSidecar]:
    data, logs = tmp_path / "data", tmp_path / "logs"
    app = start_app(data, logs)
    try:
        started = start_sidecar(data, logs, app.url, environ={"TELEMOCK_HEALTH_HOST": "0.0.0.0"})
        yield started
        started.child.stop()
    finally:
        if app.child is not None:
            app.child.stop()


def test_counters_of_a_real_sidecar(sidecar: RunningSidecar) -> None:
    text = httpx.get(f"{sidecar.health}/metrics", trust_env=False).text
    found = counters(text)
    assert found is not None and found[:2] == (0, 0)
    more = (
        'telemock_tls_client_rejected_total{host="a b"} 2.0\n'
        'telemock_tls_client_rejected_total{host=""} 3.0\n'
        'telemock_capture_dropped_total{telemock_reason="spool_full"} 1e+03\n'
    )
    assert counters(text + more) == (5, 1000, found.waiting, 0, "")
    more += (
        "telemock_sidecar_restarts_total 2.0\n"
        'telemock_app_trouble{telemock_outcome="full"} 0.0\n'
        'telemock_app_trouble{telemock_outcome="distrusted"} 1.0\n'
    )
    told = counters(text.replace("telemock_app_trouble{", "other{") + more)
    assert told == (5, 1000, found.waiting, 2, "distrusted")


@pytest.fixture(scope="module")
def api() -> Iterator[KubeApi]:
    with cluster() as api:
        yield api


@needs_cluster
def test_pods_of_a_real_namespace(api: KubeApi) -> None:
    with namespace(api, "a1-status") as space:
        pods = path("api", "v1", "namespaces", space, "pods")
        pod = made("loopback")
        pod["metadata"]["namespace"] = space
        pod["spec"]["nodeSelector"] = {"telemock.test/no": "node"}
        api.request("POST", pods, pod)
        old = {
            "metadata": {"name": "old"},
            "spec": {"nodeSelector": {"a": "b"}, "containers": [{"name": "a", "image": "a:1"}]},
        }
        api.request("POST", pods, old)
        assert [row.pod for row in gather(api, space, None)] == ["leader-0"]
        # Only now: another release in this cluster may have a webhook for the label.
        labels = {"metadata": {"labels": {"telemock.io/inject": "enabled"}}}
        place = path("api", "v1", "namespaces", space)
        api.request("PATCH", place, labels, content_type=MERGE_PATCH)
        found = {row.pod: row for row in gather(api, space, None)}
        assert {name: row.injected for name, row in found.items()} == {
            "leader-0": True,
            "old": False,
        }
        everywhere = {(row.namespace, row.pod) for row in gather(api, "", None)}
        assert {(space, "leader-0"), (space, "old")} <= everywhere


@needs_image
def test_the_sidecar_is_asked_through_the_api_server(api: KubeApi, sidecar: RunningSidecar) -> None:
    port = httpx.URL(sidecar.health).port
    assert port
    with namespace(api, "a1-asked") as space:
        relay(api, space, "leader-0", {}, {17490: port}, container="telemock")
        (found,) = gather(api, space, None)
        assert (found.injected, found.refused, found.dropped) == (True, 0, 0)
        assert found.waiting is not None
        sidecar.child.stop()
        (found,) = gather(api, space, None)
        assert (found.injected, found.refused, found.dropped) == (True, None, None)
