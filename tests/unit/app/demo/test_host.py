"""app/demo/host.py: two TLS servers that a client of their CA accepts, and no trace of a query."""

import http.client
import json
import socket
import ssl
import subprocess
import sys

import pytest

from app.demo import host
from tests.waiting import wait_for


@pytest.fixture
def real_hosts(tmp_path):
    child = subprocess.Popen([sys.executable, "-m", "app.demo.host", str(tmp_path)])
    try:
        wait_for(lambda: (tmp_path / host.PORTS_FILE).exists() or child.poll() is not None, 20)
        yield json.loads((tmp_path / host.PORTS_FILE).read_bytes())
    finally:
        child.terminate()
        child.wait(10)


def ask(directory, name, port, method, target, body=None):
    context = ssl.create_default_context(cafile=directory / host.CA_FILE)
    raw = socket.create_connection(("127.0.0.1", port), 10)
    connection = http.client.HTTPSConnection(name)
    connection.sock = context.wrap_socket(raw, server_hostname=name)
    try:
        connection.request(method, target, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_download_and_the_other_host_answer_and_queries_are_not_kept(real_hosts, tmp_path):
    cdn, other = real_hosts[host.CDN], real_hosts[host.OTHER]
    assert ask(tmp_path, host.CDN, cdn, "GET", host.DOWNLOAD) == (200, host.download())
    assert ask(tmp_path, host.OTHER, other, "POST", "/ingest", "[]")[0] == 200
    assert ask(tmp_path, host.CDN, cdn, "GET", "/telemetry/?lic=secret")[0] == 404
    assert (tmp_path / host.LOG_FILE).read_text().splitlines() == [
        f"GET {host.CDN}{host.DOWNLOAD}",
        f"POST {host.OTHER}/ingest",
        f"GET {host.CDN}/telemetry/",
    ]


def test_nobody_else_trusts_it(real_hosts, tmp_path):
    with (
        socket.create_connection(("127.0.0.1", real_hosts[host.CDN]), 10) as raw,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(raw, server_hostname=host.CDN)
