"""The app's traces, metrics and captures in a real Jaeger and a real Prometheus."""

import json
import random
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from addon.app_client.profiles import built_in
from app.contract.metrics import METRICS
from app.contract.names import HEADER_RECORD, HEADER_RULE
from app.contract.record import CaptureRecord, Request, Response, Searched, Workload, encode
from app.otel.metrics import LABEL_SETS
from tests.backends import Jaeger, Prometheus, jaeger, prometheus
from tests.serving import Served, serving
from tests.sidecar import sidecar
from tests.waiting import wait_for

PROFILE = str(Path(__file__).parents[1] / "profile.yaml")
SECRET = "canary-lic-0123456789"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RECORD = "ab" * 16 + "-7"


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    with jaeger(tmp_path_factory.mktemp("jaeger")) as running:
        yield running


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, collector: Jaeger) -> Iterator[Served]:
    """The app, telling the collector everything, and soon."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.otlp,
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_BLRP_SCHEDULE_DELAY": "100",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        folder = tmp_path_factory.mktemp("app")
        profiles = f"{PROFILE},cribl"
        link = "https://jaeger.test/trace/{trace_id}"
        with serving(folder, TELEMOCK_PROFILES=profiles, TELEMOCK_TRACE_URL=link) as served:
            yield served


@pytest.fixture(scope="module")
def measured(
    tmp_path_factory: pytest.TempPathFactory, collector: Jaeger, told: Served
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    targets = {"telemock-app": [f"127.0.0.1:{told.port}"]}
    with prometheus(folder, targets, collector) as running:
        yield running


def test_a_sidecars_request_is_one_span_in_its_trace(told: Served, collector: Jaeger) -> None:
    told.bare.get(
        f"/telemetry/index.html?v=4.16.1&lic={SECRET}",
        headers={
            "host": "cdn.cribl.io",
            "traceparent": f"00-{TRACE}-{PARENT}-01",
            HEADER_RECORD: RECORD,
            HEADER_RULE: "cribl/telemetry",
        },
    )
    (span,) = collector.trace(TRACE)
    route = span.attributes["http.route"]
    assert (span.name, span.kind, span.parent_id) == (f"GET {route}", "server", PARENT)
    assert span.attributes["telemock.record"] == RECORD
    assert span.attributes["telemock.action"] == "mock"
    assert (span.attributes["telemock.profile"], span.attributes["telemock.rule"]) == (
        "cribl",
        "telemetry",
    )
    assert span.attributes["http.response.status_code"] == 200
    assert "v=4.16.1" in span.attributes["url.query"]
    assert span.resource["service.name"] == "telemock-app"
    assert span.resource["deployment.environment"] == "test"


def test_an_answer_of_the_app_is_one_trace_of_three_spans_and_one_record(
    told: Served, collector: Jaeger, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(told.runtime.token)
    with sidecar(
        tmp_path,
        built_in(),
        TELEMOCK_APP_URL=told.url,
        TELEMOCK_TOKEN_FILE=str(tmp_path / "token"),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.otlp,
        OTEL_BSP_SCHEDULE_DELAY="100",
    ) as running:
        running.ask(f"/telemetry/index.html?v=3.3.3&lic={SECRET}")
        (record,) = told.captures(1, version="3.3.3")
        wait_for(lambda: told.runtime.sidecars.counts().seen == 1)
        spans = {
            (s.resource["service.name"], s.kind): s
            for s in collector.trace(record["trace_id"], spans=3)
        }
    server, client, mock = (
        spans[key]
        for key in (
            ("telemock-sidecar", "server"),
            ("telemock-sidecar", "client"),
            ("telemock-app", "server"),
        )
    )
    assert (server.parent_id, client.parent_id, mock.parent_id) == (
        "",
        server.span_id,
        client.span_id,
    )
    assert server.span_id == record["span_id"]
    assert mock.name == server.name
    assert told.runtime.sidecars.counts() == (0, 0)  # it took leave


def test_direct_use_has_a_span_a_record_and_a_log_record_of_one_trace(
    told: Served, collector: Jaeger
) -> None:
    answer = told.bare.get(
        f"/page?v=9.9&lic={SECRET}",
        headers={"host": "t.acme.test", "user-agent": f"x {SECRET}", "cookie": f"a={SECRET}"},
    )
    assert answer.text == "page\n"
    (record,) = told.captures(1, version="9.9")
    (span,) = collector.trace(record["trace_id"])
    assert span.span_id == record["span_id"]
    assert span.parent_id == ""
    assert record["trace_url"] == f"https://jaeger.test/trace/{record['trace_id']}"
    logs = collector.logged(f"{record['boot']}-{record['seq']}")
    assert "telemock.capture" in logs and record["trace_id"] in logs


def test_failures_are_errors(told: Served, collector: Jaeger) -> None:
    told.bare.get("/broken?v=fail", headers={"host": "t.acme.test"})
    (record,) = told.captures(1, version="fail")
    (span,) = collector.trace(record["trace_id"])
    assert span.error
    assert (span.attributes["error.type"], span.attributes["http.response.status_code"]) == (
        "500",
        500,
    )


def line(seq: int, **changes: Any) -> bytes:
    values: dict[str, Any] = {
        "boot": "feedfeedfeedfeed",
        "seq": seq,
        "kind": "exchange",
        "time_ns": 1_790_000_000_000_000_000 + seq,
        "profile": "cribl",
        "rule": "telemetry",
        "action": "mock",
        "product_version": "4.16.1",
        "workload": Workload(namespace="logs", pod="leader-5d9c8b7f4f-2xk7q"),
        "request": Request(method="GET", host="cdn.cribl.io", query=[("v", "4.16.1")]),
        "response": Response(status=200),
        **changes,
    }
    return encode(CaptureRecord(**values))


def test_every_metric_of_the_app_is_scraped_and_exported(
    told: Served, measured: Prometheus
) -> None:
    told.bare.get("/telemetry/index.html", headers={"host": "cdn.cribl.io"})
    found = [("host name", "query.id", "SHA-256")]
    lines = line(1, canary=Searched(found=found)) + b"\n" + line(1) + b"\nno record\n"
    told.client.post("/api/v1/captures", content=lines).raise_for_status()
    told.runtime.metrics.add("telemock.output.dropped", ("x",), 0)
    told.runtime.metrics.add("telemock.ingest.rebound", (), 0)
    for row in METRICS:
        if "app" not in row.of:
            continue
        name = row.prometheus + {"counter": "_total", "histogram": "_count"}.get(row.kind, "")
        for instance in (f"127.0.0.1:{told.port}", told.runtime.boot):  # scraped, and over OTLP
            source = f'job="telemock-app",instance="{instance}"'
            assert measured.series(f"count({name}{{{source}}})"), name
    workload = 'sum by (instance) (telemock_workload_captures_total{telemock_workload="leader"})'
    assert {found["value"][1] for found in measured.series(workload)} == {"1"}


def test_durations_lead_to_their_trace(told: Served, measured: Prometheus) -> None:
    told.bare.get("/page?v=exemplar", headers={"host": "t.acme.test"})
    (record,) = told.captures(1, version="exemplar")

    def found() -> bool:
        exemplars = measured.exemplars("telemock_mock_duration_seconds_bucket")
        return any(e["labels"].get("trace_id") == record["trace_id"] for e in exemplars)

    wait_for(found, 20)


def test_no_secret_value_reaches_a_back_end(
    told: Served, collector: Jaeger, measured: Prometheus
) -> None:
    told.bare.post(
        f"/telemetry/{SECRET}?lic={SECRET}&{SECRET}={SECRET}",
        headers={"host": "cdn.cribl.io", "authorization": f"Bearer {SECRET}"},
        json={"lic": SECRET},
    )
    (record,) = told.captures(1, method="POST")
    collector.trace(record["trace_id"])
    collector.logged(f"{record['boot']}-{record['seq']}")
    assert SECRET not in collector.everything()
    assert SECRET not in json.dumps(measured.query('{__name__=~".+"}'))


def test_a_collector_that_never_answers_costs_no_exchange_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name, value in {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_BSP_MAX_QUEUE_SIZE": "10",
            "OTEL_BLRP_MAX_QUEUE_SIZE": "10",
        }.items():
            monkeypatch.setenv(name, value)
        with serving(tmp_path) as served:
            for number in range(100):
                assert served.bare.get(f"/telemetry/{number}?v=1").status_code == 200
            assert len(served.captures(100, limit=1000)) == 100
            metrics = served.runtime.metrics

            def dropped(signal: str) -> float:
                labels = {"telemock_signal": signal, "telemock_reason": "queue_full"}
                found = metrics.registry.get_sample_value("telemock_otlp_dropped_total", labels)
                return found or 0

            served.bare.get("/metrics")
            wait_for(lambda: dropped("traces") > 50 and dropped("logs") > 50)
            health = served.bare.get("/health").json()
            assert health["status"] == "ok"
            assert health["otel"]["dropped"] > 100
            ending = time.monotonic()
        assert time.monotonic() - ending < 15


def test_series_stay_few_whatever_is_sent(tmp_path: Path) -> None:
    random.seed(5)
    with serving(tmp_path) as served:
        for start in range(1, 10_001, 500):
            lines = [
                line(
                    n,
                    profile=f"p{n}",
                    rule=f"r{n}",
                    product_version=f"{random.random()}",
                    workload=Workload(namespace=f"n{n}", pod=f"pod{n}o-{n % 7}"),
                    request=Request(method=f"M{n}", host=f"h{n}.test", path=f"/{random.random()}"),
                    response=Response(status=n % 900 + 100),
                )
                for n in range(start, start + 500)
            ]
            served.client.post("/api/v1/captures", content=b"\n".join(lines)).raise_for_status()
        for n in range(100):
            served.bare.request("GET", f"/telemetry/{n}", headers={"telemock-scheme": f"s{n}"})
            served.bare.get(f"/nothing/{n}", headers={"host": f"h{n}.test"})
        text = served.bare.get("/metrics").text
    series = [found for found in text.splitlines() if found and not found.startswith("#")]
    by_name: dict[str, int] = {}
    for found in series:
        name = re.split(r"[{ ]", found, maxsplit=1)[0]
        by_name[name] = by_name.get(name, 0) + 1
    assert max(by_name.values()) <= LABEL_SETS + 1, by_name
    # Six counters by what senders choose; everything else is a handful of series.
    assert len(series) < 6 * (LABEL_SETS + 1) + 400, by_name
