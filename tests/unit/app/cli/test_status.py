"""`telemock status`: its words and exit codes."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from app.cli.status import _table
from app.cluster.kube import KubeApi, path
from app.inject.status import judge
from tests.cluster import cluster, namespace, needs_cluster
from tests.unit.app.cli.conftest import Telemock


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
        assert "\x1b" not in done.out and "\\x1b[31m" in problems[1]
        (line,) = telemock("status", "-n", space, "--json").out.splitlines()
        assert json.loads(line)["reasons"] == ["host_network", "\x1b[31m"]
        assert space in telemock("status", "-A").out


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
