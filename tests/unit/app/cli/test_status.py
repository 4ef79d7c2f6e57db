"""`telemock status`: its words and exit codes."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.cli.status import _none, _table, _wants_mending
from app.cluster.kube import MERGE_PATCH, KubeApi, path
from app.inject.gather import OptedIn
from app.inject.status import judge
from tests.cluster import cluster, namespace, needs_cluster
from tests.unit.app.cli.conftest import Telemock
from tests.unit.app.inject.test_workloads import workload
from tests.waiting import wait_for


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with cluster() as api:
        yield api


@needs_cluster
def test_pods_and_what_is_wrong_with_them(telemock: Telemock, api: KubeApi) -> None:
    with namespace(api, "a1-cli") as space:
        done = telemock("status", "-n", space)
        assert done.code == 1
        assert f"no pod in the namespace {space} has opted in\n\nhint: label" in done.err
        pod = {
            "metadata": {
                "name": "leader-0",
                "annotations": {"telemock.io/status": '{"reasons":["host_network","\\u001b[31m"]}'},
            },
            "spec": {"nodeSelector": {"a": "b"}, "containers": [{"name": "a", "image": "a:1"}]},
        }
        api.request("POST", path("api", "v1", "namespaces", space, "pods"), pod)
        done = telemock("status", "--namespace", space)
        assert done.code == 0
        head, row, empty, *problems = done.out.splitlines()
        assert head.split()[:5] == ["NAMESPACE", "POD", "PHASE", "INJECTED", "REDIRECT"]
        assert row.split()[:4] == [space, "leader-0", "Pending", "no"]
        assert empty == ""
        assert problems[0].startswith(f"{space}/leader-0: the pod has hostNetwork")
        assert telemock("status", "--namespace", space, "--check").code == 1
        assert "\x1b" not in done.out and "\\x1b[31m" in problems[1]
        (line,) = telemock("status", "-n", space, "--json").out.splitlines()
        assert json.loads(line)["reasons"] == ["host_network", "\x1b[31m"]
        assert space in telemock("status", "-A").out


def test_a_pod_that_is_ending_wants_no_mending() -> None:
    meta = {"name": "a", "namespace": "b", "labels": {"telemock.io/inject": "enabled"}}
    pod = {"metadata": meta, "spec": {"containers": []}, "status": {"phase": "Running"}}
    assert _wants_mending(judge(pod, None, None))
    ending = {**pod, "metadata": {**meta, "deletionTimestamp": "2026-11-29T00:00:00Z"}}
    found = judge(ending, None, None)
    assert found.problems and not _wants_mending(found)


def test_without_a_cluster(
    telemock: Telemock, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(place / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    done = telemock("status")
    assert (done.code, done.out) == (3, "")
    assert "gives no access to a cluster" in done.err and "hint: KUBECONFIG" in done.err


@needs_cluster
def test_unknown_context(telemock: Telemock) -> None:
    done = telemock("status", "--context", "nowhere")
    assert done.code == 3 and "nowhere" in done.err
    assert "KUBECONFIG" in os.environ


@needs_cluster
def test_namespace_asks_the_clusters_app(telemock: Telemock) -> None:
    # No release has this name and these tests run beside others: it is the way that is tested.
    done = telemock(
        "captures", "tail", "--namespace", "logs", "--no-follow", "--server", "cluster:x"
    )
    assert done.code == 3 and "gives no access to a cluster" in done.err
    done = telemock("captures", "list", "--namespace", "logs", "--workload", "logs/a")
    assert done.code == 2 and "give one of them" in done.err


def test_lost_and_missing_records_have_columns() -> None:
    pod = {
        "metadata": {"name": "leader-0", "namespace": "logs"},
        "spec": {"containers": [{"name": "telemock", "image": "telemock:1"}]},
    }
    found = msgspec.structs.replace(judge(pod, None, None), dropped=3, missing=79)
    head, row, *_ = _table([found]).splitlines()
    assert head.split()[-3:] == ["DROPPED", "MISSING", "VERSION"]
    assert row.split()[-3:] == ["3", "79", "1"]


@needs_cluster
def test_a_labelled_namespace_is_not_to_be_labelled_again(telemock: Telemock, api: KubeApi) -> None:
    with namespace(api, "a1-labelled", {"telemock.io/inject": "enabled"}) as space:
        done = telemock("status", "-n", space)
        assert done.code == 1
        assert f"the namespace {space} has opted in, and no pod runs there" in done.err
        assert "hint: label" not in done.err


@pytest.mark.parametrize(
    ("space", "asked", "known", "words"),
    [
        ("", {"a": True}, True, "namespaces have opted in, and no pod runs there: a"),
        ("", {"a": False}, True, "no pod in the cluster has opted in\n\nhint: label a namespace"),
        ("b", {"b": False}, True, "-A looks everywhere"),
        ("b", {}, False, "may not look at the labels of namespaces"),
    ],
)
def test_what_is_said_when_there_is_no_row(
    space: str, asked: dict[str, bool], known: bool, words: str
) -> None:
    said = _none(space, OptedIn(asked, known))
    assert words in said
    assert ("-A looks" in said) is (space == "b" and known)


@needs_cluster
def test_restart_asks_and_does_what_it_says(telemock: Telemock, api: KubeApi) -> None:
    with namespace(api, "a1-restart") as space:
        place = path("apis", "apps", "v1", "namespaces", space, "deployments")
        api.request("POST", place, workload("Deployment"))
        pods = path("api", "v1", "namespaces", space, "pods")
        wait_for(lambda: bool(list(api.items(pods))), 30)
        # Only now: another release in this cluster may have a webhook for the label.
        label = {"metadata": {"labels": {"telemock.io/inject": "enabled"}}}
        here = path("api", "v1", "namespaces", space)
        api.request("PATCH", here, label, content_type=MERGE_PATCH)
        done = telemock("restart", "-n", space)  # nobody answers
        assert done.code == 1 and "deployment/deployment: its pods have no sidecar" in done.out
        assert "annotations" not in template(api, place)
        done = telemock("restart", "-n", space, "--yes")
        assert done.code == 0 and f"restarted {space} deployment/deployment" in done.out
        assert "kubectl.kubernetes.io/restartedAt" in template(api, place)["annotations"]


def template(api: KubeApi, place: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"{place}/deployment")["spec"]["template"]["metadata"]
    return found


@needs_cluster
def test_nothing_to_restart(telemock: Telemock, api: KubeApi) -> None:
    with namespace(api, "a1-restart") as space:
        done = telemock("restart", "-n", space)
        assert done.code == 0 and "nothing to restart" in done.out


def test_notes_stand_beside_problems() -> None:
    pod = {
        "metadata": {"name": "leader-0", "namespace": "logs"},
        "spec": {"containers": [{"name": "telemock", "image": "telemock:1"}]},
    }
    row = msgspec.structs.replace(judge(pod, None, None), problems=["bad"], notes=["good"])
    assert _table([row]).endswith("logs/leader-0: bad\nlogs/leader-0: note: good\n")
