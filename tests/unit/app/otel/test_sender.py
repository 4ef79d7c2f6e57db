import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from app.otel import ids, otlp
from app.otel.export import SpanData
from app.otel.metrics import Metrics
from app.otel.points import collect
from app.otel.sender import Batches, Periodic
from app.otel.settings import read
from tests.collector import Answer, Collector, Request, collector
from tests.waiting import wait_for

REQUEST = partial(otlp.request, otlp.resource({}, "1"), "1")


@pytest.fixture
def server() -> Iterator[Collector]:
    with collector() as found:
        yield found


def span() -> SpanData:
    now = time.time_ns()
    return SpanData("GET", "server", ids.trace_id(), ids.span_id(), "", now, now, {})


def batches(url: str, metrics: Metrics, **environ: str) -> Batches:
    otel = read(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "10", **environ},
        service="s", version="1", resource={},
    )  # fmt: skip
    return Batches("traces", otel.targets["traces"], metrics, otel.spans, otlp.span, REQUEST)


def dropped(metrics: Metrics) -> dict[str, float]:
    counter = metrics.registry.collect()
    return {
        sample.labels["telemock_reason"]: sample.value
        for family in counter
        if family.name == "telemock_otlp_dropped"
        for sample in family.samples
        if sample.value
    }


def end(sender: Batches | Periodic, seconds: float) -> None:
    until_ = time.monotonic() + seconds
    sender.close(until_)
    sender.finish(until_)


def test_what_is_handed_over_arrives(server: Collector) -> None:
    metrics = Metrics("app")
    sender = batches(server.url, metrics)
    sender.start()
    given = [span() for _ in range(3000)]
    for data in given[:1500]:
        sender.put(data, 10)
    wait_for(lambda: len(server.spans()) == 1500)
    for data in given[1500:]:
        sender.put(data, 10)
    end(sender, 10)
    assert {s.span_id.hex() for s in server.spans()} == {s.span_id for s in given}
    assert dropped(metrics) == {}
    assert not sender.is_alive()


def test_a_busy_endpoint_is_asked_again_and_nothing_is_lost(server: Collector) -> None:
    answers = iter(
        [Answer(429, b"", (("retry-after", "0.1"),)), Answer(503, b"", (("retry-after", "0"),))]
    )
    server.answer = lambda _: next(answers, Answer())
    metrics = Metrics("app")
    sender = batches(server.url, metrics)
    sender.start()
    sender.put(span(), 1)
    wait_for(lambda: len(server.requests) == 3)
    end(sender, 5)
    assert len(server.requests) == 3
    assert dropped(metrics) == {}


def test_an_endpoint_that_wants_an_hour_is_not_waited_for(server: Collector) -> None:
    server.answer = lambda _: Answer(429, b"", (("retry-after", "3600"),))
    metrics = Metrics("app")
    sender = batches(server.url, metrics)
    sender.start()
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
    sender = batches(
        server.url, metrics, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=url,
        OTEL_EXPORTER_OTLP_HEADERS="authorization=s3cret",
    )  # fmt: skip
    sender.start()
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
    sender = batches("http://127.0.0.1:4317", Metrics("app"))
    sender.trouble = ""
    sender._tell("Connection refused")
    assert "hint: 4317 is gRPC's port" in caplog.text


def test_what_the_endpoint_rejects_of_a_batch_is_counted(server: Collector) -> None:
    server.answer = lambda _: Answer(200, b"\x0a\x02\x08\x03")  # rejected_spans: 3
    metrics = Metrics("app")
    sender = batches(server.url, metrics)
    sender.start()
    for _ in range(5):
        sender.put(span(), 1)
    end(sender, 5)
    assert dropped(metrics) == {"rejected": 3 * len(server.requests)}


def test_a_span_that_is_wrong_does_not_cost_the_others(server: Collector) -> None:
    metrics = Metrics("app")
    sender = batches(server.url, metrics)
    sender.start()
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
    sender = batches(server.url, metrics, OTEL_BSP_MAX_QUEUE_SIZE="10")
    sender.start()
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
    sender = batches(server.url, metrics)
    sender.start()
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
    sender.join(10)
    assert dropped(metrics) == {"shutdown": 22}  # not once more, now that it ends


def test_what_was_taken_out_when_the_end_came_is_counted_too() -> None:
    metrics = Metrics("app")
    sender = batches("http://127.0.0.1:9", metrics)
    sender.put(span(), 1)
    taken = sender._waiting.take(0)
    end(sender, 0)
    assert not sender._send_batch(taken)
    assert dropped(metrics) == {"shutdown": 1}


def test_the_end_does_not_wait_for_another_try(server: Collector) -> None:
    server.answer = lambda _: Answer(503, b"", (("retry-after", "8"),))
    metrics = Metrics("app")
    sender = batches(server.url, metrics)
    sender.start()
    sender.put(span(), 1)
    wait_for(lambda: len(server.requests) == 1)
    begun = time.monotonic()
    end(sender, 30)
    assert time.monotonic() - begun < 5
    assert not sender.is_alive()
    assert len(server.requests) == 2  # the last try
    assert dropped(metrics) == {"export_failed": 1}


def test_the_last_try_is_one_that_can_succeed(server: Collector) -> None:
    server.answer = lambda _: Answer(503, b"", (("retry-after", "8"),))
    metrics = Metrics("app")
    sender = batches(server.url, metrics)
    sender.start()
    sender.put(span(), 1)
    wait_for(lambda: len(server.requests) == 1)
    server.answer = lambda _: Answer()
    end(sender, 30)
    assert dropped(metrics) == {}


def periodic(url: str, metrics: Metrics, read_: Callable[[], Any], interval_s: float) -> Periodic:
    otel = read({"OTEL_EXPORTER_OTLP_ENDPOINT": url}, service="s", version="1", resource={})
    return Periodic(otel.targets["metrics"], metrics, interval_s, read_, REQUEST)


def test_points_go_out_each_interval_and_at_the_end(server: Collector) -> None:
    metrics = Metrics("app")
    sender = periodic(server.url, metrics, lambda: collect(metrics), 0.05)
    sender.start()
    wait_for(lambda: len(server.requests) >= 2)
    metrics.set("telemock.store.size", 42)
    end(sender, 5)
    assert server.metrics()["telemock.store.size"].gauge.data_points[0].as_double == 42


def test_a_registry_that_cannot_be_read_once_does_not_end_it(server: Collector) -> None:
    metrics = Metrics("app")
    failing = iter([True])

    def read_() -> Any:
        if next(failing, False):
            raise RuntimeError("dictionary changed size during iteration")
        return collect(metrics)

    sender = periodic(server.url, metrics, read_, 0.02)
    sender.start()
    wait_for(lambda: len(server.requests) >= 1)
    end(sender, 5)
