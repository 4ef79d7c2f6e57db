"""A client, the sidecar's process and a real host: who answers, and what is recorded."""

import hashlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.contract import rules as r
from app.contract.record import BODY_CAP
from tests.peers import Host, Reader
from tests.sidecar import HOST, LINE, Sidecar, before_host, bundle_of, rule
from tests.waiting import wait_for

RULES = bundle_of(
    rule("index", "/telemetry/index.html"),
    rule("app", "/at-the-app", answer_at="app"),
    rule("body", "/body", match={"body": (r.Value("kind", "equals", "usage"),)}),
    rule("observe", "/observe", "observe"),
    rule("block", "/block", "block"),
    rule("events", "/events"),
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sidecar, Host]]:
    with before_host(tmp_path_factory.mktemp("sidecar"), RULES, Host) as lab:
        yield lab


def test_mocked_request_is_answered_and_recorded_without_the_real_host(
    lab: tuple[Sidecar, Host],
) -> None:
    sidecar, host = lab
    before = host.accepted
    answer, body = sidecar.ask("/telemetry/index.html?v=4.16.1&lic=secret")
    assert (answer.status, body) == (200, LINE)
    record = sidecar.record_of("/telemetry/index.html")
    assert (record.kind, record.action, record.rule) == ("exchange", "mock", "index")
    assert record.answered_by == "sidecar"
    assert record.product_version == "4.16.1"
    assert record.request is not None and ("v", "4.16.1") in record.request.query
    assert record.response is not None and record.response.status == 200
    assert record.tls is not None and record.tls.sni == HOST
    assert host.accepted == before


def test_what_the_rules_do_not_name_reaches_the_host_as_it_was_sent(
    lab: tuple[Sidecar, Host],
) -> None:
    sidecar, _ = lab
    head = (
        b"PUT /dl/4.16/%E2%82%AC;a=1?x=%20&y HTTP/1.1\r\nHost: cdn.cribl.io\r\nX-B: 2\r\n"
        b"x-a: 1\r\nX-B: 3\r\nContent-Length: 5\r\nTraceParent: whatever\r\n\r\n"
    )
    with sidecar.connect() as connection:
        connection.sendall(head + b"hello")
        reader = Reader(connection)
        answered = reader.until(b"\r\n\r\n")
        parts: list[bytes] = []
        reader.body(answered, parts.append)
    said = json.loads(b"".join(parts))
    assert said["head"].encode() == head
    assert said["sha256"] == hashlib.sha256(b"hello").hexdigest()
    record = sidecar.record_of("/dl/*")
    assert (record.kind, record.action, record.answered_by) == ("exchange", "pass", "upstream")
    assert record.request is not None and record.response is not None
    assert record.request.headers == record.request.query == record.response.headers == []
    assert record.request.body is not None and record.request.body.size == 5
    assert record.request.body.text is None
    assert b'telemock_passed_total{telemock_profile="cribl"}' in sidecar.get("/metrics")[1]


def test_observed_request_reaches_the_host_and_both_sides_are_recorded(
    lab: tuple[Sidecar, Host],
) -> None:
    sidecar, _ = lab
    sent = json.dumps({"a": "x" * 1000}).encode()
    _, body = sidecar.ask("/observe?v=1", "POST", sent, {"Content-Type": "application/json"})
    assert json.loads(body)["sha256"] == hashlib.sha256(sent).hexdigest()
    record = sidecar.record_of("/observe")
    assert (record.action, record.answered_by) == ("observe", "upstream")
    assert record.request is not None and record.request.body is not None
    assert record.request.body.text == sent.decode()
    assert record.request.body.sha256 == hashlib.sha256(sent).hexdigest()
    assert record.response is not None and record.response.body is not None
    assert record.response.body.text == body.decode()
    assert ("x-real", "yes") in record.response.headers
    assert record.answer_ns > 0


def test_blocked_request_is_refused_and_recorded(lab: tuple[Sidecar, Host]) -> None:
    sidecar, host = lab
    before = host.accepted
    answer, _ = sidecar.ask("/block")
    assert answer.status == 403
    record = sidecar.record_of("/block")
    assert (record.kind, record.action, record.reason) == ("refused", "block", "blocked")
    assert host.accepted == before


@pytest.mark.parametrize(
    ("sent", "answered_by"),
    [
        (b'{"kind": "usage"}', "sidecar"),
        (b'{"kind": "usage", "pad": NaN}', "sidecar"),
        (b'{"kind": "other"}', "upstream"),
        (b"no json", "sidecar"),  # nobody knows what it says
        (b'{"kind": "other", "pad": "' + b"x" * BODY_CAP + b'"}', "sidecar"),  # over the cap
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_body_condition_is_judged_on_the_body(
    lab: tuple[Sidecar, Host], sent: bytes, answered_by: str, chunked: bool
) -> None:
    sidecar, _ = lab
    before = sidecar.recorded()
    body = iter([sent[:7], sent[7:]]) if chunked else sent
    answer, got = sidecar.ask("/body", "POST", body, {"Content-Type": "application/json"})
    assert answer.status == 200
    if answered_by == "sidecar":
        assert got == LINE
    else:
        assert json.loads(got)["sha256"] == hashlib.sha256(sent).hexdigest()
    record = wait_for(lambda: sidecar.records()[before:])[-1]
    assert record.answered_by == answered_by
    unread = len(sent) > BODY_CAP or sent == b"no json"
    assert record.judged_by == ("body" if unread else "")
    assert record.request is not None and record.request.body is not None
    assert record.request.body.size == len(sent)


def test_an_app_that_is_away_is_replaced_by_the_static_answer(lab: tuple[Sidecar, Host]) -> None:
    sidecar, _ = lab
    assert sidecar.ask("/at-the-app")[1] == LINE
    record = sidecar.record_of("/at-the-app")
    assert record.answered_by == "sidecar"
    assert record.reason in ("app_unreachable", "circuit_open")
    assert b"telemock_fallback_answers_total" in sidecar.get("/metrics")[1]


def test_another_host_is_relayed_unread_and_counted(lab: tuple[Sidecar, Host]) -> None:
    sidecar, host = lab
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = sidecar.connect("other.example", tls=False)
    with context.wrap_socket(plain, server_hostname="other.example") as connection:
        certificate = connection.getpeercert(binary_form=True)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
        assert connection.recv(4) == b"HTTP"
    direct = ssl.get_server_certificate(("127.0.0.1", host.port))
    assert certificate == ssl.PEM_cert_to_DER_cert(direct)  # the host's own: TLS was not opened
    record = sidecar.record(lambda x: x.kind == "spliced" and x.host == "other.example")
    assert (record.action, record.reason) == ("pass", "not_named")
    assert record.sent > 200 and record.received > 500
    assert record.request is None


def test_plain_request_of_another_host_passes_and_is_counted(lab: tuple[Sidecar, Host]) -> None:
    sidecar, _ = lab
    plain = Host()
    with socket.create_connection(("127.0.0.1", sidecar.proxy), timeout=10) as connection:
        connection.sendall(
            b"GET http://localhost:%d/x/y?q=1 HTTP/1.1\r\nHost: localhost:%d\r\n\r\n"
            % (plain.port, plain.port)
        )
        reader = Reader(connection)
        parts: list[bytes] = []
        reader.body(reader.until(b"\r\n\r\n"), parts.append)
    plain.close()
    assert json.loads(b"".join(parts))["head"].startswith(
        "GET /x/y?q=1 HTTP/1.1\r\nHost: localhost"
    )
    record = sidecar.record(lambda x: x.kind == "spliced" and x.host == "localhost")
    assert record.request is not None and record.request.query == []
    assert record.received == sum(map(len, parts))


def test_real_host_that_cannot_be_reached_is_told_to_client_and_record(
    lab: tuple[Sidecar, Host],
) -> None:
    sidecar, _ = lab
    with pytest.raises(ConnectionError, match="502"):
        sidecar.connect("gone.example")
    record = sidecar.record(lambda x: x.host == "gone.example")
    assert (record.kind, record.reason) == ("spliced", "upstream_unreachable")


def test_client_that_refuses_the_certificate_is_a_record(lab: tuple[Sidecar, Host]) -> None:
    sidecar, _ = lab
    with sidecar.connect(tls=False) as plain, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(plain, server_hostname=HOST)
    record = sidecar.record(lambda x: x.kind == "tls_rejected")
    assert (record.host, record.profile) == (HOST, "cribl")
    assert record.reason == "client_refused_certificate"
    assert (
        b'telemock_tls_client_rejected_total{server_address="cdn.cribl.io"} 1.0'
        in (sidecar.get("/metrics")[1])
    )


def test_connections_to_the_real_host_are_used_again(lab: tuple[Sidecar, Host]) -> None:
    sidecar, host = lab
    before = host.accepted
    with sidecar.connect() as connection:
        reader = Reader(connection)
        for _ in range(3):
            connection.sendall(b"GET /observe HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n")
            reader.body(reader.until(b"\r\n\r\n"), lambda data: None)
    assert host.accepted == before + 1


def test_health_and_readiness(lab: tuple[Sidecar, Host]) -> None:
    sidecar, _ = lab
    health = sidecar.health()
    assert health["status"] == "ok" and health["profiles"]["profiles"] == ["cribl"]
    assert "refused" in health["profiles"]["error"]  # no app is running
    assert sidecar.get("/ready")[0] == 200


def test_stopping_lets_an_exchange_end(tmp_path: Path) -> None:
    with (
        before_host(tmp_path, RULES, SlowHost, TELEMOCK_SHUTDOWN_SECONDS="2") as (running, host),
        running.connect() as connection,
    ):
        connection.sendall(b"GET /observe HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n")
        wait_for(lambda: host.accepted)
        wait_for(lambda: running.health()["in_flight"])
        started = time.monotonic()
        running.process.terminate()
        wait_for(lambda: running.health()["status"] == "stopping")
        host.answers.set()
        reader = Reader(connection)
        assert b" 200 " in reader.until(b"\r\n\r\n")
        assert running.process.wait(15) == 0
        assert time.monotonic() - started < 10
    assert running.record_of("/observe").response is not None


class SlowHost(Host):
    def __init__(self, context: ssl.SSLContext) -> None:
        self.answers = threading.Event()
        super().__init__(context)

    def connected(self, connection: socket.socket) -> None:
        self.answers.wait(10)
        super().connected(connection)
