import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from app.contract.mask import Masker
from app.profiles import load_profiles
from app.telemetry import OFF, opentelemetry, tracer_provider

SECRET = "canary-lic-0123456789"


@pytest.mark.parametrize(
    "environ",
    [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_SDK_DISABLED": "TRUE"}],
)
def test_traces_are_off_unless_asked_for(environ: dict[str, str]) -> None:
    rules = load_profiles(["cribl"])
    assert opentelemetry(lambda: rules, lambda: Masker(rules), environ) == OFF


def test_asked_for() -> None:
    rules = load_profiles(["cribl"])
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        config = opentelemetry(lambda: rules, lambda: Masker(rules), {name: "http://h"})
        assert config["auto_configure"] is True
        assert config["logs"] is False


def test_spans_show_safe_parameters_only() -> None:
    rules = load_profiles(["cribl"])
    provider = tracer_provider(lambda: rules, lambda: Masker(rules))
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("t")
    for host in ("cdn.cribl.io", "unknown.test"):
        tracer.start_span(
            "GET",
            kind=SpanKind.SERVER,
            attributes={
                "server.address": host,
                "url.query": f"v=4.16.1&lic={SECRET}&odd={SECRET}",
                "url.path": f"/telemetry/lic={SECRET}",
            },
        ).end()
    named, unknown = exporter.get_finished_spans()
    assert "v=4.16.1" in str(named.attributes["url.query"])
    assert "v=4.16.1" not in str(unknown.attributes["url.query"])
    assert SECRET not in named.to_json() + unknown.to_json()
    assert named.resource.attributes["service.name"] == "telemock-app"
    provider.shutdown()
