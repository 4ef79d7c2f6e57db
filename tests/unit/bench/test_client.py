"""What load generators say, and what ours does."""

import itertools
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from tests import netns
from tests.bench.client import Load, of_ours, of_wrk
from tests.bench.lab import BenchError

ROOT = Path(__file__).parents[3]

WRK = """Running 1s test @ https://cdn.cribl.io/telemetry/
  1 threads and 1 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.29ms    4.41ms  44.20ms   96.96%
    Req/Sec     2.29k   432.92     2.79k    80.00%
  Latency Distribution
     50%  346.00us
     75%  417.00us
     90%    1.17ms
     99%   24.07ms
  2283 requests in 1.10s, 378.98KB read
Requests/sec:   2073.43
Transfer/sec:    344.19KB
"""


def test_wrk_is_read() -> None:
    assert of_wrk(WRK) == Load(2283, 1.1, 0.346, WRK)
    assert round(of_wrk(WRK).rate) == 2075
    slow = WRK.replace("346.00us", "1.20s").replace("in 1.10s", "in 1.50m")
    assert of_wrk(slow)[:3] == pytest.approx((2283, 90, 1200))


@pytest.mark.parametrize(
    "said",
    [
        "unable to connect to cdn.cribl.io:https Connection refused",
        WRK.replace("2283 requests", "0 requests"),
        WRK + "  Non-2xx or 3xx responses: 2283\n",
    ],
)
def test_what_was_not_answered_is_no_measurement(said: str) -> None:
    with pytest.raises(BenchError, match="not answered"):
        of_wrk(said)


_numbers = itertools.count()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 4096  # one segment an answer, which no delayed acknowledgement holds up
    seen: list[tuple[int, str]]  # number of the connection, target

    def setup(self) -> None:
        self.number = next(_numbers)  # a client's port may come again
        super().setup()

    def do_GET(self) -> None:
        self.seen.append((self.number, self.path))
        self.send_response(200 if self.path.startswith("/good") else 503)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"12345")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(params=["http", "https"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    seen: list[tuple[int, str]] = []

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # the generator leaves when its time is over

    httpd = Server(("127.0.0.1", 0), type("Seeing", (Handler,), {"seen": seen}))
    if request.param == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("localhost").configure_cert(context)
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
    thread.start()
    yield f"{request.param}://127.0.0.1:{httpd.server_address[1]}", seen
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def generate(url: str, *options: str) -> str:
    command = [sys.executable, "-m", "tests.bench.load", url, "--seconds", "0.4", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_our_generator_keeps_its_connections(server: tuple[str, list[tuple[int, str]]]) -> None:
    url, seen = server
    load = of_ours(generate(f"{url}/good?a=1", "--connections", "2"))
    assert len({number for number, _ in seen}) == 2
    assert {target for _, target in seen} == {"/good?a=1"}
    assert 0 <= len(seen) - load.operations <= 2 and load.operations > 2
    assert load.p50_ms > 0 and 0.3 < load.seconds < 9


def test_our_generator_makes_new_connections(server: tuple[str, list[tuple[int, str]]]) -> None:
    url, seen = server
    load = of_ours(generate(f"{url}/good", "--connections", "2", "--close"))
    assert len({number for number, _ in seen}) == len(seen)
    assert 0 <= len(seen) - load.operations <= 2 and load.operations > 1


def test_refusals_are_no_answers(server: tuple[str, list[tuple[int, str]]]) -> None:
    said = generate(f"{server[0]}/bad", "--connections", "1")
    assert json.loads(said)["requests"] == 0
    with pytest.raises(BenchError, match="not answered"):
        of_ours(said)


@pytest.mark.root
def test_our_web_server_answers_plain_and_in_tls(tmp_path: Path) -> None:
    """On ports that a network namespace of its own has free."""
    netns.require()
    said = netns.run(WEB, str(tmp_path))
    plain, encrypted, new = map(json.loads, said.splitlines())
    assert plain["requests"] > 2 and encrypted["requests"] > 2 and new["requests"] > 2
    assert plain["errors"] == encrypted["errors"] == new["errors"] == 0


WEB = """
import socket, subprocess, sys
from pathlib import Path
import trustme
from tests.waiting import wait_for
where = Path(sys.argv[1])
leaf = trustme.CA().issue_cert("127.0.0.1")
leaf.private_key_pem.write_to_path(str(where / "key"))
leaf.cert_chain_pems[0].write_to_path(str(where / "certificate"))
def python(name, *words):
    return [sys.executable, "-m", f"tests.bench.{name}", *map(str, words)]
server = subprocess.Popen(python("web", "127.0.0.1", where / "certificate", where / "key"))
try:
    wait_for(lambda: not socket.socket().connect_ex(("127.0.0.1", 443)), 20)
    for url in ("http://127.0.0.1/", "https://127.0.0.1/"):
        subprocess.run(python("load", url, "--seconds", "0.4"), check=True)
    subprocess.run(python("load", "https://127.0.0.1/", "--close", "--seconds", "0.4"), check=True)
finally:
    server.kill()
    server.wait()
"""
