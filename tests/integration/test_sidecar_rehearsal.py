"""A sidecar under a rehearsal, on each way that a request or connection comes, and its end."""

import http.client
import json
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.contract.faults import FAILURES
from tests import netns
from tests.peers import App
from tests.sidecar import HOST, LINE, Sidecar, bundle_of, rule, sidecar
from tests.waiting import wait_for

OVER = b" HTTP/1.1\r\nHost: cdn.cribl.io\r\nConnection: close\r\n\r\n"
RULES = bundle_of(
    rule("index", "/telemetry/index.html"),
    rule("app", "/at-the-app", answer_at="app"),
)


@pytest.mark.parametrize("path", ["/telemetry/index.html", "/at-the-app"])
@pytest.mark.parametrize("fault", ["403", "429", "500", "clock"])
def test_every_answered_request_meets_it_and_its_record_says_so(
    tmp_path: Path, fault: str, path: str
) -> None:
    app = App(RULES)
    environ = {
        "TELEMOCK_APP_URL": f"http://127.0.0.1:{app.port}",
        "TELEMOCK_REHEARSE": f"{fault} until 1h",
    }
    try:
        with sidecar(tmp_path, RULES, **environ) as running:
            answer = running.raw(b"GET " + path.encode() + OVER)
            record = running.record_of(path)
    finally:
        app.close()
    status = b"200" if fault == "clock" else fault.encode()
    assert answer.startswith(b"HTTP/1.1 " + status)
    if fault == "clock":
        year = (datetime.now(UTC) + timedelta(days=365)).year
        assert str(year).encode() in answer.partition(b"\r\n\r\n")[0]
    assert (record.answered_by, record.detail) == ("sidecar", "rehearsal: not the usual answer")
    assert app.asked == []


def test_it_ends_by_itself(tmp_path: Path) -> None:
    end = datetime.now(UTC) + timedelta(seconds=20)
    with sidecar(tmp_path, RULES, TELEMOCK_REHEARSE=f"500 until {end.isoformat()}") as running:
        request = b"GET /telemetry/index.html" + OVER
        assert running.raw(request).startswith(b"HTTP/1.1 500 ")
        while datetime.now(UTC) < end:
            time.sleep(0.2)
        assert running.raw(request).startswith(b"HTTP/1.1 200 ")


ERRORS: dict[str, type[Exception]] = {
    "refused": ConnectionResetError, "dropped": TimeoutError, "tls-error": ssl.SSLError,
}  # fmt: skip


def get(running: Sidecar, address: str, host: str, seconds: float = 30) -> bytes:
    """The body that Python's client gets over HTTPS from this address."""
    plain = socket.create_connection((address, 443), 30)
    plain.settimeout(seconds)
    with plain, running.trust().wrap_socket(plain, server_hostname=host) as opened:
        client = http.client.HTTPConnection(host)
        client.sock = opened
        client.request("GET", "/telemetry/index.html")
        return client.getresponse().read()


@pytest.mark.root
@pytest.mark.parametrize("fault", FAILURES)
def test_connections_to_one_host_fail_by_its_address_or_its_name(
    tmp_path: Path, fault: str
) -> None:
    netns.require()
    namespace = netns.Namespace()
    rules = bundle_of(rule("index", "/telemetry/index.html"), hosts=(HOST, "two.example"))
    environ = {
        "TELEMOCK_LOOPBACK": f"127.0.0.2={HOST},127.0.0.3=two.example",
        "TELEMOCK_REHEARSE": f"{fault} {HOST} until 1h",
        "MITM_PORT": "",
    }
    running = namespace.inside(Sidecar, tmp_path / "one", rules, **environ)
    try:
        # By addresses of their own, and by one that all hosts share.
        for address, of_another in (("127.0.0.2", "127.0.0.3"), ("127.0.0.1", "127.0.0.1")):
            with pytest.raises(ERRORS[fault]):
                namespace.inside(get, running, address, HOST, 0.5 if fault == "dropped" else 30)
            assert namespace.inside(get, running, of_another, "two.example") == LINE
        wait_for(lambda: len([x for x in running.records() if x.host == HOST]) == 2)
        said = [x for x in running.records() if x.host == HOST]
        assert {(x.kind, x.reason, x.profile) for x in said} == {("refused", "rehearsal", "cribl")}
        assert all(x.detail.startswith(f"rehearsal: {fault}; ") for x in said)
        lines = namespace.inside(running.get, "/metrics")[1].decode().splitlines()
        counted = [x for x in lines if x.startswith("telemock_captures_total") and "refused" in x]
        assert [x.rpartition(" ")[2] for x in counted] == ["2.0"]
    finally:
        namespace.inside(running.stop)
        namespace.close()


PROVED = """
import contextlib, json, socket, subprocess, sys
from pathlib import Path
from app.contract.names import REDIRECT_PROOF
from tests.sidecar import bundle_of, rule, sidecar
from tests.unit.addon.target.test_first_bytes import hello
from tests.waiting import wait_for

HOSTS = "192.0.2.1=cdn.cribl.io,100::1=cdn.cribl.io"
told = {"TELEMOCK_TRANSPARENT": "127.0.0.1:17443,[::1]:17443", "MITM_PORT": "",
        "TELEMOCK_HOSTS": HOSTS, "TELEMOCK_REHEARSE": sys.argv[2] + " until 1h"}
with sidecar(Path(sys.argv[1]), bundle_of(rule("here", "/here")), **told) as running:
    subprocess.run([sys.executable, "-m", "addon.redirect", "--hosts", HOSTS],
                   check=True, capture_output=True)
    def sent():
        with socket.create_connection(("192.0.2.1", 443), 30) as plain:
            with contextlib.suppress(OSError):
                plain.sendall(hello("cdn.cribl.io"))
        return [x for x in running.records() if x.sent]
    found = wait_for(sent)
print(json.dumps([[x.detail, x.sent == len(REDIRECT_PROOF)] for x in found]))
"""


@pytest.mark.root
@pytest.mark.parametrize("fault", FAILURES)
def test_the_redirect_is_proved_under_a_rehearsal_and_leaves_no_record(
    tmp_path: Path, fault: str
) -> None:
    netns.require()
    for detail, of_the_proof in json.loads(netns.run(PROVED, str(tmp_path), fault)):
        assert detail.startswith(f"rehearsal: {fault}; ") and not of_the_proof
