"""Against endpoints of all kinds; proxies and certificates are in tests/integration."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from email.utils import formatdate
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from app.otel.session import ANSWER_CAP
from tests.collector import Answer, Collector, Request, collector
from tests.exporting import Exporting, sent
from tests.waiting import wait_for

TRIES = 6  # of the SDK


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Collector]:
    with collector() as found:
        yield found


@contextmanager
def talking(*parts: bytes) -> Iterator[str]:
    """A server that says this, whatever it is asked, and keeps its connections open."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as connections:

        def talk() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connections.enter_context(connection)
                    for part in parts:
                        connection.sendall(part)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces?key=s3cret"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_an_answer_with_2xx_is_fine(server: Collector) -> None:
    assert sent(f"{server.url}/v1/traces?key=1") == ""
    (request,) = server.requests
    assert request.path == "/v1/traces?key=1"
    assert request.headers["content-type"] == "application/x-protobuf"


def test_an_empty_answer_of_no_kind_is_fine_too(server: Collector) -> None:
    server.answer = lambda _: Answer(204, b"", ())
    assert sent(server.url) == ""


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_a_body_is_compressed_as_it_says(server: Collector, compression: str) -> None:
    assert sent(f"{server.url}/v1/traces", OTEL_EXPORTER_OTLP_COMPRESSION=compression) == ""
    (request,) = server.requests
    assert request.headers["content-encoding"] == compression
    assert int(request.headers["content-length"]) < 1000
    assert len(server.spans()) == 1


@pytest.mark.parametrize(("said", "known"), [(7, 7), (-7, 0), (0, 0)])
def test_what_the_endpoint_took_but_rejected_is_known(
    server: Collector, said: int, known: int
) -> None:
    message = ExportTraceServiceResponse()
    message.partial_success.rejected_spans = said
    message.partial_success.error_message = "why"
    server.answer = lambda _: Answer(200, message.SerializeToString())
    made = Exporting(server.url)
    assert (made.export(), made.session.rejected) == ("", known)


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (Answer(302, b"", (("location", "http://127.0.0.1:1/"),)), "it answered 302"),
        (Answer(200, b"<html>", (("content-type", "text/html; charset=x"),)), "a web page"),
        (Answer(200, b"\xff\xff\xff"), "not OTLP"),
        (Answer(400), "it answered 400"),
        (Answer(500), "it answered 500"),
    ],
)
def test_what_is_no_success_is_not_taken_for_one_and_not_asked_again(
    server: Collector, answer: Answer, trouble: str
) -> None:
    server.answer = lambda _: answer
    assert trouble in sent(server.url)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_endpoint_that_is_busy_is_asked_again_when_it_wants(
    server: Collector, status: int
) -> None:
    after = iter(["0.01", formatdate(time.time() - 60, usegmt=True), "0"])
    server.answer = lambda _: (
        Answer(status, b"", (("retry-after", value),)) if (value := next(after, "")) else Answer()
    )
    assert sent(server.url) == ""
    assert len(server.requests) == 4


def test_it_is_not_asked_for_ever(server: Collector) -> None:
    server.answer = lambda _: Answer(503, b"", (("retry-after", "0"),))
    assert sent(server.url) == "it answered 503"
    assert len(server.requests) == TRIES


@pytest.mark.parametrize(
    "after", ["3600", formatdate(time.time() + 3600, usegmt=True)], ids=["seconds", "date"]
)
def test_it_is_not_waited_for_beyond_the_timeout(server: Collector, after: str) -> None:
    server.answer = lambda _: Answer(503, b"", (("retry-after", after),))
    begun = time.monotonic()
    assert sent(server.url) == "it answered 503"
    assert time.monotonic() - begun < 4
    assert len(server.requests) == 1


@pytest.mark.parametrize("after", ["", "soon", "nan", "inf", "-1e999", "Mon, 99 Foo 2026"])
def test_a_wish_that_cannot_be_read_is_none(server: Collector, after: str) -> None:
    answers = iter([Answer(503, b"", (("retry-after", after),))])
    server.answer = lambda _: next(answers, Answer())
    begun = time.monotonic()
    assert sent(server.url) == ""
    assert 0.7 < time.monotonic() - begun < 4  # a second or so, as without one


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = sent(f"http://me:s3cret@127.0.0.1:{port}/v1/traces?key=s3cret", 500)
    assert found == "Connection refused"


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        ((), "no answer in time"),
        ((b"SSH-2.0-OpenSSH\r\n",), "does not speak HTTP"),
        ((b"\x00\xff" * 1000 + b"\n",), "does not speak HTTP"),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\nshort",), "no answer in time"),
    ],
)
def test_servers_that_speak_something_else_or_nothing(
    said: tuple[bytes, ...], trouble: str
) -> None:
    with talking(*said) as url:
        found = sent(url, 300)
    assert trouble in found
    assert "s3cret" not in found


def test_a_head_that_is_not_right_is_no_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nno colon\r\n: none\r\n\r\n"
    with talking(said) as url:
        assert sent(url) == ""
    assert "s3cret" not in caplog.text
    assert not caplog.records


def test_an_answer_without_end_is_read_to_its_limit_only() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"
    with talking(head, b"x" * ANSWER_CAP * 2) as url:
        assert sent(url) == ""


def test_a_connection_is_kept_and_another_made_when_it_was_closed(server: Collector) -> None:
    made: list[Any] = []
    accept = server.server.get_request
    server.server.get_request = lambda: (made.append(1), accept())[1]  # type: ignore[method-assign]
    kept = Exporting(server.url)
    tries: list[Any] = []
    send = kept.session.send
    kept.session.send = lambda *a, **k: (tries.append(1), send(*a, **k))[1]  # type: ignore[method-assign]
    for _ in range(3):
        assert kept.export() == ""
    assert len(made) == 1
    server.close_connections()
    assert kept.export() == ""
    assert len(made) == 2
    assert len(tries) == 4  # at once: the SDK, which waits before it tries again, saw no failure


def test_the_last_try_is_not_repeated_and_ends_in_time(server: Collector) -> None:
    server.answer = lambda _: Answer(503, b"", (("retry-after", "0"),))
    last = Exporting(server.url)
    last.session.end(time.monotonic() + 5)
    assert last.export() == "it answered 503"
    assert len(server.requests) == 1
    with talking() as url:
        last = Exporting(url, OTEL_EXPORTER_OTLP_TIMEOUT="60000")
        last.session.end(time.monotonic() + 0.2)
        begun = time.monotonic()
        assert last.export() == "no answer in time"
        assert time.monotonic() - begun < 5


def test_what_was_on_its_way_when_the_end_came_is_tried_once_more(server: Collector) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def answer(_: Request) -> Answer:
        if asked.is_set():
            return Answer()
        asked.set()
        go_on.wait(10)
        return Answer(503, b"", (("retry-after", "0"),))

    server.answer = answer
    ending = Exporting(server.url)
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(ending.export()))
    thread.start()
    assert asked.wait(10)
    ending.session.end(time.monotonic() + 5)
    go_on.set()
    thread.join(10)
    assert found == [""]


def test_a_wait_for_another_try_is_ended(server: Collector) -> None:
    server.answer = lambda _: Answer(503, b"", (("retry-after", "20"),))
    waiting = Exporting(server.url, OTEL_EXPORTER_OTLP_TIMEOUT="30000")
    thread = threading.Thread(target=waiting.exporter.export, args=(waiting._spans,))
    thread.start()
    wait_for(lambda: len(server.requests) == 1)
    waiting.exporter.shutdown()
    thread.join(5)
    assert not thread.is_alive()
