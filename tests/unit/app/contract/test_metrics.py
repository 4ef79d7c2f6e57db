"""app/contract/metrics.py: each metric is declared once, explained, and bounded."""

import re

from app.contract.metrics import METRICS


def test_metrics_are_declared_once_and_explained() -> None:
    assert len({m.name for m in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.help.endswith(".")
        assert re.fullmatch(r"[a-z][a-z_.]*", metric.name)


def test_no_metric_has_a_label_without_bound() -> None:
    labels = {label for m in METRICS for label in m.labels}
    assert not labels & {"path", "query", "url", "id", "pod", "client"}


def test_names_as_prometheus_shows_them() -> None:
    shown = {m.name: m.prometheus for m in METRICS}
    assert shown["http.server.request.duration"] == "http_server_request_duration_seconds"
    assert shown["telemock.store.size"] == "telemock_store_size_bytes"
    assert shown["telemock.captures"] == "telemock_captures"
    assert all(re.fullmatch("[a-z_]+", name) for name in shown.values())
