import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from app.otel import ids, sdk
from app.otel.items import LogData, SpanData
from app.otel.metrics import Metrics
from app.otel.pipeline import BATCH_SIZE, SIZE, Pipeline
from app.otel.settings import Otel, Signal, read
from tests.collector import Answer, Collector, Request, collector
from tests.waiting import wait_for


@pytest.fixture
def server() -> Iterator[Collector]:
    with collector() as found:
        yield found


def span() -> SpanData:
    now = time.time_ns()
    return SpanData("GET", "server", ids.trace_id(), ids.span_id(), "", now, now, {})


def otel(url: str, **environ: str) -> Otel:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "10", **environ}
    return read(given, service="s", version="1", resource={})


def started(signal: Signal, metrics: Metrics, given: Otel) -> Pipeline:
    with sdk.environment(given):
        return Pipeline(signal, given, metrics, sdk.Made(given))


def spans(url: str, metrics: Metrics, **environ: str) -> Pipeline:
    return started("traces", metrics, otel(url, **environ))


def dropped(metrics: Metrics) -> dict[str, float]:
    counter = metrics.registry.collect()
    return {
        sample.labels["telemock_reason"]: sample.value
        for family in counter
        if family.name == "telemock_otlp_dropped"
        for sample in family.samples
        if sample.value
    }


def end(sender: Pipeline, seconds: float) -> None:
    until_ = time.monotonic() + seconds
    sender.close(until_)
    sender.finish(until_)


def test_what_is_handed_over_arrives(server: Collector) -> None:
    metrics = Metrics("app")
    sender = spans(server.url, metrics)
    given = [span() for _ in range(3000)]
    for data in given[:1500]:
        sender.put(data, 10)
    wait_for(lambda: len(server.spans()) == 1500)
    for data in given[1500:]:
        sender.put(data, 10)
    end(sender, 10)
    assert {s.span_id.hex() for s in server.spans()} == {s.span_id for s in given}
    assert dropped(metrics) == {}


def test_a_busy_endpoint_is_asked_again_and_nothing_is_lost(server: Collector) -> None:
    answers = iter(
        [Answer(429, b"", (("retry-after", "0.1"),)), Answer(503, b"", (("retry-after", "0"),))]
    )
    server.answer = lambda _: next(answers, Answer())
    metrics = Metrics("app")
    sender = spans(server.url, metrics)
    sender.put(span(), 1)
    wait_for(lambda: len(server.requests) == 3)
    end(sender, 5)
    assert len(server.requests) == 3
    assert dropped(metrics) == {}


def test_an_endpoint_that_wants_an_hour_is_not_waited_for(server: Collector) -> None:
    server.answer = lambda _: Answer(429, b"", (("retry-after", "3600"),))
    metrics = Metrics("app")
    sender = spans(server.url, metrics)
    sender.put(span(), 1)
    wait_for(lambda: dropped(metrics) == {"export_failed": 1})
    assert sender.trouble == "it answered 429"
    end(sender, 5)


def test_one_line_when_it_is_lost_and_one_when_it_is_back(
    server: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.answer = lambda _: Answer(400)
    metrics = Metrics("app")
    url = server.url.replace("127.", "me:s3cret@127.") + "?key=s3cret"
    sender = spans(
        server.url, metrics, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=url,
        OTEL_EXPORTER_OTLP_HEADERS="authorization=s3cret",
    )  # fmt: skip
    for n in range(1, 4):
        sender.put(span(), 1)
        wait_for(lambda n=n: dropped(metrics) == {"export_failed": n})  # type: ignore[misc]
    server.answer = lambda _: Answer()
    for _ in range(2):
        asked = len(server.requests)
        sender.put(span(), 1)
        wait_for(lambda asked=asked: len(server.requests) > asked)  # type: ignore[misc]
    end(sender, 5)
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("app")]
    assert len(lines) == 2, lines
    assert lines[0].startswith("traces do not arrive at http://***@127.0.0.1:")
    assert "it answered 400" in lines[0]
    assert lines[1].startswith("traces arrive again at http://***@")
    assert "s3cret" not in caplog.text


def test_grpcs_port_is_pointed_out(caplog: pytest.LogCaptureFixture) -> None:
    sender = spans("http://127.0.0.1:4317", Metrics("app"))
    sender._tell("Connection refused")
    assert "hint: 4317 is gRPC's port" in caplog.text
    end(sender, 0)


def test_what_the_endpoint_rejects_of_a_batch_is_counted(server: Collector) -> None:
    server.answer = lambda _: Answer(200, b"\x0a\x02\x08\x03")  # rejected_spans: 3
    metrics = Metrics("app")
    sender = spans(server.url, metrics)
    for _ in range(5):
        sender.put(span(), 1)
    end(sender, 5)
    assert dropped(metrics) == {"rejected": 3 * len(server.requests)}


def test_a_span_that_is_wrong_does_not_cost_the_others(server: Collector) -> None:
    metrics = Metrics("app")
    sender = spans(server.url, metrics)
    sender.put(span()._replace(trace_id="not hex"), 1)
    sender.put(span(), 1)
    end(sender, 5)
    assert len(server.spans()) == 1
    assert dropped(metrics) == {"export_failed": 1}


def held(server: Collector) -> tuple[threading.Event, threading.Event]:
    """From now on the server keeps its answers back until the second is set."""
    asked, go_on = threading.Event(), threading.Event()

    def answer(_: Request) -> Answer:
        asked.set()
        go_on.wait(20)
        return Answer()

    server.answer = answer
    return asked, go_on


def test_a_full_queue_drops_and_counts(server: Collector) -> None:
    asked, go_on = held(server)
    metrics = Metrics("app")
    sender = spans(server.url, metrics, OTEL_BSP_MAX_QUEUE_SIZE="10")
    sender.put(span(), 1)
    assert asked.wait(10)
    for _ in range(25):
        sender.put(span(), 1)
    assert dropped(metrics) == {"queue_full": 15}
    go_on.set()
    end(sender, 10)
    assert len(server.spans()) == 11


def test_the_end_comes_in_time_and_what_is_left_is_counted(server: Collector) -> None:
    asked, go_on = held(server)
    metrics = Metrics("app")
    sender = spans(server.url, metrics)
    sender.put(span(), 1)
    assert asked.wait(10)
    for _ in range(20):
        sender.put(span(), 1)
    begun = time.monotonic()
    end(sender, 0.3)
    assert time.monotonic() - begun < 5  # far from the 10 s of a request
    assert dropped(metrics) == {"shutdown": 21}
    sender.put(span(), 1)
    assert dropped(metrics) == {"shutdown": 22}
    go_on.set()
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("OtelBatch")])
    assert dropped(metrics) == {"shutdown": 22}  # not once more, now that it ends


def test_a_wait_for_another_try_ends_with_the_end(server: Collector) -> None:
    server.answer = lambda _: Answer(503, b"", (("retry-after", "8"),))
    metrics = Metrics("app")
    sender = spans(server.url, metrics)
    sender.put(span(), 1)
    wait_for(lambda: len(server.requests) == 1)
    begun = time.monotonic()
    end(sender, 0.3)
    assert time.monotonic() - begun < 5
    assert dropped(metrics) == {"shutdown": 1}


def test_a_short_wait_is_waited_for_at_the_end(server: Collector) -> None:
    server.answer = lambda _: Answer(503, b"", (("retry-after", "0.3"),))
    metrics = Metrics("app")
    sender = spans(server.url, metrics)
    sender.put(span(), 1)
    wait_for(lambda: len(server.requests) == 1)
    server.answer = lambda _: Answer()
    end(sender, 30)
    assert dropped(metrics) == {}


def test_what_is_large_waits_and_leaves_in_bounds(server: Collector) -> None:
    asked, go_on = held(server)
    metrics = Metrics("app")
    given = otel(server.url, OTEL_LOGS_EXPORTER="otlp", OTEL_BLRP_SCHEDULE_DELAY="10")
    sender = started("logs", metrics, given)
    sender.put(LogData(1, "INFO", "first", {}), 5)
    assert asked.wait(10)
    size = BATCH_SIZE // 2
    for _ in range(SIZE // size + 3):
        sender.put(LogData(1, "INFO", "x" * 10, {}), size)
    assert dropped(metrics) == {"queue_full": 3}
    go_on.set()
    end(sender, 10)
    assert len(server.records()) == 1 + SIZE // size
    assert len(server.requests) == 1 + SIZE // BATCH_SIZE
    assert dropped(metrics) == {"queue_full": 3}


def test_points_go_out_each_interval_and_at_the_end(server: Collector) -> None:
    metrics = Metrics("app")
    given = otel(server.url, OTEL_METRIC_EXPORT_INTERVAL="50")
    sender = started("metrics", metrics, given)
    wait_for(lambda: len(server.requests) >= 2)
    metrics.set("telemock.store.size", 42)
    end(sender, 5)
    assert server.metrics()["telemock.store.size"].gauge.data_points[0].as_double == 42


def test_a_registry_that_cannot_be_read_once_does_not_end_it(
    server: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = Metrics("app")
    failing = iter([True])
    collect = metrics.registry.collect

    def once() -> Any:
        if next(failing, False):
            raise RuntimeError("dictionary changed size during iteration")
        return collect()

    monkeypatch.setattr(metrics.registry, "collect", once)
    given = otel(server.url, OTEL_METRIC_EXPORT_INTERVAL="20")
    sender = started("metrics", metrics, given)
    wait_for(lambda: len(server.requests) >= 1)
    end(sender, 5)
    assert next(failing, False) is False
