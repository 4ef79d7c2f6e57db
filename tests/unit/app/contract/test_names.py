import re

from app.contract import names


def test_ports_differ() -> None:
    ports = [v for n, v in vars(names).items() if n.startswith("PORT_") and isinstance(v, int)]
    assert len(set(ports)) == len(ports) > 0
    # A service mesh in the same pod keeps these.
    assert not any(15000 <= p <= 15090 for p in ports)


def test_every_header_of_a_request_to_the_mock_is_in_the_list_that_is_stripped() -> None:
    headers = {v for n, v in vars(names).items() if re.fullmatch("HEADER_[A-Z]+", n)}
    answered = {names.HEADER_ERROR, names.HEADER_AGAIN}
    to_the_api = {
        names.HEADER_SIDECAR,
        names.HEADER_LEAVING,
        names.HEADER_ACCOUNTS,
        names.HEADER_PRESENCE,
    }
    assert headers - answered - to_the_api == set(names.HEADERS_INTERNAL)
    assert all(h == h.lower() for h in headers)


def test_metrics_are_declared_once_and_explained() -> None:
    assert len({m.name for m in names.METRICS}) == len(names.METRICS)
    for metric in names.METRICS:
        assert metric.help.endswith(".")
        assert re.fullmatch(r"[a-z][a-z_.]*", metric.name)


def test_no_metric_has_a_label_without_bound() -> None:
    labels = {label for m in names.METRICS for label in m.labels}
    assert not labels & {"path", "query", "url", "id", "pod", "client"}


def test_names_as_prometheus_shows_them() -> None:
    shown = {m.name: m.prometheus for m in names.METRICS}
    assert shown["http.server.request.duration"] == "http_server_request_duration_seconds"
    assert shown["telemock.store.size"] == "telemock_store_size_bytes"
    assert shown["telemock.captures"] == "telemock_captures"
    assert all(re.fullmatch("[a-z_]+", name) for name in shown.values())
