"""Every connection to a telemetry host leaves a record, also one that ends without a request; with
real clients, through every entrance. Why it ended: tests/unit/addon/arrive/test_direct.py,
test_endings.py.
"""

import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from addon.arrive.endings import FIN, RST
from app.contract.record import REASONS, CaptureRecord
from tests import netns
from tests.entrances import (
    ENTRANCES,
    Entrance,
    Lab,
    ask,
    direct,
    direct_http2,
    proxied,
)
from tests.sidecar import HOST
from tests.unit.addon.target.test_first_bytes import hello
from tests.waiting import wait_for

URL = f"https://{HOST}/telemetry/index.html"
HELLO = hello(HOST)
DISTRUST = {"client_refused_certificate", "closed_after_handshake", "closed_in_handshake"}
NODE = f"""
const s = require("tls").connect({{host: "127.0.0.2", port: 443, servername: "{HOST}"}});
s.on("error", () => {{}});
"""
FETCH = f'fetch("{URL}").catch(() => {{}})'

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    netns.require()
    lab = Lab(tmp_path_factory.mktemp("without"))
    yield lab
    lab.close()


def one(lab: Lab, before: int) -> CaptureRecord:
    """The only record since then."""

    def there() -> bool:
        return lab.recorded() > before

    wait_for(there)
    assert lab.recorded() == before + 1
    return lab.sidecar.records()[-1]


def run(lab: Lab, directory: Path, *command: str, stdin: str = "") -> None:
    """A client in the namespace, to whom /etc/hosts gives the telemetry host."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    given = directory / "hosts"
    given.write_text(f"127.0.0.2 {HOST}\n")
    script = f'mount --bind {given} /etc/hosts && exec "$@"'
    lab.namespace.inside(
        subprocess.run,
        ["unshare", "--mount", "sh", "-c", script, "-", *command],
        input=stdin.encode(),
        capture_output=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        ("curl", "-s", URL),
        ("curl", "-s", "--tlsv1.2", "--tls-max", "1.2", URL),
        ("wget", "-q", "-t1", "-O", "/dev/null", URL),
        ("aria2c", "-q", "-m1", "--no-conf", "--async-dns=false", "--dry-run=true", URL),
        ("gnutls-cli", "--port", "443", HOST),
        ("node", "-e", NODE),
        ("node", "-e", FETCH),
        ("openssl", "s_client", "-verify_return_error", "-connect", f"{HOST}:443",
         "-servername", HOST),
    ],
    ids=["curl", "curl-1.2", "wget", "aria2", "gnutls", "node-tls", "node-fetch", "openssl"],
)  # fmt: skip
def test_a_client_that_does_not_trust_the_certificate_is_told_of(
    lab: Lab, tmp_path: Path, command: tuple[str, ...]
) -> None:
    before = lab.recorded()
    run(lab, tmp_path, *command)
    record = one(lab, before)
    assert record.kind == "tls_rejected" and record.reason in DISTRUST, record
    assert record.tls is not None and record.tls.sni == HOST and record.profile == "cribl"
    assert record.sent > 100 and record.received > 100
    assert "certificate" in REASONS[record.reason]


def test_openssl_that_sends_nothing_is_recorded(lab: Lab, tmp_path: Path) -> None:
    before = lab.recorded()
    run(lab, tmp_path, "openssl", "s_client", "-connect", f"{HOST}:443", "-servername", HOST)
    record = one(lab, before)
    assert record.request is None and record.tls is not None and record.tls.sni == HOST


# Through every entrance.


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["fin", "rst"])
@pytest.mark.parametrize("entrance", [e for e in ENTRANCES if e is not proxied])
def test_nothing_sent_is_recorded(
    lab: Lab, entrance: Entrance, leave: Callable[[socket.socket], object]
) -> None:
    before = lab.recorded()
    leave(entrance(lab))
    record = one(lab, before)
    assert record.reason in {"no_request", "closed_after_handshake"}
    assert record.request is None and record.host == HOST and record.profile == "cribl"
    if leave is reset:
        assert record.detail.startswith(RST)
    elif record.tls is None or not record.tls.version:  # else what was not read resets it, too
        assert record.detail == FIN


@pytest.mark.parametrize("entrance", [e for e in ENTRANCES if e is not proxied])
def test_half_a_head_is_recorded(lab: Lab, entrance: Entrance) -> None:
    before = lab.recorded()
    client = entrance(lab)
    client.sendall(
        b"PRI * HTTP/2.0\r\n" if "http2" in entrance.__name__ else b"GET / HTTP/1.1\r\nH"
    )
    client.close()
    record = one(lab, before)
    assert record.reason in {"no_request", "closed_after_handshake"} and record.host == HOST


@pytest.mark.parametrize(
    "parts",
    [
        (b"CONNECT cdn.cribl.io:443 HTTP/1.1\r\nHo",),
        (b"GET http://cdn.cribl.io/telem",),
        (b"GET http://cdn", b".cribl.io/telemetry/index.html HTTP/1.1\r\n"),
        (b"\r\nPOST http://elsewhere.test/ HTTP/1.1\r\nHost: a\r\nHost: cdn.cribl.io\r\n",),
    ],
    ids=["connect", "line", "in two", "second host"],
)  # fmt: skip
def test_half_a_head_to_the_proxy_is_recorded(lab: Lab, parts: tuple[bytes, ...]) -> None:
    before = lab.recorded()
    client = proxied(lab)
    for part in parts:
        client.sendall(part)
        time.sleep(0.1)
    client.close()
    record = one(lab, before)
    assert (record.reason, record.host) == ("no_request", HOST)


def test_half_a_head_for_another_host_leaves_no_record(lab: Lab) -> None:
    before = lab.recorded()
    for head in (b"CONNECT elsewhere.test:443 HTTP/1.1\r\nHo", b"GET http://cdn.cribl.i"):
        with proxied(lab) as client:
            client.sendall(head)
    assert ask(lab, direct, "/telemetry/index.html", 1, False)
    assert one(lab, before).request is not None


@pytest.mark.parametrize("through", ["direct", "tunnel"])
@pytest.mark.parametrize("data", [b"", HELLO[:60], HELLO], ids=["0", "half", "hello"])
def test_less_than_a_handshake_is_recorded(lab: Lab, through: str, data: bytes) -> None:
    before = lab.recorded()
    client = lab.plain("127.0.0.2", 443) if through == "direct" else lab.tunnel(443)
    client.sendall(data)
    if data == HELLO:
        client.recv(65536)
    client.close()
    record = one(lab, before)
    wanted = "closed_in_handshake" if data == HELLO else "no_request"
    assert (record.reason, record.host, record.sent) == (wanted, HOST, len(data)), record.detail


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_a_connection_that_had_a_request_leaves_no_more(lab: Lab, entrance: Entrance) -> None:
    before = lab.recorded()
    assert len(ask(lab, entrance, "/telemetry/index.html", 1, False)) == 1
    assert ask(lab, direct, "/telemetry/index.html", 1, False)
    assert ask(lab, direct_http2, "/telemetry/index.html", 1, False)
    assert lab.recorded() == before + 3
