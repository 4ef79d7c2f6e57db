"""The demo's "real hosts": a vendor's CDN and some other service, as local TLS servers of a CA that
no machine trusts. Run by the demo as `python -m app.demo.host DIRECTORY`.

Writes to DIRECTORY: its CA's certificate (real-ca.pem), a line for each request, without its query
(real-hosts.log), and when both listen their ports by host name (ports.json).
"""

import hashlib
import json
import ssl
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CDN = "cdn.cribl.io"
OTHER = "data.example.test"
CA_NAME = "telemock demo: the real hosts' CA"
CA_FILE = "real-ca.pem"
LOG_FILE = "real-hosts.log"
PORTS_FILE = "ports.json"
DOWNLOAD = "/dl/4.16.2/cribl-4.16.2-linux-x64.tgz"
DOWNLOAD_SIZE = 4 * 1024 * 1024


def download() -> bytes:
    """The file behind DOWNLOAD: the same pseudo-random bytes each time."""
    return b"".join(hashlib.sha256(n.to_bytes(4)).digest() for n in range(DOWNLOAD_SIZE // 32))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    host: ClassVar[str]
    log: ClassVar[Path]
    answers: ClassVar[dict[str, bytes]]
    lock: ClassVar[threading.Lock] = threading.Lock()

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.partition("?")[0]
        with self.lock, self.log.open("a") as file:
            file.write(f"{self.command} {self.host}{path}\n")
        body = self.answers.get(path)
        self.send_response(200 if body is not None else 404)
        self.send_header("content-type", "application/octet-stream")
        self.send_header("content-length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    do_GET = do_POST = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr: a request line may hold a licence id."""


def serve(directory: Path) -> None:
    """Both servers, until the process is ended."""
    ca, key = _authority()
    (directory / CA_FILE).write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (directory / LOG_FILE).write_bytes(b"")
    ports = {}
    answers = {CDN: {DOWNLOAD: download()}, OTHER: {"/ingest": b'{"accepted":3}\n'}}
    for host in (CDN, OTHER):
        attributes = {"host": host, "log": directory / LOG_FILE, "answers": answers[host]}
        handler = type("Handler", (_Handler,), attributes)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        # The handshake is the handler's thread's work: a client that never begins it holds up none.
        server.socket = _context(host, ca, key).wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        ports[host] = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
    part = directory / f"{PORTS_FILE}.part"
    part.write_text(json.dumps(ports))
    part.rename(directory / PORTS_FILE)  # whole, or not there
    threading.Event().wait()


def _authority() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, CA_NAME)])
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    built = (
        _certificate(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return built.sign(key, hashes.SHA256()), key


def _context(host: str, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    built = (
        _certificate(name, ca.subject, key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer, critical=False)
    )
    leaf = built.sign(ca_key, hashes.SHA256())
    with tempfile.NamedTemporaryFile() as file:  # ssl reads certificates from files only
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + leaf.public_bytes(serialization.Encoding.PEM)
        )
        file.flush()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file.name)
    return context


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=7))
    )


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
