"""Connections whose requests are answered in different ways, through a real sidecar: by CONNECT,
where mitmproxy reads, and behind the redirect, where `addon.arrive.direct` does."""

import contextlib
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from app.contract import rules as r
from tests import netns
from tests.peers import App, Host
from tests.sidecar import HOST, LINE, ROOT, Sidecar, authority, bundle_of, rule, sidecar
from tests.threads import in_threads

RULES = bundle_of(
    rule("index", "/telemetry/index.html"),
    rule("app", "/at-the-app", answer_at="app"),
    rule("body", "/body", match={"body": (r.Value("kind", "equals", "usage"),)}),
    rule("observe", "/observe", "observe"),
)
OVER = b"HTTP/1.1\r\nHost: cdn.cribl.io\r\n"
LAST = b"GET /telemetry/index.html?last=1 " + OVER + b"Connection: close\r\n\r\n"


class Redirected(Sidecar):
    """In a network namespace of its own, with the redirect; clients know nothing of it."""

    def __init__(self, namespace: netns.Namespace, *given: Any, **named: str) -> None:
        self._namespace = namespace
        namespace.inside(super().__init__, *given, **named)
        dummies = ["--hosts", named["TELEMOCK_HOSTS"]]
        command = [sys.executable, "-m", "addon.redirect", *dummies]
        namespace.inside(subprocess.run, command, cwd=ROOT, capture_output=True, check=True)

    def connect(
        self, host: str = HOST, port: int = 443, *, tls: bool = True, sni: str | None = None
    ) -> socket.socket:
        plain = self._namespace.inside(socket.create_connection, ("192.0.2.1", port), 15)
        return self.trust().wrap_socket(plain, server_hostname=sni or host) if tls else plain

    def get(self, path: str) -> tuple[int, bytes]:
        return self._namespace.inside(super().get, path)


@pytest.fixture(
    scope="module", params=["connect", pytest.param("redirect", marks=pytest.mark.root)]
)
def lab(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Sidecar, App, Host]]:
    directory = tmp_path_factory.mktemp("answer")
    (directory / "token").write_text("the-token\n")
    ca, context = authority(directory)
    with contextlib.ExitStack() as stack:
        namespace = None
        if request.param == "redirect":
            netns.require()
            namespace = netns.Namespace()
            stack.callback(namespace.close)
        inside = namespace.inside if namespace else lambda make, *given: make(*given)
        app, host = inside(App, RULES), inside(Host, context)
        stack.callback(app.close)
        stack.callback(host.close)
        environ = {
            "TELEMOCK_APP_URL": f"http://127.0.0.1:{app.port}",
            "TELEMOCK_TOKEN_FILE": str(directory / "token"),
            "TELEMOCK_UPSTREAM_CA": str(ca),
            "TELEMOCK_RESOLVE": f"{HOST}:443=127.0.0.1:{host.port}",
        }
        if namespace is None:
            running = stack.enter_context(sidecar(directory / "one", RULES, **environ))
        else:
            environ |= {"MITM_PORT": "", "TELEMOCK_HOSTS": f"192.0.2.1={HOST}",
                        "TELEMOCK_TRANSPARENT": "127.0.0.1:17443"}  # fmt: skip
            running = Redirected(namespace, directory / "one", RULES, **environ)
            stack.callback(running.stop)
        yield running, app, host


def test_the_redirects_proof_of_itself_leaves_no_record(lab: tuple[Sidecar, App, Host]) -> None:
    sidecar, _, _ = lab
    assert sidecar.recorded() == 0
    assert sidecar.get("/health")[0] == 200


def paths(sidecar: Sidecar, after: int) -> list[str]:
    sidecar.recorded()
    return [x.request.path for x in sidecar.records() if x.request and x.seq > after]


def test_one_connection_through_both_layers_keeps_every_request(
    lab: tuple[Sidecar, App, Host],
) -> None:
    sidecar, _, _ = lab
    before = sidecar.health()["shipper"]["reserved"]
    answers = sidecar.raw(
        b"GET /telemetry/index.html?first=1 " + OVER + b"\r\n"
        b"GET /at-the-app " + OVER + b"\r\n"
        b"POST /telemetry/index.html " + OVER + b"Content-Length: 4\r\n\r\nGET "
        b"POST /telemetry/index.html " + OVER + b"Transfer-Encoding: chunked\r\n\r\n"
        b"4\r\nGET \r\n0\r\n\r\n"
        b"POST /body " + OVER + b"Content-Type: application/json\r\nContent-Length: 16\r\n\r\n"
        b'{"kind":"usage"}'
        + LAST
    )  # fmt: skip
    assert answers.count(b"HTTP/1.1 200 ") == 6
    assert paths(sidecar, before) == [
        "/telemetry/index.html", "/at-the-app", "/telemetry/index.html", "/telemetry/index.html",
        "/body", "/telemetry/index.html",
    ]  # fmt: skip


def test_a_request_for_the_real_host_after_a_mocked_one_reaches_it(
    lab: tuple[Sidecar, App, Host],
) -> None:
    sidecar, _, _ = lab
    answers = sidecar.raw(
        b"GET /telemetry/index.html " + OVER + b"\r\n"
        b"POST /observe " + OVER + b"Content-Length: 5\r\nConnection: close\r\n\r\nhello"
    )  # fmt: skip
    assert answers.count(b"HTTP/1.1 200 ") == 2
    assert sidecar.record_of("/observe").answered_by == "upstream"


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 4\r\nContent-Length: 0\r\n",
        b"Content-Length: 4, 4\r\n",
        b"Content-Length:\r\n 4\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
    ],
)
def test_a_second_request_is_not_smuggled(lab: tuple[Sidecar, App, Host], framing: bytes) -> None:
    sidecar, _, host = lab
    accepted = host.accepted
    smuggled = b"GET /smuggled " + OVER + b"\r\n"
    answers = sidecar.raw(
        b"GET /telemetry/index.html " + OVER + b"\r\n"
        b"POST /telemetry/index.html " + OVER + framing + b"\r\n" + smuggled
    )  # fmt: skip
    _, refused, rest = answers.partition(LINE)
    # mitmproxy closes the connection, in some cases without a word.
    assert refused and (not rest or rest.startswith(b"HTTP/1.1 400 "))
    sidecar.recorded()
    assert "/smuggled" not in json.dumps([x.request and x.request.path for x in sidecar.records()])
    assert host.accepted == accepted


@pytest.mark.parametrize("path", [b"/telemetry/index.html", b"/observe"])
def test_extensions_of_chunks_are_recorded_as_not_kept(
    lab: tuple[Sidecar, App, Host], path: bytes
) -> None:
    sidecar, _, _ = lab
    for extension, told in ((b";user=x", True), (b"", False)):
        before = sidecar.health()["shipper"]["reserved"]
        answers = sidecar.raw(
            b"POST " + path + b" " + OVER + b"Transfer-Encoding: chunked\r\nConnection: close\r\n"
            b"\r\n4%s\r\nabcd\r\n0\r\n\r\n" % extension
        )  # fmt: skip
        assert answers.startswith(b"HTTP/1.1 200 ")
        assert paths(sidecar, before) == [path.decode()]
        request = sidecar.records()[-1].request
        assert request is not None and request.chunk_extensions is told


def test_many_connections_at_once(lab: tuple[Sidecar, App, Host]) -> None:
    sidecar, _, _ = lab
    before = sidecar.recorded()

    def client(some: bytes) -> None:
        answers = sidecar.raw((some + OVER + b"\r\n") * 20 + LAST)
        assert answers.count(b"HTTP/1.1 200 ") == 21

    in_threads(client, [b"GET /at-the-app ", b"GET /telemetry/index.html "] * 8)
    assert sidecar.recorded() == before + 16 * 21
    assert sidecar.health()["in_flight"] == 0


def test_sessions_are_resumed(lab: tuple[Sidecar, App, Host]) -> None:
    sidecar, _, _ = lab
    trusting = sidecar.trust()
    session: ssl.SSLSession | None = None
    for resumed in (False, True):
        with trusting.wrap_socket(
            sidecar.connect(tls=False), server_hostname=HOST, session=session
        ) as client:
            client.sendall(LAST)
            assert client.recv(65536).endswith(LINE)
            assert client.session_reused is resumed
            session = client.session
