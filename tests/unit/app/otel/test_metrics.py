import threading

import pytest

from app.contract.metrics import METRICS, Process
from app.otel.metrics import LABEL_SETS, PROCESS, Metrics


@pytest.mark.parametrize("of", ["app", "sidecar", "injector"])
def test_every_metric_of_a_process_is_there_with_the_name_in_the_table(of: Process) -> None:
    text = Metrics(of).render().decode()
    assert "# HELP" in text
    for row in METRICS:
        assert (f"# HELP {row.prometheus}" in text) == (of in row.of), row.name


def test_what_is_left_out_is_not_shown() -> None:
    text = Metrics("sidecar", left_out=["telemock.redirect.proven"]).render().decode()
    assert "redirect_proven" not in text
    assert "redirect_connections" in text


def test_values_are_shown() -> None:
    metrics = Metrics("app")
    metrics.add("telemock.capture.dropped", ("queue_full",), 3)
    metrics.set("telemock.store.size", 7)
    metrics.set("telemock.sidecars", 2, ("seen",))
    metrics.observe("http.server.request.duration", ("GET", "https", "200", "", "mock"), 0.2)
    metrics.observe("telemock.ingest.batch.size", (), 200)
    text = metrics.render().decode()
    assert 'telemock_capture_dropped_total{telemock_reason="queue_full"} 3.0' in text
    assert "telemock_store_size_bytes 7.0" in text
    assert 'telemock_sidecars{telemock_state="seen"} 2.0' in text
    assert (
        'http_server_request_duration_seconds_bucket{error_type="",http_request_method="GET",'
        'http_response_status_code="200",le="0.25",telemock_action="mock",url_scheme="https"} 1.0'
    ) in text
    assert 'telemock_ingest_batch_size_bucket{le="200.0"} 1.0' in text
    assert 'telemock_ingest_batch_size_bucket{le="100.0"} 0.0' in text
    assert "_created" not in text


def test_hostile_label_values_are_bounded_and_none_is_lost() -> None:
    metrics = Metrics("sidecar")
    for n in range(LABEL_SETS + 50):
        metrics.add("telemock.tls.client_rejected", (f"host{n}",))
    text = metrics.render().decode()
    assert text.count("telemock_tls_client_rejected_total{") == LABEL_SETS + 1
    assert 'telemock_tls_client_rejected_total{server_address="other"} 50.0' in text


def test_threads_count_together() -> None:
    metrics = Metrics("app")

    def count() -> None:
        for n in range(500):
            metrics.add("telemock.capture.dropped", (f"reason{n % 5}",))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = metrics.render().decode()
    assert all(f'reason="reason{n}"}} 400.0' in text for n in range(5))


@pytest.mark.parametrize("name", PROCESS)
def test_the_process_itself_is_shown(name: str) -> None:
    assert f"# TYPE {name}" in Metrics("injector").render().decode()
