"""The way to an OTLP endpoint: credentials, proxies and certificates."""

import base64
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from tests.collector import Collector, collector
from tests.exporting import sent


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def tunnel() -> Iterator[tuple[str, list[bytes]]]:
    """A proxy of one CONNECT: its address, and the heads that it was sent."""
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def carry(source: socket.socket, to: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(65536):
                    to.sendall(data)
                to.shutdown(socket.SHUT_WR)

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += client.recv(65536)
                heads.append(head)
                host, _, port = head.split(b" ")[1].decode().rpartition(":")
                with socket.create_connection((host, int(port))) as server:
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    back = threading.Thread(target=carry, args=(server, client), daemon=True)
                    back.start()
                    carry(client, server)
                    back.join(5)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", heads
        thread.join(5)


def basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def test_credentials_of_the_endpoint_are_sent_but_not_in_the_request_line() -> None:
    with collector() as server:
        url = server.url.replace("127.", "me:s%3A3cret@127.") + "/v1/traces"
        assert sent(url) == ""
    (request,) = server.requests
    assert request.path == "/v1/traces"
    assert request.headers["authorization"] == basic("me:s:3cret")
    assert request.headers["host"] == server.url.removeprefix("http://")


def test_headers_of_the_setting_win() -> None:
    with collector() as server:
        sent(server.url, OTEL_EXPORTER_OTLP_HEADERS="user-agent=mine,x-scope=1")
    assert server.requests[0].headers["user-agent"] == "mine"
    assert server.requests[0].headers["x-scope"] == "1"


@pytest.mark.parametrize("written", ["http://me:pw@{}", "http://me:pw@{}/"])
def test_a_proxy_is_asked_for_the_whole_url(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    with collector() as server:
        proxy = server.url.removeprefix("http://")
        monkeypatch.setenv("http_proxy", written.format(proxy))
        assert sent("http://you:s3cret@collector.invalid:4318/v1/traces?a=1") == ""
    (request,) = server.requests
    assert request.path == "http://collector.invalid:4318/v1/traces?a=1"
    assert request.headers["host"] == "collector.invalid:4318"
    assert request.headers["proxy-authorization"] == basic("me:pw")
    assert request.headers["authorization"] == basic("you:s3cret")


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [("*", True), ("127.0.0.1", True), ("10.0.0.0/8, 127.0.0.0/8", True), ("other", False)],
)
def test_what_no_proxy_names_is_asked_itself(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, direct: bool
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with collector() as server:
        assert (sent(server.url) == "") == direct


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:9", "http://127.0.0.1:port", "http://[::1", "me:pw@127.0.0.1:9"]
)
def test_a_proxy_that_cannot_be_used_is_trouble_and_not_passed_by(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with collector() as server:
        assert sent(server.url, 500) == "its proxy is not one that begins with http://"
    assert not server.requests


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, str]:
    made = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    made.cert_pem.write_to_path(str(path))
    return made, str(path)


@contextmanager
def over_tls(ca: trustme.CA, *, asks_back: bool = False) -> Iterator[Collector]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    if asks_back:
        context.verify_mode = ssl.CERT_REQUIRED
        ca.configure_trust(context)
    with collector(context) as server:
        yield server


def test_tls_goes_through_a_proxys_tunnel(
    ca: tuple[trustme.CA, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with over_tls(ca[0]) as server, tunnel() as (address, heads):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:pw@{address}")
        found = sent(
            server.url, OTEL_EXPORTER_OTLP_CERTIFICATE=ca[1], OTEL_EXPORTER_OTLP_HEADERS="x-key=1"
        )
    assert found == ""
    (head,) = heads
    assert head.startswith(b"CONNECT 127.0.0.1:")
    assert basic("me:pw").encode() in head and b"x-key" not in head
    assert "proxy-authorization" not in server.requests[0].headers


def test_a_certificate_of_our_own_is_shown_and_read_anew(
    ca: tuple[trustme.CA, str], tmp_path: Path
) -> None:
    own, key = tmp_path / "own.pem", tmp_path / "key.pem"

    def renew(of: trustme.CA) -> None:
        made = of.issue_cert("client.example")
        made.cert_chain_pems[0].write_to_path(str(own))
        made.private_key_pem.write_to_path(str(key))

    renew(trustme.CA())
    with over_tls(ca[0], asks_back=True) as server:
        url = f"{server.url}/v1/traces"
        given = {
            "OTEL_EXPORTER_OTLP_CERTIFICATE": ca[1],
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(own),
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(key),
        }
        assert sent(url, **given)
        renew(ca[0])
        assert sent(url, **given) == ""
        del given["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"]
        assert sent(url, **given)


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
        url = f"{server.url}/v1/traces"
        assert sent(url, OTEL_EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "ca.pem")) == ""
        assert "certificate verify failed" in sent(url, 500)


def test_the_systems_certificates_are_trusted_or_where_there_are_none_certifis(
    ca: tuple[trustme.CA, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = ssl.get_default_verify_paths()
    hashed = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", ca[1]], capture_output=True, text=True
    ).stdout.strip()
    (directory := tmp_path / "certs").mkdir()

    def found(cafile: str | None) -> str:
        system = paths._replace(cafile=cafile, capath=str(directory))
        monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: system)
        return sent(f"{server.url}/v1/traces", 500)

    with over_tls(ca[0]) as server:
        assert "certificate verify failed" in found(None)  # by certifi's
        assert found(ca[1]) == ""
        (directory / f"{hashed}.0").write_text(Path(ca[1]).read_text())
        assert found(None) == ""
