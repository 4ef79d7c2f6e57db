"""`otel.*` reaches app, injector and sidecars as OpenTelemetry's variables, each once."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.inject.process_settings import load
from app.inject.sidecar import Plan
from app.inject.sidecar import environment as of_sidecar
from app.otel import sdk
from app.otel.settings import read
from charts.generate import CASES, HelmError
from tests.chart.helm import Object, environment, needs_helm, of_case, one, rendered

COLLECTOR = "http://collector.observability:4318"


def deployments(values: Object, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Environment of app and injector."""
    found = rendered(values, folder)
    return (
        environment(one(found, "Deployment", "telemock")),
        environment(one(found, "Deployment", "telemock-injector")),
    )


def sidecar(injector: dict[str, Any]) -> dict[str, Any]:
    """Environment that an injector with this environment gives to a sidecar."""
    given = {k: v for k, v in injector.items() if isinstance(v, str)}
    settings = load({**given, "POD_NAMESPACE": "observe"}).inject
    found = of_sidecar(
        Plan(settings, "hosts", "", ("cdn.cribl.io",), (("192.0.2.1", "cdn.cribl.io"),))
    )
    assert len({e["name"] for e in found}) == len(found)
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in found}


def otel(env: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in env.items() if name.startswith("OTEL_")}


@pytest.mark.parametrize("case", sorted(c.name for c in CASES.iterdir()))
def test_no_variable_stands_twice(case: str) -> None:
    for found in of_case(case):
        if found["kind"] == "Deployment":
            (container,) = found["spec"]["template"]["spec"]["containers"]
            listed = [e["name"] for e in container["env"]]
            assert len(set(listed)) == len(listed)


@needs_helm
def test_nothing_is_set_without_an_endpoint(tmp_path: Path) -> None:
    app, injector = deployments({}, tmp_path)
    assert (otel(app), otel(injector), otel(sidecar(injector))) == ({}, {}, {})


@needs_helm
def test_all_three_get_the_same(tmp_path: Path) -> None:
    values = {
        "endpoint": COLLECTOR,
        "sampler": {"type": "traceidratio", "argument": 0},
        "resourceAttributes": {"team": "a, b=c%"},
        "metrics": {"intervalSeconds": 15},
    }
    app, injector = deployments({"otel": values}, tmp_path)
    assert otel(app) == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR,
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0",
        "OTEL_RESOURCE_ATTRIBUTES": "team=a%2C%20b%3Dc%25",
        "OTEL_METRIC_EXPORT_INTERVAL": "15000",
    }
    assert otel(injector) == otel(sidecar(injector)) == otel(app)
    asked = read(otel(app), service="telemock-app", version="1", resource={})
    assert (asked.traces, asked.metrics, asked.logs) == (True, True, False)
    with sdk.environment(asked):
        assert sdk.Made(asked).resource.attributes["team"] == "a, b=c%"
    assert asked.metric_interval_s == 15


@needs_helm
def test_signals_go_where_they_are_told_and_captures_from_the_app_only(tmp_path: Path) -> None:
    values = {
        "traces": {"endpoint": "http://tempo:4318/v1/traces"},
        "metrics": {"enabled": False},
        "logs": {"enabled": True, "endpoint": "http://loki:3100/otlp/v1/logs"},
    }
    app, injector = deployments({"otel": values}, tmp_path)
    shared = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://tempo:4318/v1/traces",
        "OTEL_METRICS_EXPORTER": "none",
    }
    assert otel(injector) == otel(sidecar(injector)) == shared
    assert otel(app) == {
        **shared,
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://loki:3100/otlp/v1/logs",
    }


@needs_helm
def test_headers_stay_in_their_secret(tmp_path: Path) -> None:
    values = {"otel": {"endpoint": COLLECTOR, "headersSecret": {"name": "collector"}}}
    app, injector = deployments(values, tmp_path)
    entry = {"name": "collector", "key": "headers"}
    for env in (app, injector):
        assert env["OTEL_EXPORTER_OTLP_HEADERS"] == {"secretKeyRef": entry}
    # Another namespace may have no such Secret; its pods start all the same.
    assert sidecar(injector)["OTEL_EXPORTER_OTLP_HEADERS"] == {
        "secretKeyRef": {**entry, "optional": True}
    }


@needs_helm
def test_what_is_set_by_name_wins(tmp_path: Path) -> None:
    own = "http://own:4318"
    extra = {"extraEnv": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": own}]}
    values = {
        "otel": {"endpoint": COLLECTOR, "protocol": "http/protobuf"},
        "logFormat": "text",
        "app": extra,
        "injector": extra,
        "sidecar": {"env": {"OTEL_EXPORTER_OTLP_ENDPOINT": own, "LOG_FORMAT": "json"}},
    }
    app, injector = deployments(values, tmp_path)
    for env in (app, injector, sidecar(injector)):
        assert otel(env) == {
            "OTEL_EXPORTER_OTLP_ENDPOINT": own, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }  # fmt: skip
    assert (app["LOG_FORMAT"], sidecar(injector)["LOG_FORMAT"]) == ("text", "json")


@needs_helm
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"otel": {"endpoint": "collector:4317"}}, "/otel/endpoint"),
        ({"otel": {"protocol": "grpc"}}, "/otel/protocol"),
        ({"otel": {"sampler": {"type": "sometimes"}}}, "/otel/sampler/type"),
        ({"otel": {"sampler": {"argument": 2}}}, "/otel/sampler/argument"),
        ({"traceUrl": "https://jaeger.example/trace/"}, "/traceUrl"),
        ({"logFormat": "xml"}, "/logFormat"),
    ],
)
def test_what_cannot_be_meant_is_refused(values: Object, said: str, tmp_path: Path) -> None:
    with pytest.raises(HelmError, match=said):
        rendered(values, tmp_path)


def test_the_injector_gets_one_json_object() -> None:
    injector = environment(one(of_case("everything"), "Deployment", "watch-injector"))
    given = yaml.safe_load((CASES / "everything/values.yaml").read_text("utf-8"))
    found = json.loads(injector["TELEMOCK_INJECT_ENV"])
    assert found.items() >= given["sidecar"]["env"].items()
