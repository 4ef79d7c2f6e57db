"""Traces and metrics of the release and of the nodes' sidecars, in a real Jaeger and Prometheus
that the pods reach."""

from pathlib import Path

import pytest

from tests import backends
from tests.backends import Jaeger
from tests.e2e.conftest import Cribl
from tests.e2e.release import Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

# Nobody else has it, so that finding it anywhere means that it was exported unmasked.
LICENCE = "dHJhY2VkLWxpY2VuY2UtdGhhdC1tdXN0LW5vdC1sZWF2ZQ=="


@pytest.fixture
def jaeger(collector: Jaeger | None) -> Jaeger:
    if collector is None:
        pytest.skip("needs jaeger in PATH, and a cluster whose node is this machine")
    return collector


def test_an_answer_is_one_trace_of_three_spans(
    jaeger: Jaeger, release: Release, cribl: Cribl
) -> None:
    leader = cribl.leader
    assert cribl.telemetry(leader, "traced", lic=LICENCE)["status"] == 200
    record = release.capture("traced")
    assert record["trace_url"] == f"{jaeger.query}/trace/{record['trace_id']}"
    server, client, mock = jaeger.trace(record["trace_id"], spans=3)
    assert [s.kind for s in (server, client, mock)] == ["server", "client", "server"]
    assert (client.parent_id, mock.parent_id) == (server.span_id, client.span_id)
    assert server.span_id == record["span_id"]
    assert server.name == "GET /telemetry/index.html"
    assert server.attributes["telemock.action"] == "mock"
    assert server.resource["service.name"] == "telemock-sidecar"
    assert mock.resource["service.name"] == "telemock-app"
    for span, pod, container in (
        (server, leader, "telemock"),
        (mock, release.app_pod(), "app"),
    ):
        assert span.resource["k8s.namespace.name"] == pod["metadata"]["namespace"]
        assert span.resource["k8s.pod.name"] == pod["metadata"]["name"]
        assert span.resource["k8s.pod.uid"] == pod["metadata"]["uid"]
        assert span.resource["k8s.node.name"] == pod["spec"]["nodeName"]
        assert span.resource["k8s.container.name"] == container
        assert span.resource["deployment.environment.name"] == "e2e"


def test_what_is_observed_is_a_trace_of_two(jaeger: Jaeger, release: Release, cribl: Cribl) -> None:
    node = cribl.start(
        "traced-observed", annotations={"mode": "observe"}, spec=cribl.through_vendor()
    )
    url = "cdn.cribl.io/telemetry/index.html?v=1&fc.tag="
    assert cribl.call(node, f"http://{url}observed-trace")["status"] == 200
    record = release.capture("observed-trace")
    assert record["answered_by"] == "upstream", record
    server, client = jaeger.trace(record["trace_id"], spans=2)
    assert (server.kind, client.kind, client.parent_id) == ("server", "client", server.span_id)
    assert client.attributes["server.address"] == "cdn.cribl.io"
    assert not (server.error or client.error)
    # The sidecar does not know the authority of the vendor's certificate.
    assert cribl.call(node, f"https://{url}untrusted-trace")["status"] == 502
    record = release.capture("untrusted-trace")
    server, client = jaeger.trace(record["trace_id"], spans=2)
    assert server.error and client.error
    assert client.attributes["error.type"] == record["reason"]


def test_metrics_come_by_otlp_and_by_scraping(
    jaeger: Jaeger, release: Release, cribl: Cribl, tmp_path: Path
) -> None:
    assert cribl.telemetry(cribl.leader, "measured", lic=LICENCE)["status"] == 200
    release.capture("measured")
    sidecars = [f"{pod['status']['podIP']}:17490" for pod in (cribl.leader, *cribl.workers)]
    app = f"{release.app_pod()['status']['podIP']}:8000"
    targets = {"scraped-sidecar": sidecars, "scraped-app": [app]}
    with backends.prometheus(tmp_path, targets, collector=jaeger) as prometheus:
        assert len(prometheus.series('up{job=~"scraped-.*"} == 1', 30)) >= 1
        proven = prometheus.series('telemock_redirect_proven{job="scraped-sidecar"}')
        assert {found["value"][1] for found in proven} == {"1"}
        by_otlp = (
            f'telemock_captures_total{{job=~".*telemock-sidecar",'
            f' k8s_namespace_name="{cribl.namespace}",'
            f' k8s_pod_name="{cribl.leader["metadata"]["name"]}", telemock_action="mock"}}'
        )
        assert prometheus.series(f"sum({by_otlp}) >= 1", 30)
        for query in (
            'telemock_captures_total{job="scraped-app"}',
            'telemock_store_records{job=~".*telemock-app"} > 0',
            'sum(telemock_injector_pods_total{job=~".*telemock-injector"}) > 0',
            'telemock_sidecars{telemock_state="seen"} > 0',
            "http_server_request_duration_seconds_bucket",
        ):
            assert prometheus.series(query, 30), query


def test_the_licence_is_exported_nowhere(jaeger: Jaeger) -> None:
    assert LICENCE not in jaeger.everything()
