"""The demo's "real hosts": a vendor's CDN and one other service, as local TLS servers with a CA
that no machine trusts. The demo runs `python -m app.demo.host DIRECTORY`.

Writes to DIRECTORY: its CA's certificate (real-ca.pem), a line for each request, without its query
(real-hosts.log), and when both listen their ports by host name (ports.json).
"""

import hashlib
import json
import ssl
import sys
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from app.cluster import pki
from app.contract import signing
from app.contract.files import write_whole
from app.contract.signing import Pair

CDN = "cdn.cribl.io"
OTHER = "data.example.test"
CA_NAME = "telemock demo: the real hosts' CA"
CA_FILE = "real-ca.pem"
LOG_FILE = "real-hosts.log"
PORTS_FILE = "ports.json"
DOWNLOAD = "/dl/4.16.2/cribl-4.16.2-linux-x64.tgz"
DOWNLOAD_SIZE = 4 * 1024 * 1024
_DAY = timedelta(days=1)


def download() -> bytes:
    """The body of DOWNLOAD: the same pseudo-random bytes each time."""
    return b"".join(hashlib.sha256(n.to_bytes(4)).digest() for n in range(DOWNLOAD_SIZE // 32))


class _HostHandler(BaseHTTPRequestHandler):
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
        """Logs nothing to stderr: a request line may hold a licence id."""


def serve(directory: Path) -> None:
    """Runs both servers until the process is killed."""
    now = signing.now()
    authority = signing.make(CA_NAME, None, now - _DAY, now + 7 * _DAY)
    (directory / CA_FILE).write_bytes(authority.certificate)
    (directory / LOG_FILE).write_bytes(b"")
    ports = {}
    answers = {CDN: {DOWNLOAD: download()}, OTHER: {"/ingest": b'{"accepted":3}\n'}}
    for host in (CDN, OTHER):
        attributes = {"host": host, "log": directory / LOG_FILE, "answers": answers[host]}
        handler = type("Handler", (_HostHandler,), attributes)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        # The handshake runs in the handler's thread: a client that never begins it blocks nobody.
        server.socket = _context(host, authority).wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        ports[host] = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
    write_whole(directory / PORTS_FILE, [json.dumps(ports).encode()])
    threading.Event().wait()


def _context(host: str, authority: Pair) -> ssl.SSLContext:
    leaf = pki.make_leaf(authority, [host])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    signing.load(context, leaf.key + leaf.certificate)
    return context


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
