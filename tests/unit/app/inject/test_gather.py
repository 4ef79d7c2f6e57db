"""The cluster is asked: metrics of a real sidecar, pods of a real API server."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.cluster.kube import MERGE_PATCH, KubeApi, path
from app.inject.gather import counters, namespaces
from app.inject.gather import gather as gather_of
from app.inject.status import PodStatus
from app.run.processes import RunningSidecar, start_app, start_sidecar
from tests.cluster import cluster, namespace, needs_cluster
from tests.relay import needs_image, relay
from tests.unit.app.inject.test_status import made


def gather(api: KubeApi, space: str, seen: None) -> list[PodStatus]:
    return gather_of(api, space, namespaces(api, space), seen)


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
