from pathlib import Path

import pytest
import trustme

from app.contract.record import Workload
from app.contract.settings import SettingError
from app.otel.settings import DEFAULT_ENDPOINT, Otel, read, resource_of, shown

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HERE = {ENDPOINT: "http://127.0.0.1:4318"}


def given(**environ: str) -> Otel:
    return read(
        environ, service="telemock-app", version="1.2", resource={"k8s.pod.name": "p", "no": ""}
    )


def refused(**environ: str) -> str:
    with pytest.raises(SettingError) as refusal:
        given(**environ)
    text = str(refusal.value)
    assert "\n\nhint: " in text
    return text


def test_nothing_is_exported_unless_it_is_asked_for() -> None:
    otel = given()
    assert (otel.traces, otel.metrics, otel.logs, otel.endpoints) == (False, False, False, {})


def test_an_endpoint_asks_for_traces_and_metrics() -> None:
    otel = given(OTEL_EXPORTER_OTLP_ENDPOINT="http://c:4318/")
    assert (otel.traces, otel.metrics, otel.logs) == (True, True, False)
    assert otel.endpoints["traces"] == "http://c:4318/v1/traces"
    assert otel.endpoints["metrics"] == "http://c:4318/v1/metrics"


def test_logs_are_asked_for_by_name() -> None:
    otel = given(**HERE, OTEL_LOGS_EXPORTER="otlp")
    assert otel.logs
    assert otel.endpoints["logs"] == "http://127.0.0.1:4318/v1/logs"


def test_an_exporter_without_an_endpoint_has_the_standard_one() -> None:
    otel = given(OTEL_TRACES_EXPORTER="otlp")
    assert (otel.traces, otel.metrics) == (True, False)
    assert otel.endpoints["traces"] == f"{DEFAULT_ENDPOINT}/v1/traces"


def test_each_signal_can_be_left_out() -> None:
    otel = given(**HERE, OTEL_TRACES_EXPORTER="none")
    assert (otel.traces, otel.metrics) == (False, True)


def test_a_signals_own_endpoint_is_taken_as_it_is_and_asks_for_it_alone() -> None:
    otel = given(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="https://p/api/v1/otlp/v1/metrics")
    assert (otel.traces, otel.metrics) == (False, True)
    assert otel.endpoints["metrics"] == "https://p/api/v1/otlp/v1/metrics"


def test_no_value_of_a_header_is_in_the_repr() -> None:
    assert "Bearer" not in repr(
        given(**HERE, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20x")
    )


def test_empty_variables_are_unset_ones() -> None:
    names = (ENDPOINT, "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER")
    assert not given(**dict.fromkeys(names, " ")).endpoints


def test_the_sdk_can_be_disabled_whatever_else_is_set() -> None:
    assert not given(
        ENDPOINT="ftp://x", OTEL_SDK_DISABLED="True", OTEL_LOGS_EXPORTER="otlp"
    ).endpoints


def test_variables_of_what_is_not_exported_are_not_looked_at() -> None:
    wrong = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_TRACES_SAMPLER": "none",
        "OTEL_BSP_MAX_QUEUE_SIZE": "x",
        "OTEL_RESOURCE_ATTRIBUTES": "x",
        "OTEL_METRIC_EXPORT_INTERVAL": "x",
    }
    assert not given(**wrong).endpoints


def test_the_sdk_is_given_the_variables_as_the_specification_means_them() -> None:
    """It takes the timeout in seconds, an empty variable for a value, and does not start with a
    queue that is smaller than its usual batch."""
    given_ = given(
        **HERE,
        OTEL_LOGS_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_TIMEOUT="5000",
        OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="500",
        OTEL_BLRP_EXPORT_TIMEOUT="700",
        OTEL_BSP_MAX_QUEUE_SIZE="10",
        OTEL_TRACES_SAMPLER=" ",
        OTEL_SERVICE_NAME=" mine\n",
        HOME="/nowhere",
    )
    assert given_.environ == {
        **HERE,
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "5000",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "0.5",
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "5.0",
        "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "0.7",
        "OTEL_BLRP_EXPORT_TIMEOUT": "700",
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "512",
        "OTEL_BSP_MAX_QUEUE_SIZE": "10",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10",
        "OTEL_SERVICE_NAME": "mine",
    }
    assert given_.queues == {"traces": 10, "logs": 2048}


def test_times_are_milliseconds() -> None:
    assert given(**HERE, OTEL_METRIC_EXPORT_INTERVAL="1500").metric_interval_s == 1.5
    assert given(**HERE).metric_interval_s == 60


def test_the_resource_names_the_process() -> None:
    assert given(**HERE).resource == {
        "service.name": "telemock-app", "service.version": "1.2", "k8s.pod.name": "p",
    }  # fmt: skip


def test_grpc_is_taken_where_its_package_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.otel.settings._has_grpc", lambda: True)
    otel = given(OTEL_EXPORTER_OTLP_ENDPOINT="http://c:4317", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert otel.grpc == {"traces", "metrics"}
    assert otel.endpoints == {"traces": "http://c:4317", "metrics": "http://c:4317"}


@pytest.mark.parametrize(
    ("name", "value", "also"),
    [
        (ENDPOINT, "localhost:4318", "http://"),
        (ENDPOINT, "grpc://c:4317", "http://"),
        (ENDPOINT, "http://", "http://"),
        (ENDPOINT, "http://c:port", "http://"),
        (ENDPOINT, "http://c:99999", "http://"),
        (ENDPOINT, "http://[::1", "http://"),
        (ENDPOINT, "http://c:4318?key=1", "without a query"),
        (ENDPOINT, "http://c\x01", "http://"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "c", "http://"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "opentelemetry-exporter-otlp-proto-grpc"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "gzip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10", "milliseconds"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "5s", "milliseconds"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem", "No such file"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/nowhere/ca.pem", "No such file"),
        ("OTEL_SDK_DISABLED", "1", "true or false"),
        ("OTEL_TRACES_EXPORTER", "console", "otlp or none"),
        ("OTEL_METRICS_EXPORTER", "prometheus", "/metrics"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "traceidratio"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1", "milliseconds"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "items"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "99999999999999999999", "items"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096", "2048"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1.5", "milliseconds"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team", "name=value"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", "whole number"),
    ],
)
def test_a_wrong_value_stops_the_start_and_is_named(name: str, value: str, also: str) -> None:
    text = refused(**{**HERE, name: value})
    assert text.startswith(f"{name} is ")
    assert also in text


@pytest.mark.parametrize("value", ["2", "-0.1", "nan", "inf", "half"])
def test_a_wrong_ratio(value: str) -> None:
    text = refused(**HERE, OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG=value)
    assert text.startswith(f"OTEL_TRACES_SAMPLER_ARG is {value!r}")


@pytest.mark.parametrize("value", ["s3cret", "a=ok,s3cret", "a b=s3cret", "a=s3cret%0d%0aHost: x"])
def test_headers_that_cannot_be_read_are_not_shown(value: str) -> None:
    text = refused(**HERE, OTEL_EXPORTER_OTLP_HEADERS=value)
    assert text.startswith("OTEL_EXPORTER_OTLP_HEADERS ")
    assert "s3cret" not in text


def test_credentials_in_an_endpoint_are_not_shown() -> None:
    assert "s3cret" not in refused(**{ENDPOINT: "ftp://me:s3cret@c/x?key=s3cret"})
    assert "s3cret" not in refused(**{ENDPOINT: "me:s3cret@c:4318"})
    assert shown("https://me:s3cret@c:4318/v1/traces?key=s3cret") == "https://***@c:4318/v1/traces"
    assert shown("https://c:4318/v1/traces") == "https://c:4318/v1/traces"


def test_certificates_are_read_at_the_start(tmp_path: Path) -> None:
    ca, other = trustme.CA(), trustme.CA()
    bundle, own, key = tmp_path / "ca.pem", tmp_path / "own.pem", tmp_path / "key.pem"
    ca.cert_pem.write_to_path(str(bundle))
    mine = ca.issue_cert("client.example")
    mine.cert_chain_pems[0].write_to_path(str(own))
    mine.private_key_pem.write_to_path(str(key))
    names = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(bundle),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(own),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(key),
    }
    given(**HERE, **names)
    other.issue_cert("x").private_key_pem.write_to_path(str(key))  # of another certificate
    assert "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE" in refused(**HERE, **names)
    bundle.write_text("no certificate")
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in refused(**HERE, **names)


def test_a_process_is_named_by_its_pod_else_by_its_start() -> None:
    pod = Workload("telemock", "telemock-abc", "u-1", "node-1")
    assert resource_of(pod, "injector", "b") == {
        "k8s.namespace.name": "telemock",
        "k8s.pod.name": "telemock-abc",
        "k8s.pod.uid": "u-1",
        "k8s.node.name": "node-1",
        "k8s.container.name": "injector",
        "service.instance.id": "telemock.telemock-abc.injector",
    }
    assert resource_of(Workload(node="here"), "app", "b") == {"service.instance.id": "b"}
