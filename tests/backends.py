"""Real back ends on free ports of this machine: Jaeger, which is a Collector too, Prometheus and
promtool.

A test that uses them is skipped, with a sentence, where their programs are not found: in
`${XDG_CACHE_HOME:-$HOME/.cache}/telemock-observability/bin` or in PATH.

    with jaeger(folder) as j, prometheus(folder, {"app": ["127.0.0.1:8000"]}, collector=j) as p:
        ... OTEL_EXPORTER_OTLP_ENDPOINT=j.otlp ...
        j.trace(trace_id, spans=3); p.value('telemock_captures_total{job="app"}')
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from app.demo.backends import CONFIGURATION

START_S = 30.0  # on a busy machine
# job -> "host:port" of what serves /metrics; "https://host:port" over TLS that is not checked
Scrape = Mapping[str, Sequence[str]]


def program(name: str) -> str:
    """Its path; the test is skipped where it is not installed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    beside = cache / "telemock-observability" / "bin" / name
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}: put it into {beside.parent} or into PATH")
    return found


class Span(NamedTuple):
    """A span as Jaeger gives it back."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str  # server, client or internal
    start_us: int
    duration_us: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: list[dict[str, Any]]  # attributes of each; its name is under "event"
    error: bool
    error_text: str


class Jaeger:
    """Traces go to its memory, metrics to an exporter for Prometheus, logs to its output."""

    def __init__(self, folder: Path, address: str) -> None:
        self._output = folder / "jaeger.log"
        http, grpc, query, query_grpc, health, metrics = _ports(6)
        self.otlp = f"http://{address}:{http}"
        self.otlp_grpc = f"http://{address}:{grpc}"
        self.query = f"http://{address}:{query}"
        self.metrics = f"{address}:{metrics}"  # what Prometheus scrapes
        ports = {
            "OTLP_HTTP": http, "OTLP_GRPC": grpc, "QUERY": query, "QUERY_GRPC": query_grpc,
            "HEALTH": health, "METRICS": metrics,
        }  # fmt: skip
        self.environ = {f"{name}_PORT": str(port) for name, port in ports.items()}
        self.environ["BIND"] = address
        self.command = [program("jaeger"), "--config", f"file:{CONFIGURATION / 'jaeger.yaml'}"]
        self.health = f"http://127.0.0.1:{health}/status"

    def _get(self, path: str, **params: Any) -> Any:
        answer = httpx.get(f"{self.query}{path}", params=params, timeout=10, trust_env=False)
        return (answer.json().get("data") if answer.status_code == 200 else None) or []

    def services(self) -> list[str]:
        return sorted(self._get("/api/services"))

    def trace(self, trace_id: str, spans: int = 1, seconds: float = 15) -> list[Span]:
        """The trace's spans by their start, once there are that many."""

        def read() -> list[Span]:
            return [s for t in self._get(f"/api/traces/{trace_id}") for s in _spans(t)]

        return _awaited(read, lambda found: len(found) >= spans, seconds, f"spans of {trace_id}")

    def spans(self, service: str, at_least: int = 0, seconds: float = 15) -> list[Span]:
        """All spans of a service's last 1,500 traces, once there are that many."""

        def read() -> list[Span]:
            found = self._get("/api/traces", service=service, limit=1500)
            return [s for t in found for s in _spans(t) if s.resource["service.name"] == service]

        return _awaited(read, lambda f: len(f) >= at_least, seconds, f"spans of {service}")

    def everything(self) -> str:
        """All that it keeps of traces, and logs, as text: to look for what must not be there."""
        traces = [self._get("/api/traces", service=s, limit=1500) for s in self.services()]
        return json.dumps(traces, ensure_ascii=False) + self.logs()

    def logs(self) -> str:
        """Its output, in which each log record that came stands in full."""
        return self._output.read_text(errors="replace")

    def logged(self, text: str, seconds: float = 15) -> str:
        """Its output, once the text stands in it."""
        return _awaited(self.logs, lambda found: text in found, seconds, f"{text!r} in the logs")


class Prometheus:
    """Scrapes each second."""

    def __init__(
        self, folder: Path, scrape: Scrape, collector: Jaeger | None, rules: Sequence[Path]
    ) -> None:
        self._config = folder / "prometheus.yml"
        self._collector = collector
        self._rules = rules
        (port,) = _ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._configure(scrape)
        self.environ: dict[str, str] = {}
        self.command = [
            program("prometheus"), f"--config.file={self._config}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-lifecycle", "--enable-feature=exemplar-storage",
        ]  # fmt: skip
        self.health = f"{self.url}/-/ready"

    def _configure(self, scrape: Scrape) -> None:
        jobs: list[dict[str, Any]] = [
            {
                "job_name": job,
                "scheme": "https" if targets[0].startswith("https://") else "http",
                "tls_config": {"insecure_skip_verify": True},
                "static_configs": [{"targets": [t.removeprefix("https://") for t in targets]}],
            }
            for job, targets in scrape.items()
        ]
        if self._collector is not None:
            jobs.append(
                {
                    "job_name": "otlp",
                    "honor_labels": True,
                    "static_configs": [{"targets": [self._collector.metrics]}],
                }
            )
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in self._rules],
            "scrape_configs": jobs,
        }
        self._config.write_text(json.dumps(config))  # which is YAML

    def scrape(self, scrape: Scrape) -> None:
        """Other targets than so far."""
        self._configure(scrape)
        httpx.post(f"{self.url}/-/reload", timeout=10, trust_env=False).raise_for_status()

    def _get(self, path: str, **params: Any) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=params, timeout=10, trust_env=False)
        body = answer.json()
        if body["status"] != "success":
            raise AssertionError(f"{params}: {body['error']}")
        return body["data"]

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The result as it stands now: [{"metric": {…}, "value": [time, text]}]."""
        found = self._get("query", query=promql)["result"]
        return list(found)

    def series(self, promql: str, seconds: float = 15) -> list[dict[str, Any]]:
        """The result, once there is one."""
        return _awaited(lambda: self.query(promql), bool, seconds, promql)

    def value(self, promql: str, at_least: float | None = None, seconds: float = 15) -> float:
        """The only series' value, once there is one and it is so large."""

        def read() -> list[float]:
            return [float(found["value"][1]) for found in self.query(promql)]

        def enough(found: list[float]) -> bool:
            return len(found) == 1 and (at_least is None or found[0] >= at_least)

        return _awaited(read, enough, seconds, promql)[0]

    def metric_names(self) -> set[str]:
        return set(self._get("label/__name__/values"))

    def exemplars(self, promql: str) -> list[dict[str, Any]]:
        """[{"labels": {…}, "value": text, "timestamp": s}] of the last ten minutes."""
        now = time.time()
        found = self._get("query_exemplars", query=promql, start=now - 600, end=now + 10)
        return [exemplar for series in found for exemplar in series["exemplars"]]

    def firing(self, alert: str, seconds: float = 20) -> list[dict[str, Any]]:
        """The alert's instances that fire, once one does."""

        def read() -> list[dict[str, Any]]:
            alerts = self._get("alerts")["alerts"]
            return [
                a for a in alerts if a["labels"]["alertname"] == alert and a["state"] == "firing"
            ]

        return _awaited(read, bool, seconds, f"alert {alert}")


@contextlib.contextmanager
def jaeger(folder: Path, address: str = "127.0.0.1") -> Iterator[Jaeger]:
    """Files below `folder`; gone at the end. The address is one of this machine."""
    with _running(lambda: Jaeger(folder, address), folder / "jaeger.log") as server:
        yield server


@contextlib.contextmanager
def prometheus(
    folder: Path,
    scrape: Scrape,
    collector: Jaeger | None = None,
    rules: Sequence[Path] = (),
) -> Iterator[Prometheus]:
    """With a collector its metrics keep the labels they came with; `rules` are rule files."""

    def make() -> Prometheus:
        return Prometheus(folder, scrape, collector, rules)

    with _running(make, folder / "prometheus.log") as server:
        yield server


def promtool(*arguments: str | Path) -> str:
    """Its output, as in promtool("test", "rules", path). Fails with it when promtool does."""
    command = [program("promtool"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    output = done.stdout + done.stderr
    if done.returncode:
        raise AssertionError(output)
    return output


@contextlib.contextmanager
def _running[Server: (Jaeger, Prometheus)](
    make: Callable[[], Server], output: Path
) -> Iterator[Server]:
    """Started again on other ports when somebody else took one of them meanwhile."""
    for attempt in range(3):
        server = make()
        with output.open("wb") as out:
            # No test that is killed leaves it behind.
            command = ["setpriv", "--pdeathsig", "KILL", "--", *server.command]
            process = subprocess.Popen(
                command,
                env={**os.environ, **server.environ},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            if _answers(server.health, process):
                yield server
                return
        finally:
            process.kill()  # nothing of it is kept, and a gentle end takes it ten seconds
            process.wait()
        text = output.read_text(errors="replace")
        if "address already in use" not in text or attempt == 2:
            raise AssertionError(f"{server.command[0]} does not answer:\n{text[-2000:]}")


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=2, trust_env=False).status_code == 200:
                return True
        time.sleep(0.05)
    return False


def _awaited[T](read: Callable[[], T], enough: Callable[[T], bool], seconds: float, what: str) -> T:
    deadline = time.monotonic() + seconds
    while True:
        found = read()
        if enough(found):
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; there is {str(found)[:2000]}")
        time.sleep(0.1)


def _ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in opened]


def _spans(trace: dict[str, Any]) -> list[Span]:
    found = []
    for span in trace["spans"]:
        attributes = _tags(span["tags"])
        process = trace["processes"][span["processID"]]
        parents = [r["spanID"] for r in span["references"] if r["refType"] == "CHILD_OF"]
        found.append(
            Span(
                trace_id=span["traceID"],
                span_id=span["spanID"],
                parent_id=parents[0] if parents else "",
                name=span["operationName"],
                kind=str(attributes.pop("span.kind", "internal")),
                start_us=span["startTime"],
                duration_us=span["duration"],
                attributes=attributes,
                resource={"service.name": process["serviceName"], **_tags(process["tags"])},
                events=[_tags(event["fields"]) for event in span["logs"]],
                error=attributes.pop("error", False) is True,
                error_text=str(attributes.pop("otel.status_description", "")),
            )
        )
    return sorted(found, key=lambda span: span.start_us)


def _tags(tags: list[dict[str, Any]]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in tags}
