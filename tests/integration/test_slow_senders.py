"""Senders that trickle what they send, against the app as `telemock serve` runs it, while others
are served all along."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import zstandard

from app.client.running import running_app
from app.contract.record import CaptureRecord, Request, encode
from tests.serving import environment
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
SLOW = 200
ENDED = "telemock_bodies_ended_total{"
BOOT = "feedfeedfeedfeed"


def line(boot: str, seq: int) -> bytes:
    request = Request(method="GET", host="cdn.cribl.io", query=[("n", f"{seq}")])
    record = CaptureRecord(boot=boot, seq=seq, kind="exchange", time_ns=time.time_ns())
    record.profile, record.action, record.request = "cribl", "mock", request
    return encode(record)


class App:
    def __init__(self, process: subprocess.Popen[bytes], url: str, token: str) -> None:
        self.process = process
        self.port = int(url.rpartition(":")[2])
        self.token = token
        self.http = httpx.Client(
            base_url=url, headers={"authorization": f"Bearer {token}"}, trust_env=False, timeout=60
        )

    @property
    def rss(self) -> int:
        """Bytes of memory that the process uses now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


@contextmanager
def served(folder: Path, **values: str) -> Iterator[App]:
    clean = {n: v for n, v in os.environ.items() if not n.startswith(("TELEMOCK", "OTEL"))}
    settings = environment(folder, **values)
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve"],
        cwd=ROOT,
        env={**clean, **settings},
        stdout=subprocess.DEVNULL,
    )
    try:
        data = Path(settings["TELEMOCK_DATA"])
        wait_for(lambda: bool(running_app(data)), 30)
        app = App(process, str(running_app(data)), (data / "token").read_text().strip())
        with app.http:
            yield app
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with served(tmp_path) as app:
        yield app


def trickling(app: App, path: str, stack: ExitStack) -> list[socket.socket]:
    """So many connections whose body of 1,000 bytes comes a byte at a time, until the end."""
    clients = [stack.enter_context(app.connect()) for _ in range(SLOW)]
    head = (
        f"POST {path} HTTP/1.1\r\nhost: cdn.cribl.io\r\nauthorization: Bearer {app.token}\r\n"
        "content-length: 1000\r\n\r\n{"
    )
    if path.startswith("/api"):
        head = head.replace("cdn.cribl.io", "localhost")
    stop = threading.Event()

    def trickle() -> None:
        for client in clients:
            client.sendall(head.encode())
        while not stop.wait(0.5):
            for client in clients:
                try:
                    client.sendall(b" ")
                except OSError:
                    continue

    thread = threading.Thread(target=trickle)
    thread.start()
    stack.callback(thread.join)
    stack.callback(stop.set)
    return clients


def ended(app: App) -> float:
    """How many bodies the app has ended."""
    lines = app.http.get("/metrics").text.splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith(ENDED))


@pytest.mark.parametrize("path", ["/api/v1/captures", "/telemetry/events"])
def test_others_are_served_within_a_second_while_200_trickle(app: App, path: str) -> None:
    with ExitStack() as stack:
        clients = trickling(app, path, stack)
        began, times, stored = time.monotonic(), [], 0
        while ended(app) < SLOW:
            assert time.monotonic() < began + 30
            at = time.monotonic()
            answer = app.http.post("/api/v1/captures", content=line(BOOT, stored + 1))
            times.append(time.monotonic() - at)
            assert (answer.status_code, answer.json()["stored"]) == (200, 1)
            stored += 1
            at = time.monotonic()
            assert app.http.get("/telemetry/index.html").status_code == 200
            times.append(time.monotonic() - at)
            time.sleep(0.05)  # between two of them; what is waited for is above
        assert max(times) < 1 and stored > 20
        ends = [client.recv(4096).split(b"\r\n", 1)[0] for client in clients]
        assert ends == [b"HTTP/1.1 408 Request Timeout"] * SLOW
    assert ended(app) == SLOW


def test_bodies_that_never_end_do_not_fill_the_memory(app: App) -> None:
    """Each sends quickly, but never the last of 8 MiB: 480 MiB in all."""
    piece = bytes(1 << 20)
    before = app.rss
    with ExitStack() as stack:
        clients = [stack.enter_context(app.connect()) for _ in range(60)]
        head = (
            f"POST /api/v1/captures HTTP/1.1\r\nhost: localhost\r\n"
            f"authorization: Bearer {app.token}\r\ncontent-length: {8 << 20}\r\n\r\n"
        ).encode()

        def send(client: socket.socket) -> None:
            try:
                client.sendall(head)
                for _ in range(7):
                    client.sendall(piece)
            except OSError:
                pass

        threads = [threading.Thread(target=send, args=(c,)) for c in clients]
        for thread in threads:
            thread.start()
        most, times = 0, []
        for seq in range(1, 40):
            at = time.monotonic()
            assert app.http.post("/api/v1/captures", content=line(BOOT, seq)).status_code == 200
            times.append(time.monotonic() - at)
            most = max(most, app.rss)
            time.sleep(0.1)  # between two looks at the memory
        for client in clients:
            with suppress(OSError):  # ended by the app
                client.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(30)
    print(f"RSS {before >> 20} MiB before, at most {most >> 20} MiB, slowest {max(times):.2f} s")
    assert most - before < 150 << 20
    assert sorted(times)[len(times) // 2] < 1


def peak_of_eight(app: App, post: Callable[[int], None]) -> int:
    """The most memory that the app used while eight threads did this."""
    threads = [threading.Thread(target=post, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, app.rss)
        time.sleep(0.02)
    print(f"peak RSS {most >> 20} MiB")
    return most


def test_eight_batches_of_10_000_records_at_once_stay_under_512_mib(app: App) -> None:
    large = b"x" * 2_000
    status: list[int] = []

    def post(number: int) -> None:
        boot = f"{number:016x}"
        lines = []
        for seq in range(1, 10_001):
            record = line(boot, seq)
            lines.append(record[:-1] + b',"node":"' + large[: seq % 500] + b'"}')
        body = zstandard.compress(b"\n".join(lines))
        ready.wait()
        headers = {"content-encoding": "zstd"}
        answer = app.http.post("/api/v1/captures", content=body, headers=headers)
        status.append(answer.status_code)

    ready = threading.Barrier(8)
    assert peak_of_eight(app, post) < 512 << 20
    assert status == [200] * 8


def test_batches_that_swell_stay_under_512_mib(app: App) -> None:
    """Eight at once, each of some 50 MiB when decompressed; half of the frames do not say so."""
    plain = b"\n".join(
        line(BOOT, n)[:-1] + b',"node":"n","newer":"%b"}' % (b"%d " % n * 1_000)
        for n in range(1, 10_001)
    )
    streamed = zstandard.ZstdCompressor().compressobj()
    bodies = [zstandard.compress(plain), streamed.compress(plain) + streamed.flush()]
    status: list[int] = []

    def post(number: int) -> None:
        headers = {"content-encoding": "zstd"}
        body = bodies[number % 2]
        # Reading 400 MiB takes 40 s of one processor; what is bounded here is memory.
        answer = app.http.post("/api/v1/captures", content=body, headers=headers, timeout=110)
        status.append(answer.status_code)

    assert peak_of_eight(app, post) < 512 << 20
    assert status == [200] * 8


def test_the_app_stops_while_bodies_are_on_their_way(tmp_path: Path) -> None:
    with served(tmp_path) as app, ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(app.connect())
            head = (
                "POST /api/v1/captures HTTP/1.1\r\nhost: localhost\r\n"
                f"authorization: Bearer {app.token}\r\ncontent-length: 100000\r\n\r\n"
            )
            client.sendall(head.encode() + b" " * 60_000)  # which earn half a minute
        assert app.http.get("/ready").status_code == 200
        app.http.close()
        began = time.monotonic()
        app.process.terminate()
        assert app.process.wait(20) == 0
        assert time.monotonic() - began < 8
    assert "Traceback" not in (tmp_path / "logs/mock_server.log").read_text()
