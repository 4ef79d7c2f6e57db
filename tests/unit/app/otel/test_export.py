import os
import subprocess
import sys
import time
from pathlib import Path

from app.otel import ids
from app.otel.export import Exporter
from app.otel.items import LogData, SpanData
from app.otel.metrics import Metrics
from app.otel.pipeline import DROPS
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
IMPORTS
from app.otel import ids, settings
from app.otel.export import Exporter, LogData, SpanData
from app.otel.metrics import Metrics
from app.otel.sampling import Sampler
otel = settings.read(os.environ, service="s", version="1", resource={})
exporter = Exporter(otel, Metrics("sidecar"))
before = threading.active_count()
exporter.start()
if exporter.traces:
    Sampler(otel)
exporter.span(SpanData("n", "server", ids.trace_id(), ids.span_id(), "", 1, 2, {}))
exporter.log(LogData(1, "INFO", "", {}))
exporter.close(5)
print(exporter.traces, exporter.logs, sorted(exporter.state()), threading.active_count() - before)
print([m for m in sys.modules if m in LARGE or m.endswith(("trace_exporter", "metric_exporter"))])
"""


SIDECAR = "import addon.__main__, addon.proxy"
APP = "import app.main, app.inject.server"
API = "opentelemetry"  # the interface without what it does
SDK = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "google.protobuf")


def ran(directory: Path, imports: str, large: tuple[str, ...], **environ: str) -> list[str]:
    """A process that imports this and exports what is asked for: what it says, and what of
    `large` it loaded."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    script = SCRIPT.replace("IMPORTS", imports).replace("LARGE", repr(large))
    done = subprocess.run(
        [sys.executable, "-OO", "-c", script],
        cwd=ROOT, env=clean | {"TELEMOCK_DATA": str(directory)} | environ,
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_without_an_endpoint_nothing_is_done_and_nothing_of_the_sdk_loaded(tmp_path: Path) -> None:
    assert ran(tmp_path, SIDECAR, (API, *SDK, "requests")) == ["False False [] 0", "[]"]
    # FastAPI loads the interface by itself.
    assert ran(tmp_path, APP, SDK) == ["False False [] 0", "[]"]


def test_only_the_exporters_of_what_is_asked_for_are_loaded(tmp_path: Path) -> None:
    with collector() as server:
        said = ran(
            tmp_path, SIDECAR, SDK[:1],
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{server.url}/v1/traces",
        )  # fmt: skip
        assert said[0] == "True False ['traces'] 0"
        assert said[1] == str([SDK[0], "opentelemetry.exporter.otlp.proto.http.trace_exporter"])
        assert len(server.spans()) == 1


def test_what_was_set_up_leaves_no_trace_in_the_environment() -> None:
    """It would be that of processes that are started from here."""
    before = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
    with collector() as server:
        exporter = Exporter(otel(OTEL_EXPORTER_OTLP_ENDPOINT=server.url), Metrics("app"))
        exporter.start()
        exporter.close(5)
    after = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
    assert after == before


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
