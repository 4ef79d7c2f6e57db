"""app/demo/node.py and node.js: the stand-in node does its calls through a proxy's tunnel, and
reports what came back, the certificate's issuer too."""

import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

DEMO = Path(__file__).parents[4] / "app" / "demo"
BODY = b"x" * 70_000


class Origin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        got = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(201 if got == b"[1]" else 400)
        self.send_header("content-length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def do_GET(self):
        self.send_response(302)
        self.send_header("location", "/there")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format, *args):
        pass


@pytest.fixture
def proxy(tmp_path):
    """A CONNECT proxy that leads every tunnel to one TLS origin; gives its URL and the targets."""
    ca = trustme.CA(organization_name="t", organization_unit_name="t")
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("a.example.test", common_name="a.example.test").configure_cert(context)
    origin = ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    origin.socket = context.wrap_socket(origin.socket, server_side=True)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    targets = []
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            targets.append(head.split()[1].decode())
            upstream = socket.create_connection(origin.server_address)
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            kept.extend((client, upstream))
            for pair in ((client, upstream), (upstream, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    kept = []
    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", targets
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for one in kept:
        one.close()
    origin.shutdown()
    origin.server_close()


@pytest.mark.parametrize("program", ["node.js", "node.py"])
def test_it_reports_what_came_back(program, proxy, tmp_path):
    runtime = sys.executable if program == "node.py" else shutil.which("node")
    if runtime is None:
        pytest.skip("Node.js is not installed")
    url, targets = proxy
    calls = [
        {"method": "POST", "url": "https://a.example.test/x?y=1", "headers": {}, "body": "[1]"},
        {"method": "GET", "url": "https://a.example.test/z", "headers": {}, "body": ""},
        {"method": "GET", "url": "https://wrong.example.test/", "headers": {}, "body": ""},
    ]
    (tmp_path / "calls.json").write_text(json.dumps(calls))
    done = subprocess.run(
        [runtime, str(DEMO / program), str(tmp_path / "calls.json")],
        env={
            **os.environ,
            "HTTPS_PROXY": url,
            "NODE_EXTRA_CA_CERTS": str(tmp_path / "ca.pem"),
            "SSL_CERT_FILE": str(tmp_path / "ca.pem"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert (first["status"], first["size"]) == (201, len(BODY))
    assert first["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert first["start"] == "x" * 200
    assert (second["status"], second["location"], second["size"]) == (302, "/there", 0)
    assert "error" in third  # the certificate is not for this name
    assert set(targets) == {"a.example.test:443", "wrong.example.test:443"}
