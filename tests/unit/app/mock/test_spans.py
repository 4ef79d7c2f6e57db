import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.contract.masking.masker import Masker
from app.contract.names import HEADER_RECORD
from app.contract.record import Endpoint
from app.mock import spans as module
from app.mock.request import Arrived
from app.mock.spans import AnsweredRequest, Span, Telemetry
from app.otel.metrics import Metrics
from app.otel.settings import read
from app.profiles import load_profiles
from tests.collector import Collector
from tests.collector import collector as collecting

SECRET = "canary-lic-0123456789"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RULES = load_profiles(["cribl"])
SAFE = next(p.safe_query for p in RULES.profiles)
RECORD = "ab" * 16 + "-7"


def asked(**changes: object) -> Arrived:
    return Arrived(
        **{
            "method": "GET",
            "scheme": "https",
            "host": "cdn.cribl.io",
            "hosts": ("cdn.cribl.io",),
            "port": 443,
            "path": "/telemetry/index.html",
            "query": [("v", "4.16.1"), ("lic", SECRET), ("odd", "x&v=" + SECRET), ("bare", "")],
            "more_query": 0,
            "headers": [("user-agent", f"node {SECRET}"), ("authorization", f"Bearer {SECRET}")],
            "internal": {HEADER_RECORD: RECORD},
            "http_version": "1.1",
            "client": Endpoint("10.0.0.9", 41000),
        }
        | changes  # type: ignore[arg-type]
    )


def answered(span: Span, **changes: object) -> AnsweredRequest:
    given = {
        "asked": asked(),
        "action": "mock",
        "profile": "cribl",
        "rule": "telemetry",
        "route": "/telemetry/index.html",
        "safe_query": SAFE,
        "time_ns": 1_790_000_000_000_000_000,
        "duration_ns": 2_000_000,
        "status": 200,
        "error": "",
    }
    return AnsweredRequest(span, **(given | changes))  # type: ignore[arg-type]


class Exported(NamedTuple):
    name: str
    kind: int
    trace_id: str
    parent_id: str
    duration_ns: int
    error: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]


def exported(collector: Collector) -> list[Exported]:
    return [
        Exported(
            span.name,
            span.kind,
            span.trace_id.hex(),
            span.parent_span_id.hex(),
            span.end_time_unix_nano - span.start_time_unix_nano,
            span.status.code == 2,
            plain(span.attributes),
            plain(of_resource.resource.attributes),
        )
        for request in collector.requests
        if request.path == "/v1/traces"
        for of_resource in ExportTraceServiceRequest.FromString(request.body).resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def plain(attributes: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}


def asking(collector: Collector) -> dict[str, str]:
    return {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}


@contextmanager
def telling(environ: Mapping[str, str], metrics: Metrics | None = None) -> Iterator[Telemetry]:
    otel = read(environ, service="telemock-app", version="1", resource={"service.instance.id": "b"})
    told = Telemetry(otel, metrics or Metrics("app"), lambda: Masker(RULES, b"k" * 32, "id"))
    told.start()
    try:
        yield told
    finally:
        told.close(5)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def test_one_span_continues_the_callers_trace(collector: Collector) -> None:
    with telling(asking(collector)) as told:
        told.answered(answered(told.begin(f"00-{TRACE}-{PARENT}-01")))
    (span,) = exported(collector)
    assert (span.name, span.kind) == ("GET /telemetry/index.html", 2)
    assert (span.trace_id, span.parent_id) == (TRACE, PARENT)
    assert span.duration_ns == 2_000_000
    assert not span.error
    assert span.attributes == {
        "http.request.method": "GET",
        "url.scheme": "https",
        "url.path": "/telemetry/index.html",
        "url.query": span.attributes["url.query"],
        "server.address": "cdn.cribl.io",
        "server.port": 443,
        "client.address": "10.0.0.9",
        "network.protocol.version": "1.1",
        "user_agent.original": span.attributes["user_agent.original"],
        "http.response.status_code": 200,
        "http.route": "/telemetry/index.html",
        "telemock.action": "mock",
        "telemock.profile": "cribl",
        "telemock.rule": "telemetry",
        "telemock.record": RECORD,
    }
    assert span.resource["service.name"] == "telemock-app"
    assert span.resource["service.instance.id"] == "b"


def test_only_safe_values_are_shown(collector: Collector) -> None:
    with telling(asking(collector)) as told:
        for profile, safe in (("cribl", SAFE), ("", ())):
            request = asked(
                path=f"/telemetry/{SECRET}/x", headers=[], internal={HEADER_RECORD: SECRET}
            )
            told.answered(
                answered(told.begin(""), asked=request, profile=profile, rule="", safe_query=safe)
            )
    named, unknown = exported(collector)
    assert "v=4.16.1" in named.attributes["url.query"]
    assert "v=4.16.1" not in unknown.attributes["url.query"]
    for span in (named, unknown):
        assert "telemock.record" not in span.attributes
        assert SECRET not in str(span)


@pytest.mark.parametrize(
    ("status", "error", "shown"), [(503, "503", True), (0, "reset", True), (404, "", False)]
)
def test_failures_are_errors(collector: Collector, status: int, error: str, shown: bool) -> None:
    metrics = Metrics("app")
    with telling(asking(collector), metrics) as told:
        told.answered(answered(told.begin(""), status=status, error=error))
        told.settle()
    (span,) = exported(collector)
    assert span.error is shown
    assert span.attributes.get("error.type", "") == error
    assert span.attributes.get("http.response.status_code", 0) == status
    labels = {
        "http_request_method": "GET", "url_scheme": "https", "error_type": error,
        "http_response_status_code": str(status or ""), "telemock_action": "mock",
    }  # fmt: skip
    name = "http_server_request_duration_seconds_count"
    assert metrics.registry.get_sample_value(name, labels) == 1


def test_the_sampler_decides_and_the_parent_before_it(collector: Collector) -> None:
    off = {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}
    with telling(asking(collector) | off) as told:
        assert not told.begin("").sampled
        assert told.begin(f"00-{TRACE}-{PARENT}-01").sampled
        told.answered(answered(told.begin("")))
    with telling(asking(collector)) as told:
        assert told.begin("").sampled
        assert not told.begin(f"00-{TRACE}-{PARENT}-00").sampled
    assert exported(collector) == []


def test_ids_are_there_without_traces() -> None:
    with telling({}) as told:
        one, other = told.begin(""), told.begin("nonsense")
        assert len({one.trace_id, other.trace_id}) == len({one.span_id, other.span_id}) == 2
        assert (len(one.trace_id), len(one.span_id), one.parent_id) == (32, 16, "")
        assert not one.sampled
        assert told.begin(f"00-{TRACE}-{PARENT}-01")[::2] == (TRACE, PARENT)


def test_durations_carry_the_sampled_span(collector: Collector) -> None:
    metrics = Metrics("app")
    with telling(asking(collector), metrics) as told:
        span = told.begin("")
        told.answered(answered(span, duration_ns=3_000_000_000))
        told.settle()
    found = [
        sample.exemplar.labels
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.exemplar
    ]
    assert found == [{"trace_id": span.trace_id, "span_id": span.span_id}] * 2


def test_too_many_drop_spans_and_no_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 3)
    metrics = Metrics("app")
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    otel = read(environ, service="s", version="1", resource={"service.instance.id": "b"})
    told = Telemetry(otel, metrics, lambda: Masker(RULES))  # never started
    for _ in range(10):
        told.answered(answered(told.begin("")))
    told.settle()
    labels = {"telemock_signal": "traces", "telemock_reason": "queue_full"}
    assert metrics.registry.get_sample_value("telemock_otlp_dropped_total", labels) == 7
    labels = {"telemock_profile": "cribl", "telemock_rule": "telemetry"}
    name = "telemock_mock_duration_seconds_count"
    assert metrics.registry.get_sample_value(name, labels) == 10


def test_odd_methods_and_schemes_make_no_names(collector: Collector) -> None:
    metrics = Metrics("app")
    with telling(asking(collector), metrics) as told:
        for number in range(100):
            request = asked(method=f"M{number}", scheme=f"s{number}")
            told.answered(answered(told.begin(""), asked=request, route=""))
    assert {s.name for s in exported(collector)} == {"HTTP"}
    text = metrics.render().decode()
    assert 'http_request_method="_OTHER"' in text and "M7" not in text and "s7" not in text


def test_a_dead_endpoint_costs_no_time() -> None:
    with telling({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}) as told:
        started = time.monotonic()
        told.answered(answered(told.begin("")))
    assert time.monotonic() - started < 6  # what close was given, and a little
