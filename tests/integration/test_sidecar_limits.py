"""What clients may send at worst: endless bodies, trailers, odd bytes, heads without end."""

import gzip
import hashlib
import json
import socket
from collections.abc import Iterator

import pytest

from app.contract import rules as r
from app.contract.record import BODY_CAP
from tests.peers import App, Host, Reader
from tests.sidecar import LINE, Sidecar, before_host, bundle_of, rule
from tests.waiting import wait_for

MIB = 1024 * 1024
RULES = bundle_of(
    rule("events", "/events"),
    rule("block", "/block", "block"),
    rule("observe", "/observe", "observe"),
    rule("app", "/at-the-app", answer_at="app"),
    rule("body", "/body", match={"body": (r.Value("kind", "equals", "usage"),)}),
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sidecar, Host, App]]:
    app = App(RULES)
    url = f"http://127.0.0.1:{app.port}"
    directory = tmp_path_factory.mktemp("limits")
    with before_host(directory, RULES, Host, TELEMOCK_APP_URL=url) as (running, host):
        yield running, host, app
    app.close()


Lab = tuple[Sidecar, Host, App]


@pytest.mark.parametrize(
    "path", ["/events", "/block", "/at-the-app", "/body", "/observe", "/other"]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_an_endless_body_needs_no_memory(lab: Lab, path: str, chunked: bool) -> None:
    sidecar, _, app = lab
    size, piece = 96 * MIB, b"0123456789abcdef" * 4096
    count = size // len(piece)
    before, already = sidecar.resident(), sidecar.recorded()
    headers = {} if chunked else {"Content-Length": str(size)}
    answer, body = sidecar.ask(path, "POST", (piece for _ in range(count)), headers)
    assert sidecar.resident() - before < 40 * MIB
    digest = hashlib.sha256()
    for _ in range(count):
        digest.update(piece)
    if path in ("/events", "/block", "/body"):  # a body that is not read whole matches
        assert body in (LINE, b"blocked by telemock\n")
    elif path == "/at-the-app":
        head, prefix = app.asked[-1]
        assert body == b"from the app\n"
        assert prefix == (piece * 5)[:BODY_CAP]
        assert b"telemock-body-size: %d\r\n" % size in head
    else:
        assert json.loads(body)["sha256"] == digest.hexdigest()
    record = wait_for(lambda: sidecar.records()[already:])[-1]
    assert record.request is not None and record.request.body is not None
    assert record.request.body.size == size
    if path != "/other":
        assert record.request.body.truncated
        assert record.request.body.sha256 == digest.hexdigest()
    assert answer.status == (403 if path == "/block" else 200)


@pytest.mark.parametrize("path", ["/events", "/observe", "/other"])
@pytest.mark.parametrize("announced", [False, True])
def test_trailers_are_answered_with_501(lab: Lab, path: str, announced: bool) -> None:
    sidecar, host, _ = lab
    before, already = host.accepted, sidecar.recorded()
    answer = sidecar.raw(
        b"POST %s HTTP/1.1\r\nHost: cdn.cribl.io\r\nTransfer-Encoding: chunked\r\n%s\r\n"
        b"5\r\nhello\r\n0\r\nX-Sum: abc\r\n\r\n"
        % (path.encode(), b"Trailer: X-Sum\r\n" if announced else b"")
    )
    assert answer.startswith(b"HTTP/1.1 501 ")
    record = wait_for(lambda: sidecar.records()[already:])[-1]
    assert (record.kind, record.reason) == ("refused", "trailers")
    if announced:
        assert host.accepted == before


def test_an_answer_with_trailers_arrives_without_them(lab: Lab) -> None:
    sidecar, host, _ = lab

    def with_trailers(connection: socket.socket) -> None:
        Reader(connection).until(b"\r\n\r\n")
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
        )

    host.connected = with_trailers  # type: ignore[method-assign]
    try:
        assert sidecar.ask("/observe?trailers")[1] == b"ok"
    finally:
        del host.connected


def test_expect_continue(lab: Lab) -> None:
    sidecar, _, _ = lab
    for path in (b"/events", b"/observe"):
        with sidecar.connect() as connection:
            connection.sendall(
                b"POST %s HTTP/1.1\r\nHost: cdn.cribl.io\r\nExpect: 100-continue\r\n"
                b"Content-Length: 5\r\n\r\n" % path
            )
            reader = Reader(connection)
            assert reader.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
            connection.sendall(b"hello")
            assert reader.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_two_hundred_headers(lab: Lab) -> None:
    sidecar, _, _ = lab
    headers = {f"X-{n}": str(n) for n in range(200)}
    said = json.loads(sidecar.ask("/observe?many", headers=headers)[1])
    assert said["head"].count("\r\nX-") == 200
    record = sidecar.record(lambda x: bool(x.request and ("many", "") in x.request.query))
    assert record.request is not None
    assert len(record.request.headers) == 100
    assert record.request.left_out == 102  # with Host and Accept-Encoding


def test_bytes_that_are_no_text_are_recorded_escaped(lab: Lab) -> None:
    sidecar, _, app = lab
    already = len(app.asked)
    answer = sidecar.raw(
        b"GET /at-the-app?q=\xff%FE HTTP/1.1\r\nHost: cdn.cribl.io\r\nX-Odd: \xfe\x80\r\n"
        b"Connection: close\r\n\r\n"
    )
    assert answer.endswith(b"from the app\n")
    record = sidecar.record(
        lambda x: bool(x.request and ("X-Odd", "\\xfe\\x80") in x.request.headers)
    )
    assert record.request is not None and record.request.query == [("q", "\\xff\\xfe")]
    assert app.asked[already][0].startswith(b"GET /at-the-app?q=%FF%FE HTTP/1.1\r\n")


def test_a_head_without_end_is_refused(lab: Lab) -> None:
    sidecar, _, _ = lab
    answer = sidecar.raw(b"GET /events HTTP/1.1\r\nX: " + b"x" * 200_000)
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_what_is_no_http_is_refused_and_recorded(lab: Lab) -> None:
    sidecar, _, _ = lab
    assert b" 400 " in sidecar.raw(b"GET /events HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")
    answer = sidecar.raw(
        b"POST /events HTTP/1.1\r\nHost: cdn.cribl.io\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    assert b" 400 " in answer
    record = sidecar.record(lambda x: x.reason == "bad_request")
    assert record.kind == "failed"


@pytest.mark.parametrize("path", ["/events", "/observe"])
def test_client_that_leaves_early_is_recorded(lab: Lab, path: str) -> None:
    sidecar, _, _ = lab
    already = sidecar.recorded()
    with sidecar.connect() as connection:
        connection.sendall(
            b"POST %s HTTP/1.1\r\nHost: cdn.cribl.io\r\nContent-Length: 50\r\n\r\nhello"
            % path.encode()
        )
        wait_for(lambda: sidecar.health()["in_flight"])
    record = wait_for(lambda: sidecar.records()[already:])[-1]
    assert (record.kind, record.reason) == ("failed", "client_gone")
    assert record.request is not None and record.request.path == path
    wait_for(lambda: not sidecar.health()["in_flight"])


def test_compressed_bodies_are_recorded_readable_and_forwarded_as_sent(lab: Lab) -> None:
    sidecar, _, _ = lab
    plain = json.dumps({"kind": "other", "pad": "x" * 5000}).encode()
    packed = gzip.compress(plain)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    said = json.loads(sidecar.ask("/observe?gzip", "POST", packed, headers)[1])
    assert said["sha256"] == hashlib.sha256(packed).hexdigest()
    record = sidecar.record(lambda x: bool(x.request and ("gzip", "") in x.request.query))
    assert record.request is not None and record.request.body is not None
    assert record.request.body.text == plain.decode()
    assert sidecar.ask("/observe?lie", "POST", b"no gzip", headers)[0].status == 200
    lie = sidecar.record(lambda x: bool(x.request and ("lie", "") in x.request.query))
    assert lie.request is not None and lie.request.body is not None
    assert lie.request.body.withheld == "encoding"
