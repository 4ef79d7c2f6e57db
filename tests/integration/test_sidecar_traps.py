"""What went wrong with mitmproxy in a pod once: loops, IPv6, clients without SNI, private CAs."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import netns
from tests.peers import Host, Reader
from tests.sidecar import HOST, LINE, ROOT, Sidecar, authority, bundle_of, rule, sidecar
from tests.waiting import wait_for

RULES = bundle_of(rule("index", "/telemetry/index.html"), rule("observe", "/observe", "observe"))
DUMMIES = f"192.0.2.1={HOST},100::1={HOST}"
GET = b"GET %s HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n"


def answer_to(connection: socket.socket, path: bytes) -> bytes:
    connection.sendall(GET % path)
    reader = Reader(connection)
    head = reader.until(b"\r\n\r\n")
    parts: list[bytes] = [head]
    reader.body(head, parts.append)
    return b"".join(parts)


def without_sni(sidecar: Sidecar, connection: socket.socket) -> ssl.SSLSocket:
    """TLS that names no host, and a certificate that must name it all the same."""
    context = ssl.create_default_context(cafile=str(sidecar.data / "ca" / "ca.pem"))
    context.check_hostname = False
    tls = context.wrap_socket(connection)
    names = [value for kind, value in tls.getpeercert()["subjectAltName"] if kind == "DNS"]
    assert names == [HOST]
    return tls


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    directory = tmp_path_factory.mktemp("traps")
    with sidecar(
        directory / "one",
        RULES,
        MITM_HOST="0.0.0.0",
        TELEMOCK_HOSTS=DUMMIES,
    ) as running:
        yield running


def test_client_over_ipv6_is_served(tmp_path: Path) -> None:
    with sidecar(tmp_path / "one", RULES, MITM_HOST="::1") as running:
        connection = socket.create_connection(("::1", running.proxy), timeout=10)
        connection.sendall(b"CONNECT cdn.cribl.io:443 HTTP/1.1\r\n\r\n")
        assert b" 200 " in connection.recv(4096)
        with running.trust().wrap_socket(connection, server_hostname=HOST) as tls:
            assert answer_to(tls, b"/telemetry/index.html").endswith(LINE)


def own_addresses() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return ["127.0.0.1", "127.9.9.9", "localhost"]
        return ["127.0.0.1", "127.9.9.9", "localhost", probe.getsockname()[0]]


@pytest.mark.parametrize("address", own_addresses())
def test_a_connection_to_the_proxy_itself_is_refused(lab: Sidecar, address: str) -> None:
    already = lab.recorded()
    with socket.create_connection(("127.0.0.1", lab.proxy), timeout=10) as connection:
        connection.sendall(
            b"GET http://%s:%d/x HTTP/1.1\r\nHost: %s:%d\r\nConnection: close\r\n\r\n"
            % (address.encode(), lab.proxy, address.encode(), lab.proxy)
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 502 ")
    record = wait_for(lambda: lab.records()[already:])[-1]
    assert (record.kind, record.reason) == ("refused", "loop")


def test_a_tunnel_to_the_proxy_itself_is_refused(lab: Sidecar) -> None:
    with lab.connect("127.0.0.1", lab.proxy, tls=False) as connection:
        connection.sendall(b"anything\r\n\r\n")
        assert connection.recv(4096) == b""
    with pytest.raises(ConnectionError, match="502"):
        lab.connect("localhost", lab.proxy, tls=False)
    record = lab.record(lambda x: x.request is None and x.host == "localhost")
    assert (record.kind, record.reason) == ("refused", "loop")


@pytest.mark.parametrize("address", [HOST, "192.0.2.1", "[100::1]"])
def test_client_without_sni_is_answered(lab: Sidecar, address: str) -> None:
    with without_sni(lab, lab.connect(address, tls=False)) as tls:
        assert answer_to(tls, b"/telemetry/index.html").endswith(LINE)
    record = lab.record_of("/telemetry/index.html")
    assert record.tls is not None and record.tls.sni == ""
    assert record.host == HOST


def test_a_dummy_address_is_never_connected_to(lab: Sidecar) -> None:
    with lab.connect("[100::77]", tls=False) as connection:
        connection.sendall(b"hello\r\n\r\n")
        assert connection.recv(4096) == b""
    record = lab.record(lambda x: x.host == "100::77")
    assert (record.kind, record.reason) == ("refused", "loop")


def test_a_real_host_with_a_certificate_nobody_vouches_for_is_not_used(tmp_path: Path) -> None:
    ca, context = authority(tmp_path)
    host = Host(context)
    resolve = f"{HOST}:443=127.0.0.1:{host.port}"
    with sidecar(tmp_path / "without", RULES, TELEMOCK_RESOLVE=resolve) as running:
        answer, _ = running.ask("/observe")
        assert answer.status == 502
        record = running.record_of("/observe")
        assert (record.kind, record.reason) == ("failed", "upstream_failed")
        assert "certificate" in record.detail.lower()
    with sidecar(
        tmp_path / "with", RULES, TELEMOCK_RESOLVE=resolve, TELEMOCK_UPSTREAM_CA=str(ca)
    ) as running:
        assert running.ask("/observe")[0].status == 200
    wrong, context = authority(tmp_path, "wrong.example")
    host.close()
    host = Host(context)
    with sidecar(
        tmp_path / "wrong",
        RULES,
        TELEMOCK_RESOLVE=f"{HOST}:443=127.0.0.1:{host.port}",
        TELEMOCK_UPSTREAM_CA=str(wrong),
    ) as running:
        assert running.ask("/observe")[0].status == 502
    host.close()


def test_a_port_in_use_ends_the_start(lab: Sidecar, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as e:
        Sidecar(tmp_path / "two", RULES, MITM_HOST="127.0.0.1", MITM_PORT=str(lab.proxy))
    assert "hint: stop the other process, or set MITM_PORT" in str(e.value)
    with pytest.raises(RuntimeError) as e:
        Sidecar(tmp_path / "three", RULES, TELEMOCK_HEALTH_PORT=str(lab.health_port))
    assert "TELEMOCK_HEALTH_PORT" in str(e.value)


@pytest.mark.root
@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("nft") or not shutil.which("ip"),
    reason="needs root, nft and ip",
)
def test_redirected_connections(tmp_path: Path) -> None:
    """Transparent mode: what goes to the dummy addresses arrives, and the real host is another."""
    ca, context = authority(tmp_path)
    try:
        namespace = netns.Namespace()
    except (OSError, subprocess.CalledProcessError) as e:
        pytest.skip(f"no network namespace here: {e}")
    host = namespace.inside(Host, context)
    listeners = "127.0.0.1:17443,[::1]:17443"
    running = namespace.inside(
        Sidecar,
        tmp_path / "one",
        RULES,
        MITM_PORT="",
        TELEMOCK_TRANSPARENT=listeners,
        TELEMOCK_HOSTS=DUMMIES,
        TELEMOCK_RESOLVE=f"{HOST}:443=127.0.0.1:{host.port},{HOST}:80=127.0.0.1:{host.port}",
        TELEMOCK_UPSTREAM_CA=str(ca),
    )
    try:
        assert running.where["proxy"] == listeners.split(",")
        redirect = [sys.executable, "-m", "addon.redirect", "--hosts", DUMMIES]
        done = namespace.inside(subprocess.run, redirect, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(done.stderr)
        namespace.inside(redirected, running, host)
    finally:
        running.stop()
        host.close()
        namespace.close()


def redirected(running: Sidecar, host: Host) -> None:
    for address in ("192.0.2.1", "100::1"):
        connection = socket.create_connection((address, 443), timeout=10)
        with running.trust().wrap_socket(connection, server_hostname=HOST) as tls:
            assert answer_to(tls, b"/telemetry/index.html").endswith(LINE)
            assert host.accepted == 0 or address == "100::1"
            assert b'"head": "GET /observe HTTP/1.1' in answer_to(tls, b"/observe")
        record = running.record(lambda x: bool(x.destination and x.destination.address == address))  # noqa: B023
        assert record.destination is not None and record.destination.port == 443
        connection = socket.create_connection((address, 443), timeout=10)
        with without_sni(running, connection) as tls:
            assert answer_to(tls, b"/telemetry/index.html").endswith(LINE)
            assert b" 200 " in answer_to(tls, b"/observe")
        with socket.create_connection((address, 80), timeout=10) as plain:
            assert answer_to(plain, b"/telemetry/index.html").endswith(LINE)
    # The listener itself, past the redirect: it has no destination, and must not call itself.
    with socket.create_connection(("127.0.0.1", 17443), timeout=10) as direct:
        direct.sendall(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
        assert direct.recv(4096) == b""
    # Whatever a client calls it, a dummy address is its host's. The sidecar's authority vouches for
    # no other name, so only a client that checks nothing goes on.
    connection = socket.create_connection(("192.0.2.1", 443), timeout=10)
    unchecked = running.trust()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    with unchecked.wrap_socket(connection, server_hostname="other.example") as tls:
        assert answer_to(tls, b"/telemetry/index.html").endswith(LINE)
    named = (HOST, "other.example")
    record = running.record(lambda x: x.tls is not None and (x.host, x.tls.sni) == named)
    assert record.rule == "index"
