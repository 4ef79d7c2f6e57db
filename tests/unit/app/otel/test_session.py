import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from app.otel.session import ANSWER_CAP, Refused, Session
from tests.collector import Answer, Collector, collector


def post(session: Session, url: str, timeout: float = 5) -> int:
    with session:
        return session.request(
            "POST", url, data=b"", timeout=timeout, allow_redirects=False
        ).status_code


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
    session = Session()
    assert post(session, server.url) == 200
    assert (session.trouble, session.rejected) == ("", 0)


def test_an_empty_answer_of_no_kind_is_fine_too(server: Collector) -> None:
    server.answer = lambda _: Answer(204, b"", ())
    assert post(Session(), server.url) == 204


def test_what_the_endpoint_took_but_rejected_is_known(server: Collector) -> None:
    message = ExportTraceServiceResponse()
    message.partial_success.rejected_spans = 7
    server.answer = lambda _: Answer(200, message.SerializeToString())
    session = Session()
    post(session, server.url)
    assert session.rejected == 7


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (Answer(302, b"", (("location", "http://127.0.0.1:1/"),)), "it answered 302"),
        (Answer(200, b"<html>", (("content-type", "text/html; charset=x"),)), "a web page"),
        (Answer(200, b"\xff\xff\xff"), "not OTLP"),
    ],
)
def test_what_is_no_success_is_not_taken_for_one(
    server: Collector, answer: Answer, trouble: str
) -> None:
    server.answer = lambda _: answer
    session = Session()
    with pytest.raises(Refused):
        post(session, server.url)
    assert trouble in session.trouble


def test_errors_by_status_are_left_to_the_sdk(server: Collector) -> None:
    server.answer = lambda _: Answer(503)
    session = Session()
    assert post(session, server.url) == 503
    assert session.trouble == "it answered 503"


def test_nobody_listens() -> None:
    session = Session()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(requests.exceptions.ConnectionError):
        post(session, f"http://me:s3cret@127.0.0.1:{port}/v1/traces?key=s3cret")
    assert session.trouble == "Connection refused"


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
    session = Session()
    with talking(*said) as url, pytest.raises(Exception):  # noqa: B017 - requests has many
        post(session, url, 0.3)
    assert trouble in session.trouble
    assert "s3cret" not in session.trouble


def test_a_head_that_is_not_right_is_no_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    said = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nno colon\r\n: none\r\n\r\n"
    with talking(said) as url:
        assert post(Session(), url) == 200
    assert "s3cret" not in caplog.text
    assert not caplog.records


def test_an_answer_without_end_is_read_to_its_limit_only() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"
    with talking(head, b"x" * ANSWER_CAP * 2) as url:
        assert post(Session(), url) == 200


def test_the_last_try_is_not_repeated_and_ends_in_time(server: Collector) -> None:
    server.answer = lambda _: Answer(503)
    with pytest.raises(Refused):  # which the SDK does not try again
        post(Session(last_until=time.monotonic() + 5), server.url)
    with talking() as url, pytest.raises(Refused):
        post(Session(last_until=time.monotonic() + 0.2), url, timeout=60)


def test_the_certificate_of_the_setting_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca, other = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    other.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    with collector(context) as server:
        session = Session()
        session.verify = str(tmp_path / "ca.pem")
        assert post(session, server.url) == 200
        refusing = Session()
        with pytest.raises(requests.exceptions.SSLError):
            post(refusing, server.url)
        assert "certificate verify failed" in refusing.trouble
