import os
import subprocess
import sys
import time
from pathlib import Path

from app.otel import ids
from app.otel.export import DROPS, Exporter, LogData, SpanData
from app.otel.metrics import Metrics
from app.otel.settings import Otel, read
from tests.collector import Answer, collector

ROOT = Path(__file__).parents[4]


def otel(**environ: str) -> Otel:
    return read(environ, service="telemock-app", version="1", resource={})


def span() -> SpanData:
    now = time.time_ns()
    return SpanData("GET", "server", ids.trace_id(), ids.span_id(), "", now, now, {"a": "b"})


SCRIPT = """
import os, sys, threading
from app.otel import ids, sampling, settings
from app.otel.export import Exporter, LogData, SpanData
from app.otel.metrics import Metrics
otel = settings.read(os.environ, service="s", version="1", resource={})
exporter = Exporter(otel, Metrics("sidecar"))
exporter.start()
exporter.span(SpanData("n", "server", ids.trace_id(), ids.span_id(), "", 1, 2, {}))
exporter.log(LogData(1, "INFO", "", {}))
exporter.close(5)
print(exporter.traces, exporter.logs, sorted(exporter.state()), threading.active_count())
print([name for name in sys.modules
       if name.startswith(("opentelemetry", "requests", "urllib3", "google.pr"))])
"""


def ran(**environ: str) -> list[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-O", "-c", SCRIPT],
        cwd=ROOT, env=clean | environ, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_nothing_asked_for_is_nothing_done() -> None:
    assert ran() == ["False False [] 1", "[]"]


def test_what_would_be_large_is_not_imported_for_all_that_can_be_asked_for() -> None:
    with collector() as server:
        said = ran(OTEL_EXPORTER_OTLP_ENDPOINT=server.url, OTEL_LOGS_EXPORTER="otlp")
        assert said == ["True True ['logs', 'metrics', 'traces'] 1", "[]"]
        assert {r.path for r in server.requests} == {"/v1/traces", "/v1/logs", "/v1/metrics"}


def test_all_three_signals_leave_with_resource_headers_and_compression() -> None:
    with collector() as server:
        metrics = Metrics("app")
        exporter = Exporter(
            otel(
                OTEL_EXPORTER_OTLP_ENDPOINT=server.url, OTEL_LOGS_EXPORTER="otlp",
                OTEL_EXPORTER_OTLP_HEADERS="x-scope=a%20b", OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
            ),
            metrics,
        )  # fmt: skip
        assert (exporter.traces, exporter.logs) == (True, True)
        exporter.start()
        exporter.span(span())
        exporter.log(LogData(1, "INFO", "line", {"telemock.rule": "r"}))
        metrics.set("telemock.store.size", 3)
        assert exporter.state() == {
            signal: {"endpoint": f"{server.url}/v1/{signal}", "trouble": ""}
            for signal in ("traces", "logs", "metrics")
        }
        exporter.close(10)
        assert len(server.spans()) == 1
        assert [record.body.string_value for record in server.records()] == ["line"]
        assert server.metrics()["telemock.store.size"].gauge.data_points[0].as_double == 3
        assert {r.path for r in server.requests} == {"/v1/traces", "/v1/logs", "/v1/metrics"}
        for request in server.requests:
            assert request.headers["x-scope"] == "a b"
            assert request.headers["content-encoding"] == "gzip"
            assert b"telemock-app" in request.body


def test_drops_are_there_before_the_first_one() -> None:
    with collector() as server:
        metrics = Metrics("app")
        exporter = Exporter(otel(OTEL_EXPORTER_OTLP_ENDPOINT=server.url), metrics)
        exporter.start()
        exporter.close(5)
    text = metrics.render().decode()
    for signal in ("traces", "metrics"):
        for reason in DROPS:
            labels = f'telemock_reason="{reason}",telemock_signal="{signal}"'
            assert f"telemock_otlp_dropped_total{{{labels}}} 0.0" in text


def test_the_last_metrics_tell_what_the_end_cost() -> None:
    with collector() as server:
        server.answer = lambda r: Answer(400) if r.path == "/v1/traces" else Answer()
        exporter = Exporter(otel(OTEL_EXPORTER_OTLP_ENDPOINT=server.url), Metrics("app"))
        exporter.start()
        exporter.span(span())
        exporter.close(10)
        points = server.metrics()["telemock.otlp.dropped"].sum.data_points
    assert sum(point.as_double for point in points) == 1


def test_after_the_end_what_comes_is_counted_and_a_second_end_does_nothing() -> None:
    with collector() as server:
        metrics = Metrics("app")
        exporter = Exporter(otel(OTEL_EXPORTER_OTLP_ENDPOINT=server.url), metrics)
        exporter.start()
        exporter.close(5)
        exporter.close(5)
        exporter.span(span())
        exporter.log(LogData(1, "INFO", "nobody asked for it", {}))
    assert 'reason="shutdown",telemock_signal="traces"} 1.0' in metrics.render().decode()
    assert not server.spans()
