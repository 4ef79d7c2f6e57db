"""The app as its users start it: `uvicorn app.main:app`, a process of its own."""

import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from app.contract.record import BODY_CAP, CaptureRecord, encode
from tests.canary import find_secret
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
SECRET = "bGljZW5jZS1jYW5hcnktMDEyMzQ1Njc4OTo="
BOOT = "feedfeedfeedfeed"


class App:
    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
        self.process = process
        self.port = port
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, trust_env=False, timeout=60)

    def api(self, path: str, **given: object) -> httpx.Response:
        token = (self.folder / ".telemock/token").read_text()
        headers = {"authorization": f"Bearer {token}"}
        method = "POST" if "content" in given else "GET"
        return self.http.request(method, path, headers=headers, **given)  # type: ignore[arg-type]

    def captures(self, at_least: int) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []

        def enough() -> bool:
            found[:] = self.api("/api/v1/captures?limit=1000&order=arrival").json()["items"]
            return len(found) >= at_least

        wait_for(enough)
        return found

    def stop(self) -> str:
        """What it wrote to stdout and stderr."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=30)
        return out.decode()


@contextmanager
def started(folder: Path, **environ: str) -> Iterator[App]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    clean = {
        n: v for n, v in os.environ.items() if not n.startswith(("TELEMOCK", "OTEL", "FASTAPI"))
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "app.main:app", "--port", str(port)],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), "TELEMOCK_RETENTION_DAYS": "0", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    app = App(process, port, folder)

    def ready() -> bool:
        if process.poll() is not None:
            raise AssertionError(process.communicate()[0].decode())
        try:
            return app.http.get("/ready").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_for(ready, 30)
        yield app
    finally:
        app.http.close()
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_direct_use_as_in_the_readme(tmp_path: Path) -> None:
    with started(tmp_path) as app:
        answer = app.http.get(f"/telemetry/index.html?v=1.2.3&version=1.2.3&lic={quote(SECRET)}")
        assert answer.text == "cribl /// living the stream!\n"
        assert app.http.get("/telemetry/cribl.js").status_code == 200
        assert app.http.get("/telemetry/config").json()
        assert app.http.post("/telemetry/events", json={"lic": SECRET, "n": 1}).status_code == 200
        captures = app.captures(4)
        output = app.stop()
    lines = (tmp_path / "logs/telemetry_requests.log").read_text().splitlines()
    assert [line for line in lines if "version=1.2.3" in line] == lines[:1]
    assert json.loads(lines[0])["url"].startswith(app.url + "/telemetry/index.html?v=1.2.3&")
    assert captures[0]["product_version"] == "1.2.3"
    assert "Application startup complete" in output
    assert "GET /telemetry" not in output
    everything = [output.encode(), json.dumps(captures).encode()]
    everything += [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()]
    assert not any(find_secret(data, SECRET) for data in everything)


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    acknowledged: set[int] = set()

    def send(app: App, seqs: range) -> None:
        lines = [encode(CaptureRecord(boot=BOOT, seq=n, kind="exchange", time_ns=n)) for n in seqs]
        try:
            answer = app.api("/api/v1/captures", content=b"\n".join(lines))
        except httpx.TransportError:
            return
        if answer.status_code == 200:
            acknowledged.update(seqs)

    with started(tmp_path) as app:
        killer = threading.Timer(0, app.process.kill)
        for number in range(200):
            send(app, range(number * 50 + 1, number * 50 + 51))
            if number == 20:
                killer.start()
            if app.process.poll() is not None:
                break
        killer.join()
    assert acknowledged
    with started(tmp_path) as app:

        def stored() -> set[int]:
            found: set[int] = set()
            cursor = ""
            while True:
                page = app.api(f"/api/v1/captures?limit=1000&order=arrival{cursor}").json()
                seqs = [r["seq"] for r in page["items"]]
                assert not found & set(seqs)
                found.update(seqs)
                if page["next"] is None:
                    return found
                cursor = f"&cursor={page['next']}"

        before = stored()
        assert acknowledged <= before
        # All of a batch or nothing, and sending it again changes nothing.
        assert len(before) % 50 == 0
        send(app, range(1, 51))
        assert stored() == before


def peak(process: subprocess.Popen[bytes]) -> int:
    """Bytes of memory the process ever had."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_a_body_of_one_gib_is_answered_in_flat_memory(tmp_path: Path) -> None:
    size, piece = 1 << 30, bytes(1 << 20)
    with started(tmp_path) as app:
        app.http.post("/telemetry/events", content=bytes(1 << 20))
        before = peak(app.process)
        with socket.create_connection(("127.0.0.1", app.port), timeout=60) as client:
            client.sendall(
                b"POST /telemetry/events HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n" % size
            )
            for _ in range(size // len(piece)):
                client.sendall(piece)
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        record = app.captures(2)[-1]
        body = record["request"]["body"]  # type: ignore[index]
        assert (body["size"], body["truncated"]) == (size, True)
        assert len(body.get("text", "")) <= BODY_CAP
        assert peak(app.process) - before < 32 << 20


class Sink(ThreadingHTTPServer):
    """An OTLP collector that keeps the bytes it gets."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            server: Sink

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                self.server.got.append((self.path, body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


def test_traces_leave_without_the_licence(tmp_path: Path) -> None:
    with Sink() as sink:
        thread = threading.Thread(target=sink.serve_forever)
        thread.start()
        endpoint = f"http://127.0.0.1:{sink.server_address[1]}"
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        try:
            with started(tmp_path, **environ) as app:
                parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
                app.http.get(
                    f"/telemetry/index.html?v=4.16.1&lic={quote(SECRET)}&other={quote(SECRET)}",
                    headers={
                        "host": "cdn.cribl.io",
                        "traceparent": parent,
                        "user-agent": SECRET,
                    },
                )
                app.http.get(f"/api/v1/explain?url={quote('https://h/?lic=' + SECRET)}")
                record = app.captures(1)[0]
                app.stop()
        finally:
            sink.shutdown()
            thread.join()
    assert record["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    traces = b"".join(body for path, body in sink.got if path == "/v1/traces")
    assert bytes.fromhex(str(record["trace_id"])) in traces
    assert bytes.fromhex(str(record["span_id"])) in traces
    for shown in (b"telemock-app", b"telemock.rule", b"v=4.16.1", b"/telemetry/index.html"):
        assert shown in traces
    assert not find_secret(b"".join(body for _, body in sink.got), SECRET)


def test_a_collector_that_is_away_changes_nothing(tmp_path: Path) -> None:
    with started(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as app:
        assert app.http.get("/telemetry/").status_code == 200
        assert len(app.captures(1)) == 1
