import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from addon.diagnostics import health as telemetry
from addon.diagnostics.health import serve
from app.otel.metrics import Metrics


class Served:
    def __init__(self) -> None:
        self.missing = ""
        self.metrics = Metrics("sidecar")
        self.port = 0

    def health(self) -> dict[str, object]:
        if self.missing == "broken":
            raise RuntimeError(self.missing)
        return {"status": "ok", "uptime_s": 1.5}

    async def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        body = await reader.read()
        writer.close()
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        assert int(headers["content-length"]) == len(body)
        return int(head[0].split()[1]), headers, body


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    at = Served()
    server = await serve("127.0.0.1", 0, at.metrics, at.health, lambda: at.missing)
    at.port = server.sockets[0].getsockname()[1]
    yield at
    server.close()
    await server.wait_closed()


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()


async def test_health_is_json(served: Served) -> None:
    status, headers, body = await served.ask(get("/health?verbose=1"))
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body) == {"status": "ok", "uptime_s": 1.5}


async def test_ready_says_what_is_missing(served: Served) -> None:
    served.missing = "the profiles are not loaded"
    assert (await served.ask(get("/ready")))[::2] == (503, b"the profiles are not loaded\n")
    served.missing = ""
    assert (await served.ask(get("/ready")))[::2] == (200, b"ready\n")


async def test_metrics_are_prometheus_text(served: Served) -> None:
    served.metrics.add("telemock.ship.batches", ("accepted",))
    status, headers, body = await served.ask(get("/metrics"))
    assert status == 200 and headers["content-type"].startswith("text/plain; version=")
    assert b'telemock_ship_batches_total{telemock_outcome="accepted"} 1.0' in body


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/nothing"])
async def test_only_names_that_are_ours_are_answered(served: Served, path: str) -> None:
    for hosts in ("host: evil.test", "Host:evil.test:80", "host: localhost\r\nHOST: evil.test"):
        request = f"GET {path} HTTP/1.1\r\n{hosts}\r\n\r\n".encode()
        status, _, body = await served.ask(request)
        assert status == 421 and b"TELEMOCK_HEALTH_HOSTS" in body
    for hosts in ("", "host: 10.0.0.7:17444\r\n", "host: [::1]\r\n"):  # a probe, a scraper
        request = f"GET {path} HTTP/1.1\r\n{hosts}\r\n".encode()
        assert (await served.ask(request))[0] == (404 if path == "/nothing" else 200)


async def test_a_broken_callback_is_an_error_and_not_the_end(served: Served) -> None:
    served.missing = "broken"
    status, _, body = await served.ask(get("/health"))
    assert status == 500 and b"broken" not in body
    served.missing = ""
    assert (await served.ask(get("/health")))[0] == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get("/nothing"), 404),
        (b"POST /health HTTP/1.1\r\ncontent-length: 0\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /health SPDY/3\r\n\r\n", 400),
        (b"GET /\xff\xfe HTTP/1.1\r\n\r\n", 404),
        (b"GET /health HTTP/1.1\r\nx: " + b"x" * telemetry.HEAD_CAP + b"\r\n\r\n", 431),
    ],
)
async def test_bad_requests(served: Served, request_: bytes, status: int) -> None:
    assert (await served.ask(request_))[0] == status


async def test_a_slow_request_is_ended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "PATIENCE_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET /health HT")
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


async def test_connections_are_bounded(served: Served) -> None:
    idle = [
        await asyncio.open_connection("127.0.0.1", served.port)
        for _ in range(telemetry.CONNECTIONS)
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    for _, other in idle:
        other.close()
        await other.wait_closed()
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                assert (await served.ask(get("/health")))[0] == 200
                return


async def test_a_port_in_use_is_a_sentence_with_a_remedy(served: Served) -> None:
    with pytest.raises(OSError, match=f"port {served.port} on 127.0.0.1 is in use") as raised:
        await serve("127.0.0.1", served.port, served.metrics, served.health, lambda: "")
    assert "\n\nhint: stop the other process, or set TELEMOCK_HEALTH_PORT" in str(raised.value)
