"""What is said of a pod; the pods are made by the real injection, the numbers by a real sidecar."""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from addon.app_client.client import TROUBLES
from app.contract.rules import Host, Profile, RuleSet
from app.inject import InjectSettings, NamespaceFacts, inject
from app.inject.reasons import REASONS
from app.inject.status import (
    AppView,
    PodStatus,
    SidecarCounters,
    Surroundings,
    judge,
    watched,
)
from app.profiles import load_profiles
from app.report.build import Missing, build
from app.store.sqlite.store import SqliteStore
from tests.records import exchange, incoming
from tests.unit.app.store.memory import MemoryStore

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
        problems=["1 of its records have not arrived: they are lost, or still in the pod"],
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


@pytest.mark.parametrize("redirect", ["hosts", "loopback", "all"])
def test_ports_that_a_profile_names_since_are_stale(redirect: str, seen: AppView) -> None:
    def view(*ports: int) -> RuleSet:
        return RuleSet((Profile("one", "One", (Host("one.example", ports=ports),), ()),))

    def stale(pod: dict[str, Any], *ports: int) -> list[str]:
        return judge(pod, seen._replace(rules=view(*ports)), None).stale_hosts

    pod = made(redirect, rules=view(4319))
    assert stale(pod, 4319) == []
    assert stale(pod, 4319, 6514) == ["one.example:6514"]
    assert stale(made(redirect, rules=view()), 4319) == ["one.example:4319"]


def test_why_a_pod_is_not_injected() -> None:
    pod = made(labels={"telemock.io/inject": "yes"})
    found = judge(pod, None, None)
    assert (found.injected, found.reasons) == (False, ["label_value"])
    (problem,) = found.problems
    assert problem == "the label telemock.io/inject is 'yes', expected enabled or disabled"
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


def test_a_pod_of_an_older_injector_is_told_without_its_value() -> None:
    pod = made(labels={"telemock.io/inject": "yes"})
    told = json.loads(pod["metadata"]["annotations"]["telemock.io/status"])
    del told["said"]
    pod["metadata"]["annotations"]["telemock.io/status"] = json.dumps(told)
    (problem,) = judge(pod, None, None).problems
    assert problem.startswith("the label telemock.io/inject is (its injector did not keep what)")


def test_what_only_has_to_be_known_is_a_note() -> None:
    proxied = made()
    proxied["metadata"]["annotations"]["telemock.io/status"] = json.dumps(
        {"injected": True, "reasons": ["proxied", "own_ca"], "said": ["a proxy", "a certificate"]}
    )
    found = judge(proxied, None, None)
    assert (found.notes, found.problems) == (["a proxy"], ["a certificate"])


def test_pods_of_official_charts_are_not_called_older(seen: AppView) -> None:
    """Their hosts stand in a file that an init container writes, not in hostAliases."""
    pod = made()
    del pod["spec"]["hostAliases"]
    assert judge(pod, seen, None).stale_hosts == []


with TemporaryDirectory() as _directory:
    EMPTY = build(MemoryStore(Path(_directory)))
LACK = Missing(
    boot="ab" * 16, namespace="logs", pod="leader-0", node="", count=20, missing=7, last_seen=""
)
LACKING = replace(EMPTY, missing=[LACK])
ONE_HOST = Profile("one", "One", (Host("one.example"),), ())

AUTHORITY = "-----BEGIN CERTIFICATE-----\nMIIB{}\n-----END CERTIFICATE-----\n"
DEPLOYED = {"kind": "ReplicaSet", "name": "web-5d8f9c"}


def trusting(*authorities: str) -> dict[str, Any]:
    pod = made(ownerReferences=[DEPLOYED])
    given = {"name": "TELEMOCK_API_CA_PEM", "value": "".join(map(AUTHORITY.format, authorities))}
    pod["spec"]["initContainers"][0]["env"].append(given)
    return pod


def waiting(container: str, reason: str, message: str = "", last: str = "") -> dict[str, Any]:
    ended = {"terminated": {"exitCode": 2, "message": last}} if last else {}
    told = {"waiting": {"reason": reason, "message": message}}
    return state(made(), container, state=told, lastState=ended)


def unscheduled() -> dict[str, Any]:
    pod = made()
    pod["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "message": "0/3 nodes: Insufficient memory."}
    ]
    return pod


def evicted() -> dict[str, Any]:
    pod = made()
    pod["status"] |= {"reason": "Evicted", "message": "Usage of EmptyDir exceeds the limit"}
    return pod


def unseen() -> dict[str, Any]:
    pod = made(ownerReferences=[DEPLOYED])
    del pod["spec"]["initContainers"], pod["metadata"]["annotations"]
    return pod


@pytest.mark.parametrize(
    ("own", "theirs", "another"),
    [(["a"], ["a"], False), (["a", "b"], ["b"], False), (["b"], ["a", "b"], False),
     (["a"], ["b"], True), ([], ["b"], False), (["a"], [], False)],
)  # fmt: skip
def test_one_common_authority_is_enough(own: list[str], theirs: list[str], another: bool) -> None:
    around = Surroundings("".join(map(AUTHORITY.format, theirs)))
    assert bool(judge(trusting(*own), None, None, around).problems) is another


def test_records_that_are_lost_for_good_say_why() -> None:
    lost = msgspec.structs.replace(LACK, lost={"spool_full": 2, "stopped": 1})
    (problem,) = judge(made(), AppView(replace(EMPTY, missing=[lost]), CRIBL), None).problems
    assert problem == (
        "7 of its records have not arrived: 3 are lost (spool_full 2, stopped 1), the others may "
        "still be in the pod"
    )
    lost = msgspec.structs.replace(LACK, lost={"spool_full": 7})
    (problem,) = judge(made(), AppView(replace(EMPTY, missing=[lost]), CRIBL), None).problems
    assert problem == "7 of its records have not arrived: lost: spool_full 7"


def test_numbers_have_their_word() -> None:
    counters = SidecarCounters(1, 1, 1, 1, "unreachable")
    said = " ".join(judge(made(), None, counters).problems)
    for part in ("certificate 1 time,", "lost 1 record:", "holds 1 record", "ended 1 time unasked"):
        assert part in said


def test_what_another_container_waits_for_is_not_ours() -> None:
    pod = waiting("cribl", "ImagePullBackOff", "not found")
    assert judge(pod, None, None).problems == []
    assert judge(waiting("telemock", "PodInitializing"), None, None).problems == []


def test_pods_that_the_release_selects_are_watched() -> None:
    def pod(name: str, space: str, **labels: str) -> dict[str, Any]:
        meta = {"name": name, "namespace": space, "labels": labels}
        return {"metadata": meta, "spec": {"containers": []}}

    pods = [
        pod("picked", "a", app="web"),
        pod("other", "a", app="db"),
        pod("of-kubernetes", "kube-system", app="web"),
        pod("out", "opted-out", app="web"),
    ]
    selector = {"matchLabels": {"app": "web"}}
    found = watched(pods, {"a": None, "opted-out": False}, selector)
    assert [p["metadata"]["name"] for p in found] == ["picked"]
