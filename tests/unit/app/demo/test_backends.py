import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml

from app.demo import backends
from app.demo.backends import Backends, JaegerSpan
from app.run import processes

ROOT = Path(__file__).parents[4]


def span(id: str, parent: str, kind: str, start: int, **tags: object) -> JaegerSpan:
    return JaegerSpan(id, parent, "service", f"GET /{id}", start, 500, {"span.kind": kind, **tags})


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")


class Query(http.server.BaseHTTPRequestHandler):
    """A little of Jaeger's query API: a trace of which the spans come one by one."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        spans = [
            {
                "spanID": f"s{n}", "processID": "p1", "operationName": "GET /t", "startTime": n,
                "duration": 7, "tags": [{"key": "span.kind", "value": "server"}],
                "references": [{"refType": "CHILD_OF", "spanID": f"s{n - 1}"}] if n else [],
            }
            for n in range(min(self.asked, 3))
        ]  # fmt: skip
        found = {"data": [{"processes": {"p1": {"serviceName": "app"}}, "spans": spans}]}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def jaeger() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Handler", (Query,), {"asked": 0})
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_children_stand_below_their_parents_by_their_start() -> None:
    found = [
        span("c", "a", "client", 2000),
        span("a", "of-the-client", "server", 1000, **{"http.response.status_code": 200}),
        span("b", "a", "client", 1500),
        span("d", "c", "server", 2500),
    ]
    lines = list(backends.tree(found))
    assert [line.split(" /")[0] for line in lines] == [
        "SERVER GET", "  CLIENT GET", "  CLIENT GET", "    SERVER GET",
    ]  # fmt: skip
    assert [line.split("/")[1][0] for line in lines] == ["a", "b", "c", "d"]
    assert " 200 " in lines[0] and "0.0 ms +   0.5 ms" in lines[0]
    assert "1.5 ms" in lines[3]


def test_the_trace_is_awaited_until_it_is_whole(jaeger: str) -> None:
    found = backends.trace(Backends("", jaeger), "ab", 3)
    assert [(s.id, s.parent, s.service) for s in found] == [
        ("s0", "", "app"), ("s1", "s0", "app"), ("s2", "s1", "app"),
    ]  # fmt: skip


def test_the_collector_that_is_named_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    found = backends.find(tmp_path, tmp_path)
    assert found == Backends("http://collector:4318")
    assert found.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
    assert "TELEMOCK_TRACE_URL" not in found.environ


def test_what_an_earlier_demo_left_is_found_again(tmp_path: Path, jaeger: str) -> None:
    left = Backends("http://127.0.0.1:1", jaeger, stop="kill 1")
    (tmp_path / "observability.json").write_bytes(msgspec.json.encode(left))
    assert backends.find(tmp_path, tmp_path) == left
    assert left.environ["TELEMOCK_TRACE_URL"] == jaeger + "/trace/{trace_id}"


@pytest.mark.parametrize("left", [b"", b"{}", b'{"otlp": "http://127.0.0.1:1", "jaeger": ""}'])
def test_without_any_it_says_what_helps(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "observability.json").write_bytes(left)
    with pytest.raises(
        processes.LocalError, match=r"no jaeger and prometheus in PATH(.|\n)*hint: "
    ):
        backends.find(tmp_path, tmp_path)


def test_compose_mounts_what_is_there() -> None:
    services = yaml.safe_load(backends.COMPOSE.read_text())["services"]
    profile = {n: s for n, s in services.items() if s.get("profiles") == ["observability"]}
    assert set(profile) == {"jaeger", "prometheus", "grafana"}
    for service in profile.values():
        for volume in service["volumes"]:
            assert (ROOT / volume.split(":")[0]).exists(), volume
    assert backends._METRICS in (backends.CONFIGURATION / "prometheus.yaml").read_text()
