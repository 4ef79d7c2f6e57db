"""The bench of ingest: records a second through HTTP into the store, on one processor.

`python -m tests.bench.ingest [--repetitions 5] [--seconds 4] [--image telemock-app:0.1.0]`. Starts
the app (log files and metrics on) alone on one processor, from its image where one is named, and
sends it from the other what sidecars send after an outage: zstd batches of 500 records of one pod,
over four kept connections. Then the same beside two readers, each of whom asks for a page of 100
captures and the report, by turns, with a pause of 0.1 s. Prints a table in Markdown, then the
figures as JSON. Not run by `make test`.
"""

import argparse
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

from app.contract.names import CONTENT_TYPE_RECORDS, FILE_STORE, PATH_CAPTURES
from app.report.tables import markdown_table
from tests.bench.figures import shown, summary
from tests.bench.fleet import Fleet
from tests.bench.machine import machine, versions

ROOT = Path(__file__).parents[2]
PODS = 1_000
BATCH = 500  # records, as a sidecar sends them
SENDERS = 4
READERS = 2
OVER_TLS = "tests.bench.over_tls"
DOCKER = os.environ.get("DOCKER", "docker")
PAUSE_S = 0.1  # of a reader between two questions
_TICKS = os.sysconf("SC_CLK_TCK")


class Target(NamedTuple):
    readers: int
    records_s: float


TARGETS = (Target(0, 20_000), Target(READERS, 15_000))
TARGET_BYTES = 500


class App:
    """The app in a process of its own. `module` is what runs it; with an `image`, it is the image's
    own command in a container."""

    def __init__(self, folder: Path, processor: int | None, module: str, image: str = "") -> None:
        self.data = folder / "data"
        self.folder = folder
        self._settings = {
            "TELEMOCK_DATA": str(self.data),
            "TELEMOCK_LOGS": str(folder / "logs"),
            "TELEMOCK_RETENTION_DAYS": "0",
            "TELEMOCK_RETENTION_SIZE": "0",
            "HOST": "127.0.0.1",
            "PORT": "0",
        }
        self._container = f"telemock-bench-{os.getpid()}" if image else ""
        self._command = [sys.executable, "-m", *module.split()]
        if image:
            self._command = self._boxed(image, processor)
        elif processor is not None:
            self._command = ["taskset", "--cpu-list", str(processor), *self._command]
        self.tls = insecure() if module == OVER_TLS else None
        self.start()

    def _boxed(self, image: str, processor: int | None) -> list[str]:
        command = [DOCKER, "run", "--rm", "--network", "host", "--name", self._container]
        command += ["--user", f"{os.getuid()}:{os.getgid()}"]
        command += ["--volume", f"{self.folder}:{self.folder}"]
        if processor is not None:
            command += ["--cpuset-cpus", str(processor)]
        for setting in self._settings.items():
            command += ["--env", "=".join(setting)]
        return [*command, image]

    def start(self) -> None:
        environ = {**os.environ, "PYTHONPATH": str(ROOT), **self._settings}
        with (self.folder / "app.out").open("ab") as out:
            self._popen = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        server = self.data / "server.json"
        deadline = time.monotonic() + 60
        while True:
            try:
                self.port = int(json.loads(server.read_text())["url"].rpartition(":")[2])
                self.ask("GET", "/ready")
                break
            except (OSError, ValueError, http.client.HTTPException):
                if self._popen.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "app.out").read_text()[-2000:]) from None
                time.sleep(0.02)
        self.token = (self.data / "token").read_text().strip()
        self.pid = self._popen.pid
        if self._container:
            said = [DOCKER, "inspect", "--format", "{{.State.Pid}}", self._container]
            self.pid = int(subprocess.run(said, check=True, stdout=subprocess.PIPE).stdout)

    def connection(self) -> http.client.HTTPConnection:
        if self.tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=120, context=self.tls)

    def headers(self, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **more}

    def ask(self, method: str, path: str) -> bytes:
        connection = self.connection()
        try:
            connection.request(method, path, headers=self.headers() if method != "GET" else {})
            return connection.getresponse().read()
        finally:
            connection.close()

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_mb(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def stored_bytes(self) -> int:
        return sum(p.stat().st_size for p in self.data.glob(f"{FILE_STORE}*"))

    def stop(self) -> None:
        self._popen.terminate()
        self._popen.wait(60)


@contextmanager
def app(
    processor: int | None = None, module: str = "app.cli serve", image: str = ""
) -> Iterator[App]:
    with tempfile.TemporaryDirectory(prefix="telemock-bench-") as name:
        started = App(Path(name), processor, module, image)
        try:
            yield started
        finally:
            started.stop()


def insecure() -> ssl.SSLContext:
    """Trusts anybody: the app that it is for was started here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Post(NamedTuple):
    status: int
    seconds: float
    receipt: dict[str, Any]


def post(connection: http.client.HTTPConnection, app: App, body: bytes) -> Post:
    begun = time.perf_counter()
    headers = app.headers(**{"Content-Type": CONTENT_TYPE_RECORDS, "Content-Encoding": "zstd"})
    connection.request("POST", PATH_CAPTURES, body, headers)
    answer = connection.getresponse()
    said = answer.read()
    receipt = json.loads(said) if answer.status == 200 else {}
    return Post(answer.status, time.perf_counter() - begun, receipt)


def packed(lines: Sequence[bytes]) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(b"\n".join(lines) + b"\n")


def batches(fleet: Fleet, count: int) -> list[bytes]:
    """Each of one pod's records, a second apart."""
    made = []
    start = time.time_ns()
    for number in range(count):
        pod = number % len(fleet.pods)
        times = range(start, start + BATCH * 10**9, 10**9)
        made.append(packed([fleet.line(pod, at) for at in times]))
    return made


def measure(app: App, work: list[bytes], readers: int) -> dict[str, float]:
    """Sends all of it."""
    done: list[Post] = []
    ended = threading.Event()
    asked: list[float] = []

    def send() -> None:
        connection = app.connection()
        while work:
            try:
                body = work.pop()
            except IndexError:
                break
            done.append(post(connection, app, body))
        connection.close()

    def read() -> None:
        connection = app.connection()
        paths = (f"{PATH_CAPTURES}?limit=100&host=cdn.cribl.io", "/api/v1/report")
        while not ended.is_set():
            for path in paths:
                begun = time.perf_counter()
                connection.request("GET", path, headers=app.headers())
                connection.getresponse().read()
                asked.append(time.perf_counter() - begun)
                ended.wait(PAUSE_S)
        connection.close()

    before, cpu, records = app.stored_bytes(), app.cpu_s(), len(work) * BATCH
    reading = _threads(read, readers)
    begun = time.perf_counter()
    for thread in _threads(send, SENDERS):
        thread.join()
    seconds, cpu = time.perf_counter() - begun, app.cpu_s() - cpu
    ended.set()
    for thread in reading:
        thread.join()
    if any(p.status != 200 or p.receipt["stored"] != BATCH for p in done):
        raise RuntimeError(f"a batch was not stored: {[p for p in done if p.status != 200][:3]}")
    figures = {
        "records_s": records / seconds,
        "records_cpu_s": records / cpu,
        "p50_ms": summary([p.seconds for p in done]).median * 1e3,
        "bytes": (app.stored_bytes() - before) / records,
    }
    if asked:
        figures["read_ms"] = summary(asked).median * 1e3
    return figures


def _threads(target: Callable[[], None], number: int) -> list[threading.Thread]:
    threads = [threading.Thread(target=target) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """The figures: for each number of readers the median, least and most of each measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of one repetition, about")
    parser.add_argument("--image", default="", help="of the app, instead of this checkout")
    options = parser.parse_args(arguments)
    os.nice(5)
    about = machine()
    usable = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, usable[1:] or usable)
    load = os.getloadavg()[0]
    size = max(4, round(options.seconds * TARGETS[0].records_s / BATCH))
    fleet = Fleet(PODS, products=1)
    found: dict[int, list[dict[str, float]]] = {t.readers: [] for t in TARGETS}
    with app(usable[0], image=options.image) as started:
        measure(started, batches(fleet, size), 0)  # until the dictionary is trained
        for _ in range(options.repetitions):
            for readers, figures in found.items():
                figures.append(measure(started, batches(fleet, size), readers))
        resident = started.resident_mb()
        records = (2 * options.repetitions + 1) * size * BATCH
        whole = started.stored_bytes() / records
    result = {
        "bench": "ingest", "machine": about, "versions": versions(), "image": options.image,
        "load": [load, os.getloadavg()[0]], "repetitions": options.repetitions,
        "record_bytes": _size(Fleet(99, products=1)), "stored_bytes": round(whole, 1),
        "resident_mb": round(resident, 1),
        "figures": {readers: _summed(figures) for readers, figures in found.items()},
    }  # fmt: skip
    print(markdown(result))
    print(json.dumps(result))
    return result


def _size(fleet: Fleet) -> int:
    return round(sum(len(fleet.line(pod, 1 << 60)) for pod in range(99)) / 99)


def _summed(figures: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    return {name: summary([f[name] for f in figures])._asdict() for name in figures[0]}


def markdown(found: dict[str, Any]) -> str:
    heads = ("readers", "records/s", "target", "records/s of its CPU time", "a batch, p50 ms",
             "a question, p50 ms")  # fmt: skip
    rows = []
    for target in TARGETS:
        of = found["figures"][target.readers]
        asked = shown(of["read_ms"]["median"]) if "read_ms" in of else ""
        cells = (_range(of["records_s"]), f"{target.records_s:,.0f}", _range(of["records_cpu_s"]),
                 shown(of["p50_ms"]["median"]), asked)  # fmt: skip
        rows.append((str(target.readers), *cells))
    return (
        f"Records of {found['record_bytes']:,} bytes with 47 parameters, {BATCH} in a batch; "
        f"{found['stored_bytes']:.0f} bytes each on disk with indexes and roll-ups (target "
        f"{TARGET_BYTES}); {found['resident_mb']:.0f} MB resident at the end; load average "
        f"{found['load'][0]:.2f} before, {found['load'][1]:.2f} after.\n\n"
        + markdown_table(heads, rows)
    )


def _range(of: dict[str, float]) -> str:
    return f"{of['median']:,.0f} ({of['low']:,.0f} to {of['high']:,.0f})"


if __name__ == "__main__":
    main()
