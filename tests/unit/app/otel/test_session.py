import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from app.otel.session import ANSWER_CAP, TRIES, Outcome, Session
from app.otel.settings import read
from tests.collector import Answer, Collector, Request, collector
from tests.waiting import wait_for


def session(url: str, **environ: str) -> Session:
    given = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url, **environ}
    return Session(read(given, service="s", version="1", resource={}).targets["traces"])


def sent(url: str, timeout_ms: int = 5000, body: bytes = b"") -> Outcome:
    """By a session of its own."""
    made = session(url, OTEL_EXPORTER_OTLP_TIMEOUT=str(timeout_ms))
    try:
        return made.export(body)
    finally:
        made.close()


@contextmanager
def talking(*parts: bytes) -> Iterator[str]:
    """A server of one connection that says this, whatever it is asked, and keeps it open."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def talk() -> None:
            connection, _ = listener.accept()
            with connection:
                for part in parts:
                    try:
                        connection.sendall(part)
                    except OSError:
                        return
                ended.wait(20)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces?key=s3cret"
        finally:
            ended.set()
            thread.join()


@pytest.fixture
def server() -> Iterator[Collector]:
    with collector() as found:
        yield found


def test_an_answer_with_2xx_is_fine(server: Collector) -> None:
    assert sent(f"{server.url}/v1/traces?key=1", body=b"\x0a\x00") == Outcome()
    (request,) = server.requests
    assert (request.path, request.body) == ("/v1/traces?key=1", b"\x0a\x00")
    assert request.headers["content-type"] == "application/x-protobuf"


def test_an_empty_answer_of_no_kind_is_fine_too(server: Collector) -> None:
    server.answer = lambda _: Answer(204, b"", ())
    assert sent(server.url) == Outcome()


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_a_body_is_compressed_as_it_says(server: Collector, compression: str) -> None:
    made = session(server.url, OTEL_EXPORTER_OTLP_COMPRESSION=compression)
    made.export(b"much of it " * 1000)
    made.close()
    (request,) = server.requests
    assert request.headers["content-encoding"] == compression
    assert int(request.headers["content-length"]) < 200
    assert request.body == b"much of it " * 1000


@pytest.mark.parametrize(("said", "known"), [(7, 7), (-7, 0), (0, 0)])
def test_what_the_endpoint_took_but_rejected_is_known(
    server: Collector, said: int, known: int
) -> None:
    message = ExportTraceServiceResponse()
    message.partial_success.rejected_spans = said
    message.partial_success.error_message = "why"
    server.answer = lambda _: Answer(200, message.SerializeToString())
    assert sent(server.url) == Outcome(rejected=known)


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
    assert trouble in sent(server.url).trouble
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_endpoint_that_is_busy_is_asked_again_when_it_wants(
    server: Collector, status: int
) -> None:
    after = iter(["0.01", formatdate(time.time() - 60, usegmt=True), "0"])
    server.answer = lambda _: (
        Answer(status, b"", (("retry-after", value),)) if (value := next(after, "")) else Answer()
    )
    assert sent(server.url) == Outcome()
    assert len(server.requests) == 4


def test_it_is_not_asked_for_ever(server: Collector) -> None:
    server.answer = lambda _: Answer(503, b"", (("retry-after", "0"),))
    assert sent(server.url).trouble == "it answered 503"
    assert len(server.requests) == TRIES


@pytest.mark.parametrize(
    "after", ["3600", formatdate(time.time() + 3600, usegmt=True)], ids=["seconds", "date"]
)
def test_it_is_not_waited_for_beyond_the_timeout(server: Collector, after: str) -> None:
    server.answer = lambda _: Answer(503, b"", (("retry-after", after),))
    begun = time.monotonic()
    assert sent(server.url).trouble == "it answered 503"
    assert time.monotonic() - begun < 4
    assert len(server.requests) == 1


@pytest.mark.parametrize("after", ["", "soon", "nan", "inf", "-1e999", "Mon, 99 Foo 2026"])
def test_a_wish_that_cannot_be_read_is_none(server: Collector, after: str) -> None:
    answers = iter([Answer(503, b"", (("retry-after", after),))])
    server.answer = lambda _: next(answers, Answer())
    begun = time.monotonic()
    assert sent(server.url) == Outcome()
    assert 0.7 < time.monotonic() - begun < 4  # a second or so, as without one


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = sent(f"http://me:s3cret@127.0.0.1:{port}/v1/traces?key=s3cret", 500)
    assert found.trouble == "Connection refused"


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
    assert trouble in found.trouble
    assert "s3cret" not in found.trouble


def test_a_head_that_is_not_right_is_no_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    said = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nno colon\r\n: none\r\n\r\n"
    with talking(said) as url:
        assert sent(url) == Outcome()
    assert "s3cret" not in caplog.text
    assert not caplog.records


def test_an_answer_without_end_is_read_to_its_limit_only() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"
    with talking(head, b"x" * ANSWER_CAP * 2) as url:
        assert sent(url) == Outcome()


def test_an_answer_before_the_whole_request_was_read_is_heard() -> None:
    """As of a collector that takes no request of this size."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 413 No\r\nconnection: close\r\n\r\n")
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1000)
                time.sleep(0.2)

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        found = sent(f"http://127.0.0.1:{listener.getsockname()[1]}", body=b"x" * (32 << 20))
        thread.join()
    assert found.trouble in ("it answered 413", "Connection reset by peer")


def test_a_connection_is_kept_and_another_made_when_it_was_closed(
    server: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    connect = HTTPConnection.connect
    monkeypatch.setattr(HTTPConnection, "connect", lambda c: (made.append(c), connect(c)))
    kept = session(server.url)
    for _ in range(3):
        assert kept.export(b"") == Outcome()
    assert len(made) == 1
    kept._connection.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
    begun = time.monotonic()
    assert kept.export(b"") == Outcome()
    assert time.monotonic() - begun < 0.7  # at once, not as after a failure
    assert len(made) == 2
    kept.close()


def test_the_last_try_is_not_repeated_and_ends_in_time(server: Collector) -> None:
    server.answer = lambda _: Answer(503, b"", (("retry-after", "0"),))
    last = session(server.url)
    last.end(time.monotonic() + 5)
    assert last.export(b"").trouble == "it answered 503"
    last.close()
    assert len(server.requests) == 1
    with talking() as url:
        last = session(url, OTEL_EXPORTER_OTLP_TIMEOUT="60000")
        last.end(time.monotonic() + 0.2)
        assert last.export(b"").trouble == "no answer in time"
        last.close()


def test_the_end_turns_a_wait_into_the_last_try(server: Collector) -> None:
    answers = iter([Answer(503, b"", (("retry-after", "20"),))])
    server.answer = lambda _: next(answers, Answer())
    waiting = session(server.url, OTEL_EXPORTER_OTLP_TIMEOUT="30000")
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.append(waiting.export(b"")))
    thread.start()
    wait_for(lambda: len(server.requests) == 1)
    waiting.end(time.monotonic() + 5)
    thread.join(5)
    assert found == [Outcome()]
    waiting.close()


def test_the_end_gives_what_failed_one_more_try(server: Collector) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def answer(_: Request) -> Answer:
        if asked.is_set():
            return Answer()
        asked.set()
        go_on.wait(10)
        return Answer(503, b"", (("retry-after", "3600"),))

    server.answer = answer
    ending = session(server.url)
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.append(ending.export(b"")))
    thread.start()
    assert asked.wait(10)
    ending.end(time.monotonic() + 5)
    go_on.set()
    thread.join(10)
    assert found == [Outcome()]
    ending.close()


def test_the_certificate_of_the_setting_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca, other = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    other.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "other.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    with collector(context) as server:
        trusting = session(server.url, OTEL_EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "ca.pem"))
        assert trusting.export(b"") == Outcome()
        trusting.close()
        found = sent(server.url, 500)
        assert "certificate verify failed" in found.trouble
