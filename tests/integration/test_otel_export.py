"""The exporter against a real Jaeger and a real Prometheus, and against endpoints on a bad day."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.otel import ids
from app.otel.export import Exporter
from app.otel.items import LogData, SpanData
from app.otel.metrics import LABEL_SETS, Metrics
from app.otel.settings import read
from tests.backends import Jaeger, Prometheus, jaeger, prometheus
from tests.collector import Answer, Collector, Request, collector
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
LABELS = ("GET", "https", "200", "", "mock")


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    with jaeger(tmp_path_factory.mktemp("jaeger")) as server:
        yield server


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory, traces: Jaeger) -> Iterator[Prometheus]:
    with prometheus(tmp_path_factory.mktemp("prometheus"), {}, traces) as server:
        yield server


def exporter(url: str, metrics: Metrics, **environ: str) -> Exporter:
    given = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_BLRP_SCHEDULE_DELAY": "50",
        **environ,
    }
    resource = {"k8s.pod.name": "pod-1", "service.instance.id": "ns.pod-1.telemock"}
    return Exporter(
        read(given, service="telemock-sidecar", version="9.8", resource=resource), metrics
    )


def span(trace_id: str = "", parent_id: str = "", **fields: Any) -> SpanData:
    now = time.time_ns()
    data = SpanData(
        "GET /telemetry/", "server", trace_id or ids.trace_id(), ids.span_id(), parent_id,
        now - 5_000_000, now, {"url.scheme": "https", "http.response.status_code": 200},
    )  # fmt: skip
    return data._replace(**fields)


def dropped(metrics: Metrics) -> dict[tuple[str, str], float]:
    return {
        (sample.labels["telemock_signal"], sample.labels["telemock_reason"]): sample.value
        for family in metrics.registry.collect()
        if family.name == "telemock_otlp_dropped"
        for sample in family.samples
        if sample.value
    }


def test_spans_arrive_in_jaeger_with_their_parents_errors_and_resource(traces: Jaeger) -> None:
    metrics = Metrics("sidecar")
    exporting = exporter(traces.otlp, metrics, OTEL_METRICS_EXPORTER="none")
    exporting.start()
    server = span()
    now = time.time_ns()
    client = span(
        server.trace_id, server.span_id, name="GET", kind="client", error="Connection refused",
        events=(("exception", now, {"exception.type": "OSError"}),),
    )  # fmt: skip
    exporting.span(server)
    exporting.span(client)
    exporting.close(10)
    first, second = sorted(traces.trace(server.trace_id, 2), key=lambda s: s.parent_id)
    assert (first.name, first.kind, first.error) == ("GET /telemetry/", "server", False)
    assert first.duration_us == 5000
    assert first.attributes["http.response.status_code"] == 200
    assert first.resource["service.name"] == "telemock-sidecar"
    assert first.resource["service.version"] == "9.8"
    assert first.resource["k8s.pod.name"] == "pod-1"
    assert (second.parent_id, second.kind) == (first.span_id, "client")
    assert (second.error, second.error_text) == (True, "Connection refused")
    assert second.events == [{"event": "exception", "exception.type": "OSError"}]
    assert dropped(metrics) == {}


def test_spans_arrive_by_grpc_where_its_package_is_installed(traces: Jaeger) -> None:
    pytest.importorskip(
        "opentelemetry.exporter.otlp.proto.grpc", reason="needs the extra: pip install -e .[grpc]"
    )
    metrics = Metrics("sidecar")
    exporting = exporter(traces.otlp_grpc, metrics, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    exporting.start()
    given = span()
    exporting.span(given)
    exporting.close(10)
    (found,) = traces.trace(given.trace_id)
    assert found.resource["k8s.pod.name"] == "pod-1"
    assert dropped(metrics) == {}


def test_all_kinds_of_metrics_arrive_in_prometheus(traces: Jaeger, series: Prometheus) -> None:
    metrics = Metrics("sidecar")
    of = span()
    metrics.add("telemock.captures", ("exchange", "mock", "cribl", "heartbeat", "2xx"), 3)
    metrics.set("telemock.spool.size", 4096)
    metrics.observe(
        "http.server.request.duration", LABELS, 0.2,
        {"trace_id": of.trace_id, "span_id": of.span_id},
    )  # fmt: skip
    exporting = exporter(traces.otlp, metrics)
    exporting.start()
    assert series.value("telemock_spool_size_bytes", at_least=4096) == 4096
    (captures,) = series.series("telemock_captures_total")
    assert float(captures["value"][1]) == 3
    wanted = {
        "telemock_kind": "exchange", "telemock_action": "mock", "telemock_profile": "cribl",
        "telemock_rule": "heartbeat", "telemock_status_class": "2xx",
        "job": "telemock-sidecar", "instance": "ns.pod-1.telemock", "k8s_pod_name": "pod-1",
    }  # fmt: skip
    assert wanted.items() <= captures["metric"].items()
    assert series.value("http_server_request_duration_seconds_count") == 1
    bucket = 'http_server_request_duration_seconds_bucket{le="%s",http_request_method="GET"}'
    assert series.value(bucket % "0.25") == 1
    assert series.value(bucket % "0.1") == 0
    wait_for(lambda: bool(series.exemplars("http_server_request_duration_seconds_bucket")))
    (exemplar,) = series.exemplars("http_server_request_duration_seconds_bucket")
    assert exemplar["labels"] == {"trace_id": of.trace_id, "span_id": of.span_id}
    assert series.value("process_memory_usage_bytes") > 1e6
    metrics.add("telemock.captures", ("exchange", "mock", "cribl", "heartbeat", "2xx"), 2)
    exporting.close(10)  # which sends what changed since the last time
    assert series.value("telemock_captures_total", at_least=5) == 5


def test_prometheus_shows_the_same_names_when_it_scrapes(
    traces: Jaeger, series: Prometheus
) -> None:
    """What is asked for over OTLP is found under the name that `/metrics` has."""
    metrics = Metrics("app")
    exporting = exporter(traces.otlp, metrics, OTEL_SERVICE_NAME="telemock-app")
    exporting.start()
    lines = metrics.render().decode().splitlines()
    scraped = {x.partition("{")[0].partition(" ")[0] for x in lines if x.startswith("telemock_")}
    wait_for(lambda: scraped <= series.metric_names())
    exporting.close(10)


def test_a_log_record_arrives(traces: Jaeger) -> None:
    metrics = Metrics("app")
    exporting = exporter(traces.otlp, metrics, OTEL_LOGS_EXPORTER="otlp")
    exporting.start()
    of = span()
    body = json.dumps({"id": of.span_id})
    exporting.log(
        LogData(
            time.time_ns(), "WARN", body, {"telemock.action": "block"}, of.trace_id, of.span_id,
            "telemock.capture",
        )
    )  # fmt: skip
    exporting.close(10)
    text = traces.logged(f"Body: Str({body})")
    assert "SeverityText: WARN" in text
    assert "EventName: telemock.capture" in text
    assert f"Trace ID: {of.trace_id}\nSpan ID: {of.span_id}" in text
    assert "telemock.action: Str(block)" in text
    assert "service.name: Str(telemock-sidecar)" in text


def flood(url: str, **environ: str) -> dict[str, Any]:
    """A process of its own hands over a million spans; what it found."""
    script = """
import json, os, resource, sys, time
from app.otel import ids
from app.otel.export import Exporter, SpanData
from app.otel.metrics import Metrics
from app.otel.settings import read
def memory():  # MiB
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
metrics = Metrics("sidecar")
exporter = Exporter(read(os.environ, service="s", version="1", resource={}), metrics)
exporter.start()
def flood(count):
    for n in range(count):
        attributes = {"url.path": "/telemetry/" + str(n) * 50, "n": n}
        now = time.time_ns()
        exporter.span(SpanData("GET", "server", TRACE, SPAN, "", now, now, attributes))
TRACE, SPAN = ids.trace_id(), ids.span_id()
flood(20_000)
before = memory()
flood(COUNT)
after = memory()
begun = time.monotonic()
exporter.close(1)
print(json.dumps({
    "grown": after - before,
    "closing": time.monotonic() - begun,
    "dropped": sum(s.value for f in metrics.registry.collect() if f.name == "telemock_otlp_dropped"
                   for s in f.samples if s.labels["telemock_signal"] == "traces"),
}))
""".replace("COUNT", str(300_000))
    done = subprocess.run(
        [sys.executable, "-OO", "-c", script],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=100,
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": url, **environ},
    )  # fmt: skip
    assert len(done.stderr.splitlines()) <= 2, done.stderr  # a line a signal, not one a batch
    return dict(json.loads(done.stdout))


def test_nobody_listens_at_the_endpoint() -> None:
    found = flood("http://127.0.0.1:9")
    assert found["dropped"] == 320_000
    assert found["grown"] < 40
    assert found["closing"] < 5


def test_an_endpoint_that_never_answers() -> None:
    with collector() as server:
        ended = []

        def answer(_: Request) -> Answer:
            wait_for(lambda: bool(ended), 60)
            return Answer()

        server.answer = answer
        found = flood(server.url)
        ended.append(True)
    assert found["dropped"] == 320_000
    assert found["grown"] < 40
    assert found["closing"] < 5


def refusing(server: Collector, path: str, answer: Answer) -> None:
    server.answer = lambda request: answer if request.path == path else Answer()


def test_traces_that_nobody_takes_hold_up_no_metrics() -> None:
    with collector() as server:
        refusing(server, "/v1/traces", Answer(429, b"", (("retry-after", "5"),)))
        metrics = Metrics("sidecar")
        exporting = exporter(server.url, metrics)
        exporting.start()
        exporting.span(span())
        wait_for(lambda: len([r for r in server.requests if r.path == "/v1/metrics"]) >= 3)
        exporting.close(5)
        assert dropped(metrics) == {("traces", "shutdown"): 1}  # it was still to be asked again


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"\xff" * 100_000),
        Answer(200, b"<html>login</html>", (("content-type", "text/html"),)),
        Answer(302, b"", (("location", "/login"),)),
        Answer(400, b"\x00" * 100_000),
        Answer(413),
    ],
)
def test_what_is_no_good_answer_is_no_success(answer: Answer) -> None:
    with collector() as server:
        server.answer = lambda _: answer
        metrics = Metrics("sidecar")
        exporting = exporter(server.url, metrics, OTEL_METRICS_EXPORTER="none")
        exporting.start()
        for _ in range(3):
            exporting.span(span())
        exporting.close(10)
    assert sum(dropped(metrics).values()) == 3


def test_everything_is_either_taken_or_counted(traces: Jaeger) -> None:
    """A burst that the queue cannot hold, to a Collector that works."""
    metrics = Metrics("sidecar")
    environ = {"OTEL_METRICS_EXPORTER": "none", "OTEL_BSP_MAX_QUEUE_SIZE": "600"}
    exporting = exporter(traces.otlp, metrics, **environ)
    exporting.start()
    trace_id = ids.trace_id()
    for _ in range(3000):
        exporting.span(span(trace_id))
    exporting.close(20)
    lost = int(sum(dropped(metrics).values()))
    assert 0 < lost < 3000
    assert len(traces.trace(trace_id, 3000 - lost)) == 3000 - lost


def test_hostile_label_values_reach_the_back_end_as_few_series(
    traces: Jaeger, series: Prometheus
) -> None:
    metrics = Metrics("sidecar")
    for n in range(100_000):
        metrics.add("telemock.fallback.answers", (f"reason-{n}",))
    exporting = exporter(traces.otlp, metrics)
    exporting.start()
    total = "sum(telemock_fallback_answers_total)"
    assert series.value(total, at_least=100_000) == 100_000
    assert series.value("count(telemock_fallback_answers_total)") == LABEL_SETS + 1
    exporting.close(10)
