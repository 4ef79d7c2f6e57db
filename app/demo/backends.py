"""Finds or starts Jaeger and Prometheus, which take the demo's traces and metrics.

Called by `demo.round` with `--otel`. They outlive the demo, so that its links can be opened; the
next demo finds them again.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from app import environment
from app.client.running import get
from app.contract.files import write_whole
from app.run import processes

COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"  # exists in a checkout only
CONFIGURATION = Path(__file__).parent / "observability"
_STATE = "observability.json"  # in the data directory: the running back ends
_METRICS = "jaeger:8889"  # in prometheus.yaml: where Prometheus scrapes the collector's metrics


class Backends(msgspec.Struct):
    """URLs; `jaeger` and `prometheus` are "" where only a collector is known. `stop` is the command
    that ends what was started here."""

    otlp: str
    jaeger: str = ""
    prometheus: str = ""
    grafana: str = ""
    stop: str = ""

    @property
    def environ(self) -> dict[str, str]:
        """OTEL_* variables for app and sidecar. The user's own stay: --otel asks for them."""
        wanted = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.otlp,
            "OTEL_METRIC_EXPORT_INTERVAL": "2000",
            "OTEL_BSP_SCHEDULE_DELAY": "500",
        }
        if self.jaeger:
            wanted["TELEMOCK_TRACE_URL"] = self.jaeger + "/trace/{trace_id}"
        own = {n: v for n, v in os.environ.items() if v and n.startswith(("OTEL_", *wanted))}
        return wanted | own


class JaegerSpan(NamedTuple):
    """One span as Jaeger's query API gives it; times in microseconds."""

    id: str
    parent: str
    service: str
    name: str
    start: int
    duration: int
    tags: Mapping[str, Any]


def find(data: Path, logs: Path) -> Backends:
    """Uses the first of: the collector of OTEL_EXPORTER_OTLP_ENDPOINT, an earlier demo's back ends,
    `jaeger` and `prometheus` in PATH, docker compose's profile. Raises LocalError."""
    if endpoint := os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return Backends(endpoint)
    state = data / _STATE
    try:
        left = msgspec.json.decode(state.read_bytes(), type=Backends)
    except (OSError, msgspec.DecodeError):
        left = None
    if left and left.jaeger and get(left.jaeger + "/api/services"):
        return left
    if shutil.which("jaeger") and shutil.which("prometheus"):
        started = _programs(data, logs)
    else:
        started = _compose()
    write_whole(state, [msgspec.json.encode(started), b"\n"])
    return started


def _programs(data: Path, logs: Path) -> Backends:
    ports = dict(
        zip(
            ("OTLP_HTTP", "OTLP_GRPC", "QUERY", "QUERY_GRPC", "HEALTH", "METRICS"),
            _free_ports(6),
            strict=True,
        )
    )
    (port,) = _free_ports(1)
    jaeger, prometheus = f"http://127.0.0.1:{ports['QUERY']}", f"http://127.0.0.1:{port}"
    collector = processes.Child(
        "jaeger",
        ["jaeger", "--config", f"file:{CONFIGURATION / 'jaeger.yaml'}"],
        environ={
            **environment.child(),
            "BIND": "127.0.0.1",
            **{f"{name}_PORT": str(number) for name, number in ports.items()},
        },
        console=logs / "jaeger.console.log",
        stay=True,
    )
    scrape = data / "prometheus.yaml"
    scrape.write_text(
        (CONFIGURATION / "prometheus.yaml")
        .read_text()
        .replace(_METRICS, f"127.0.0.1:{ports['METRICS']}")
    )
    try:
        collector.wait(lambda: bool(get(jaeger + "/api/services")))
        metrics = processes.Child(
            "prometheus",
            [
                "prometheus", f"--config.file={scrape}",
                f"--storage.tsdb.path={data / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            environ=environment.child(),
            console=logs / "prometheus.console.log",
            stay=True,
        )  # fmt: skip
        metrics.wait(lambda: bool(get(prometheus + "/-/ready")))
    except BaseException:
        collector.stop()
        raise
    otlp = f"http://127.0.0.1:{ports['OTLP_HTTP']}"
    return Backends(otlp, jaeger, prometheus, stop=f"kill {collector.pid} {metrics.pid}")


def _compose() -> Backends:
    compose = (
        ["docker-compose"]
        if shutil.which("docker-compose")
        else ["docker", "compose"]
        if shutil.which("docker")
        else []
    )
    if not compose or not COMPOSE.is_file():
        raise processes.LocalError(
            "no jaeger and prometheus in PATH, and no docker compose to start them with\n\n"
            "hint: put both programs into PATH, or name a collector: "
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318"
        )
    command = [*compose, "-f", str(COMPOSE), "--profile", "observability"]
    services = ("jaeger", "prometheus", "grafana")
    done = subprocess.run(  # noqa: S603
        [*command, "up", "-d", "--no-deps", *services], stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise processes.LocalError(
            f"{' '.join(command)} up ended with {done.returncode}\n\n"
            "hint: its words are above; jaeger and prometheus in PATH do as well"
        )
    found = Backends(
        "http://127.0.0.1:4318", "http://127.0.0.1:16686", "http://127.0.0.1:9090",
        "http://127.0.0.1:3000", " ".join([*command, "rm", "-sf", *services]),
    )  # fmt: skip
    _until(lambda: bool(get(found.jaeger + "/api/services")), "Jaeger does not answer")
    return found


def trace(backends: Backends, trace_id: str, spans: int) -> list[JaegerSpan]:
    """Waits until Jaeger has that many spans of the trace. Raises LocalError."""
    found: list[JaegerSpan] = []

    def complete() -> bool:
        found[:] = _spans(get(f"{backends.jaeger}/api/traces/{trace_id}"))
        return len(found) >= spans

    _until(complete, f"Jaeger has not got the {spans} spans of the trace {trace_id}")
    return found


def _spans(answer: bytes) -> Iterator[JaegerSpan]:
    traces = json.loads(answer or b"{}").get("data") or []
    for found in traces:
        services = {id: p["serviceName"] for id, p in found["processes"].items()}
        for span in found["spans"]:
            parents = [r["spanID"] for r in span["references"] if r["refType"] == "CHILD_OF"]
            yield JaegerSpan(
                span["spanID"], parents[0] if parents else "", services[span["processID"]],
                span["operationName"], span["startTime"], span["duration"],
                {tag["key"]: tag["value"] for tag in span["tags"]},
            )  # fmt: skip


def tree(spans: list[JaegerSpan]) -> Iterator[str]:
    """Draws the trace as lines of text, children below their parents."""
    ids = {s.id for s in spans}
    begin = min((s.start for s in spans), default=0)

    def below(parent: str, depth: int) -> Iterator[str]:
        for span in sorted((s for s in spans if s.parent == parent), key=lambda s: s.start):
            name = f"{'  ' * depth}{span.tags.get('span.kind', '').upper()} {span.name}"
            status = span.tags.get("http.response.status_code", "")
            yield (
                f"{name:44} {span.service:16} {status:>3} {(span.start - begin) / 1000:6.1f} ms +"
                f"{span.duration / 1000:6.1f} ms"
            )
            yield from below(span.id, depth + 1)

    for root in {s.parent for s in spans} - ids:
        yield from below(root, 0)


def _free_ports(number: int) -> list[int]:
    found: set[int] = set()
    while len(found) < number:
        found.add(processes.free_port())
    return list(found)


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + processes.START_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise processes.LocalError(f"{otherwise} after {processes.START_SECONDS:.0f} s")
        time.sleep(0.1)
