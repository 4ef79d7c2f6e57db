"""Real clients and an authority that may sign for the profile's hosts only: each accepts what is
shown for those, and refuses what the key would sign for any other."""

import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from addon.tls import ca
from addon.tls.constraints import constraints
from app.contract import rules as r
from tests.serving import serving
from tests.sidecar import HOST, Sidecar
from tests.waiting import wait_for

OTHER = "www.example.com"
PROFILE = """
id: acme
title: Acme
licence: {{class: none, note: made up}}
evidence: [{{claim: none, source: made up, verified: 2026-11-29}}]
hosts: [{}]
rules: [{{id: all, action: mock, answer: {{body: here}}}}]
"""
JAVA = """
import java.io.*; import java.net.*; import java.security.*; import javax.net.ssl.*;
public class Client { public static void main(String[] given) throws Exception {
  HttpsURLConnection asked = (HttpsURLConnection) new URL(given[0]).openConnection();
  System.out.print(new String(asked.getInputStream().readAllBytes()));
} }
"""
GO = """
package main
import ("crypto/tls"; "crypto/x509"; "fmt"; "io"; "net/http"; "net/url"; "os")
func main() {
  pem, _ := os.ReadFile(os.Args[2]); pool := x509.NewCertPool(); pool.AppendCertsFromPEM(pem)
  proxy, _ := url.Parse(os.Args[3])
  client := http.Client{Transport: &http.Transport{
    Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: pool}}}
  answer, err := client.Get(os.Args[1])
  if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }
  body, _ := io.ReadAll(answer.Body); fmt.Print(string(body))
}
"""
NODE = """
const http = require("http"), tls = require("tls"), fs = require("fs");
const [url, file, proxy] = process.argv.slice(2), host = new URL(url).hostname;
const asked = http.request({host: "127.0.0.1", port: new URL(proxy).port, method: "CONNECT",
                            path: host + ":443", agent: false});
asked.on("connect", (_, socket) => {
  const secure = tls.connect({socket, servername: host, ca: fs.readFileSync(file)}, () => {
    secure.write(`GET ${new URL(url).pathname} HTTP/1.1\\r\\nhost: ${host}\\r\\n` +
                 "connection: close\\r\\n\\r\\n"); });
  secure.on("data", data => process.stdout.write(data));
  secure.on("error", error => { console.error(error.message); process.exit(1); });
});
asked.end();
"""
PYTHON = """
import sys, urllib.request, ssl
url, file, proxy = sys.argv[1:]
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({"https": proxy}),
    urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=file)))
print(opener.open(url, timeout=20).read().decode())
"""
CLIENTS = ["curl", "python", "node", "java", "go", "wget"]


def command(client: str, url: str, trust: Path, proxy: str, folder: Path) -> list[str]:
    """Asks for the URL through the proxy, trusting that file alone."""
    if client == "curl":
        return ["curl", "-sS", "--max-time", "20", "--cacert", str(trust), "-x", proxy, url]
    if client == "wget":  # GnuTLS, where Debian built it
        secure = [f"--ca-certificate={trust}", "-e", f"https_proxy={proxy}", "-e", "use_proxy=on"]
        return ["wget", "-qO-", "--tries=1", "--timeout=20", *secure, url]
    if client == "java":
        (folder / "Client.java").write_text(JAVA)
        store = folder / f"{trust.stem}.p12"
        made = ["keytool", "-importcert", "-noprompt", "-alias", "a", "-file", str(trust)]
        if not store.exists():
            subprocess.run(
                [*made, "-keystore", str(store), "-storepass", "changeit"], check=True,
                capture_output=True, timeout=120,
            )  # fmt: skip
        port = proxy.rpartition(":")[2]
        given = {
            "javax.net.ssl.trustStore": str(store), "javax.net.ssl.trustStorePassword": "changeit",
            "https.proxyHost": "127.0.0.1", "https.proxyPort": port,
        }  # fmt: skip
        options = [f"-D{name}={value}" for name, value in given.items()]
        return ["java", *options, str(folder / "Client.java"), url]
    if client == "go":
        (folder / "client.go").write_text(GO)
        binary = folder / "client-go"
        if not binary.exists():
            subprocess.run(
                [_go(), "build", "-o", str(binary), str(folder / "client.go")], check=True,
                env=os.environ | {"GO111MODULE": "off", "GOTOOLCHAIN": "local"},
                capture_output=True, timeout=300,
            )  # fmt: skip
        return [str(binary), url, str(trust), proxy]
    source = folder / f"client.{client}.cjs"
    source.write_text({"node": NODE, "python": PYTHON}[client])
    return [{"node": "node", "python": "python3"}[client], str(source), url, str(trust), proxy]


def _go() -> str:
    return shutil.which("go") or "/usr/local/go/bin/go"


def needs(client: str) -> None:
    programs = {"python": "python3", "go": _go(), "java": "keytool"}
    if shutil.which(programs.get(client, client)) is None:
        pytest.skip(f"no {client} here")


def run(line: list[str]) -> subprocess.CompletedProcess[str]:
    clean = {n: v for n, v in os.environ.items() if "proxy" not in n.lower()}
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False, env=clean)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="module")
def sidecar(folder: Path) -> Iterator[Sidecar]:
    answer = r.Answer(body=b"here\n")
    rule = r.Rule(id="all", action="mock", answer=answer, answer_at="sidecar")
    profile = r.Profile(id="acme", title="Acme", hosts=(r.Host(HOST),), rules=(rule,))
    started = Sidecar(folder / "sidecar", r.Bundle(r.RuleSet((profile,))))
    yield started
    started.process.terminate()
    started.process.wait(20)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_takes_the_host_and_no_other(client: str, sidecar: Sidecar, folder: Path) -> None:
    needs(client)
    trust, proxy = sidecar.data / "ca/ca.pem", f"http://127.0.0.1:{sidecar.proxy}"
    answered = run(command(client, f"https://{HOST}/telemetry", trust, proxy, folder))
    assert answered.returncode == 0 and "here" in answered.stdout, answered.stderr
    if client == "java":  # takes no notice of the constraints of what it trusts directly
        return
    with forger(sidecar.data / "ca", OTHER) as forged:
        refused = run(command(client, f"https://{OTHER}/", trust, forged, folder))
    assert refused.returncode != 0 and "here" not in refused.stdout, refused.stdout


@contextmanager
def forger(directory: Path, host: str) -> Iterator[str]:
    """The URL of a proxy of somebody who has the authority's key, and says to be that host."""
    pem = (directory / ca.FILE_CA_KEY).read_bytes()
    authority = x509.load_pem_x509_certificate(pem)
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = directory / "forged.pem"
    file.write_bytes(pem[: pem.index(b"-----BEGIN CERT")] + leaf.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = listener.accept()
                with suppress(OSError), client:
                    client.settimeout(20)
                    while b"\r\n\r\n" not in client.recv(65536):
                        pass
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    with context.wrap_socket(client, server_side=True) as secure:
                        secure.recv(65536)
                        secure.sendall(b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhere\n")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(20)


def test_openssl_and_gnutls_agree_about_the_chain(sidecar: Sidecar, folder: Path) -> None:
    with sidecar.connect() as shown:
        der = shown.getpeercert(binary_form=True)  # type: ignore[attr-defined]
    leaf = folder / "leaf.pem"
    leaf.write_text(ssl.DER_cert_to_PEM_cert(der))
    trust = str(sidecar.data / "ca/ca.pem")
    for line in (
        [
            "openssl",
            "verify",
            "-x509_strict",
            "-CAfile",
            trust,
            "-verify_hostname",
            HOST,
            str(leaf),
        ],
        ["certtool", "--verify", "--load-ca-certificate", trust, "--infile", str(leaf)],
    ):
        if shutil.which(line[0]):
            done = run(line)
            assert done.returncode == 0, done.stdout + done.stderr


def test_hosts_that_the_app_names_are_covered_and_later_ones_are_told(tmp_path: Path) -> None:
    """`telemock run` and others whose profiles the sidecar learns from the app."""
    file = tmp_path / "acme.yaml"
    profile = PROFILE.format("a.acme.test")
    file.write_text(profile)
    with serving(tmp_path, TELEMOCK_PROFILES=str(file)) as served:
        environ = {
            "TELEMOCK_APP_URL": served.url,
            "TELEMOCK_TOKEN_FILE": str(tmp_path / "data/token"),
        }
        bundle = r.Bundle(r.RuleSet())
        first = Sidecar(tmp_path / "sidecar", bundle, **environ)
        try:
            authority = ca.held(first.data / "ca")
            assert authority.permits is not None and authority.permits.hosts == {"a.acme.test"}
            assert first.ask("/x", host="a.acme.test")[0].status == 200
            assert first.health()["authority"]["not_covered"] == []
            file.write_text(PROFILE.format("a.acme.test, b.acme.test"))
            wait_for(lambda: first.health()["authority"]["not_covered"] == ["b.acme.test"], 30)
            wait_for(lambda: "may not sign for b.acme.test" in first.log.read_text())
            with pytest.raises(ssl.SSLCertVerificationError):
                first.ask("/x", host="b.acme.test")
            wait_for(
                lambda: any(
                    (one.kind, one.reason) == ("tls_rejected", "certificate_not_covering")
                    for one in first.records()
                )
            )
        finally:
            first.process.terminate()
            first.process.wait(20)
        before = (first.data / "ca/ca.pem").read_bytes()
        second = Sidecar(tmp_path / "sidecar", bundle, **environ)
        try:
            assert (second.data / "ca/ca.pem").read_bytes() != before
            assert second.ask("/x", host="b.acme.test")[0].status == 200
        finally:
            second.process.terminate()
            second.process.wait(20)


def test_an_authority_near_its_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ca, "LIFETIME", timedelta(days=20))
    made = ca.ensure(tmp_path / "data/ca", None, constraints([HOST])).read_bytes()
    sidecar = Sidecar(tmp_path, r.Bundle(r.RuleSet()))
    try:
        until = datetime.fromisoformat(sidecar.health()["authority"]["until"])
        assert timedelta(days=19) < until - datetime.now(UTC) < timedelta(days=20)
        assert f"ends on {until:%Y-%m-%d}; hint: restart the pod" in sidecar.log.read_text()
        assert (sidecar.data / "ca/ca.pem").read_bytes() == made  # clients trust it as long
    finally:
        sidecar.process.terminate()
        sidecar.process.wait(20)


def test_in_a_pod_the_hosts_whose_addresses_lead_here_are_all(tmp_path: Path) -> None:
    answer = r.Rule(id="all", action="mock", answer=r.Answer(), answer_at="sidecar")
    hosts = (r.Host(HOST), r.Host("elsewhere.test"))
    profile = r.Profile(id="acme", title="Acme", hosts=hosts, rules=(answer,))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    sidecar = Sidecar(
        tmp_path, r.Bundle(r.RuleSet((profile,))), MITM_PORT="",
        TELEMOCK_TRANSPARENT=f"127.0.0.1:{port}",
        TELEMOCK_HOSTS=f"192.0.2.1={HOST},10.9.8.7={HOST}",
    )  # fmt: skip
    try:
        permits = ca.held(sidecar.data / "ca").permits
        assert permits is not None and permits.hosts == {HOST} and permits.permits("10.9.8.7")
        assert sidecar.health()["authority"]["not_covered"] == []
    finally:
        sidecar.process.terminate()
        sidecar.process.wait(20)
