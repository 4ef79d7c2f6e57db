"""Bad input, to the real app directly and through the real sidecar: every request is answered and
recorded once, memory stays flat, and a start that cannot work ends with a sentence."""

import gzip
import os
import random
import socket
import ssl
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from app.contract import names
from app.contract.record import HEADER_CAP
from app.run import processes
from tests.waiting import wait_for

HOST = "cdn.cribl.io"


def bomb(size: int) -> bytes:
    """gzip of `size` zeros, a thousandth of that."""
    packer = zlib.compressobj(9, wbits=31)
    piece = bytes(1 << 20)
    return b"".join(packer.compress(piece) for _ in range(size >> 20)) + packer.flush()


def request(method: bytes, target: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    head = [method + b" " + target + b" HTTP/1.1", b"Host: cdn.cribl.io", b"Connection: close"]
    if body:
        head += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*head, *headers]) + b"\r\n\r\n" + body


def post(body: bytes, *headers: bytes) -> bytes:
    return request(b"POST", b"/telemetry/events?case=CASE", *headers, body=body)


def get(query: bytes, *headers: bytes) -> bytes:
    return request(b"GET", b"/telemetry/index.html?case=CASE" + query, *headers)


GZIP = b"Content-Encoding: gzip"
REQUESTS = {
    "none": get(b""),
    "gzip that is none": post(b'{"a":1}', GZIP),
    "gzip that is cut": post(gzip.compress(random.Random(1).randbytes(99999))[:5000], GZIP),
    "zip bomb": post(bomb(512 << 20), GZIP),
    "broken JSON": post(b'{"a": [1, 2'),
    "deep JSON": post(b"[" * 100_000),
    "no UTF-8 in the URL": get(b"&x=\xff\xfe%ff%fe&\xc3\x28=1"),
    "no UTF-8, encoded": get(b"&x=%ff%fe&%c3%28=1"),
    "no UTF-8 in a header": get(b"", b"X-Odd: \xff\xfe\x80"),
    "200 headers": get(b"", *(b"X-H%d: %d" % (n, n) for n in range(200))),
    "1000 parameters": get(b"".join(b"&p%d=1" % n for n in range(1000))),
}


class Site:
    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.app = processes.start_app(self.data, folder / "logs")
        self.sidecar = processes.start_sidecar(self.data, folder / "logs", self.app.url)
        self.client = httpx.Client(
            base_url=self.app.url, trust_env=False,
            headers={"authorization": f"Bearer {self.app.token}"},
        )  # fmt: skip

    def captures(self) -> list[dict]:
        found = self.client.get("/api/v1/captures", params={"limit": 1000, "kind": "exchange"})
        return [one for one in found.json()["items"] if "request" in one]

    def ask(self, raw: bytes, through: str) -> bytes:
        """The whole answer."""
        at = urlsplit(self.app.url if through == "app" else self.sidecar.proxy)
        with socket.create_connection((at.hostname, at.port), 30) as connection:
            if through == "app":
                return exchange(connection, raw)
            connection.sendall(b"CONNECT cdn.cribl.io:443 HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n")
            assert b" 200 " in connection.recv(4096)
            context = ssl.create_default_context(
                cafile=self.data / names.DIR_CA / names.FILE_CA_CERT
            )
            with context.wrap_socket(connection, server_hostname=HOST) as inner:
                return exchange(inner, raw)

    def memory(self) -> int:
        """Resident bytes of both processes."""
        pids = (self.app.child.pid, self.sidecar.child.pid)
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        self.client.close()
        self.sidecar.child.stop()
        self.app.stop()


def exchange(connection: socket.socket, raw: bytes) -> bytes:
    connection.sendall(raw)
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    one = Site(tmp_path_factory.mktemp("site"))
    try:
        yield one
    finally:
        one.stop()


@pytest.mark.parametrize("through", ["app", "sidecar"])
@pytest.mark.parametrize("name", REQUESTS)
def test_it_is_answered_and_recorded_once(site, name, through):
    case = f"{through}-{list(REQUESTS).index(name)}"
    memory = site.memory()
    answer = site.ask(REQUESTS[name].replace(b"CASE", case.encode()), through)
    if (name, through) == ("no UTF-8 in the URL", "app"):
        # The server takes no such request; a client that sends one is told.
        assert answer.startswith(b"HTTP/1.1 400 ")
        return
    assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]

    def seen() -> list[dict]:
        return [one for one in site.captures() if ["case", case] in one["request"]["query"]]

    wait_for(lambda: bool(seen()))
    (only,) = seen()
    assert name == "none" or site.memory() - memory < 100 << 20  # the first one loads what it needs
    assert len(only["request"]["headers"]) <= HEADER_CAP
    if name == "200 headers":
        assert only["request"]["left_out"] >= 100


def test_a_record_of_another_schema_is_refused_and_the_others_are_kept(site):
    boot = "ab" * 16
    good = b'{"schema":1,"boot":"%s","seq":%d,"kind":"exchange","time_ns":1}'
    lines = [
        good % (boot.encode(), 1),
        b'{"schema":1,"boot":7}',
        b"\xff\xfe",
        good % (boot.encode(), 2),
    ]
    answer = site.client.post("/api/v1/captures", content=b"\n".join(lines))
    assert answer.status_code == 200
    assert answer.json()["stored"] == 2
    assert [one["line"] for one in answer.json()["refused"]] == [2, 3]


def start(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, **environ}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "setting"),
    [
        (("app.cli", "serve"), "PORT"),
        (("addon",), "MITM_PORT"),
        (("addon",), "TELEMOCK_HEALTH_PORT"),
    ],
)
def test_a_port_in_use_is_named_with_its_setting(tmp_path, command, setting):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {"PORT": "0", "MITM_PORT": "0", "TELEMOCK_HEALTH_PORT": "0"}
        ports[setting] = str(taken.getsockname()[1])
        done = start(
            *command, TELEMOCK_DATA=str(tmp_path), TELEMOCK_LOGS=str(tmp_path / "logs"), **ports
        )
    assert done.returncode in (1, 2)
    assert ports[setting] in done.stderr
    assert setting in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x00\xff\xfe\x80", "bad.yaml"),
        (b"id: [", "bad.yaml"),
        (b"id: bad\nhosts: [a.test]\nrules: [{id: a, action: mok}]\n", "rules[0].action"),
        (None, "bad.yaml"),
    ],
    ids=["binary", "no YAML", "unknown action", "not there"],
)
def test_rules_that_cannot_be_used_stop_the_start(tmp_path, content, said):
    file = tmp_path / "bad.yaml"
    if content is not None:
        file.write_bytes(content)
    done = start(
        "app.cli", "serve", PORT="0", TELEMOCK_PROFILES=str(file),
        TELEMOCK_DATA=str(tmp_path / "data"), TELEMOCK_LOGS=str(tmp_path / "logs"),
    )  # fmt: skip
    assert done.returncode == 1
    assert said in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
