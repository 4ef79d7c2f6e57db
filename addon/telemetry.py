"""What the sidecar tells about itself: instruments, and a small server for health and metrics.

The hooks and the shipper count here; `addon.main` starts the server in the proxy's event loop.
Instruments are made from the table in `app.contract.names`.
"""

import asyncio
import errno
import logging
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.contract.names import METRICS

LABEL_SETS = 200  # of one metric; what comes after them counts as "other"
HEAD_CAP = 8 * 1024  # bytes of a request's head
CONNECTIONS = 16  # at a time; a probe and a scraper need two
PATIENCE_S = 5.0  # for a request to arrive and its answer to leave

log = logging.getLogger(__name__)
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

_MADE_BY = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}


class Metrics:
    """The sidecar's instruments, by the name in the table. Any method from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._made: dict[str, Any] = {}
        self._children: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._sets: dict[str, int] = {}
        for row in METRICS:
            if row.of not in ("sidecar", "both"):
                continue
            self._made[row.name] = _MADE_BY[row.kind](
                row.prometheus, row.help, labelnames=row.labels, registry=self.registry
            )
            self._sets[row.name] = 0

    def add(self, name: str, labels: tuple[str, ...] = (), amount: float = 1) -> None:
        self._child(name, labels).inc(amount)

    def set(self, name: str, value: float) -> None:
        self._made[name].set(value)

    def observe(self, name: str, labels: tuple[str, ...], value: float) -> None:
        self._child(name, labels).observe(value)

    def _child(self, name: str, labels: tuple[str, ...]) -> Any:
        if not labels:
            return self._made[name]
        child = self._children.get((name, labels))
        return self._new_child(name, labels) if child is None else child

    def _new_child(self, name: str, labels: tuple[str, ...]) -> Any:
        with self._lock:
            if (name, labels) in self._children:
                return self._children[name, labels]
            if self._sets[name] >= LABEL_SETS:  # not remembered: there may be any number of them
                return self._made[name].labels(*("other" for _ in labels))
            self._sets[name] += 1
            child = self._children[name, labels] = self._made[name].labels(*labels)
            return child

    def render(self) -> bytes:
        """Prometheus text."""
        return prometheus_client.generate_latest(self.registry)


class _Answer(NamedTuple):
    status: HTTPStatus
    content_type: str
    body: bytes


Health = Callable[[], dict[str, Any]]
Ready = Callable[[], str]


async def serve(
    host: str, port: int, metrics: Metrics, health: Health, ready: Ready
) -> asyncio.Server:
    """Answer GET /health (`health()` as JSON), /ready (503 while `ready()` is a sentence that says
    what is missing, 200 once it is "") and /metrics, one request a connection.

    Raises OSError, with a text for people, when the address cannot be used.
    """
    open_now = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now
        if open_now >= CONNECTIONS:
            writer.transport.abort()
            return
        open_now += 1
        writer.transport.set_write_buffer_limits(0)  # drained means that the kernel has all of it
        try:
            async with asyncio.timeout(PATIENCE_S):
                writer.write(_rendered(_answer(await _target(reader), metrics, health, ready)))
                await writer.drain()
                writer.write_eof()
                while await reader.read(HEAD_CAP):  # closed with bytes unread, the answer is lost
                    pass
        except (OSError, asyncio.IncompleteReadError):  # the peer left, or is too slow to wait for
            writer.transport.abort()
        finally:
            open_now -= 1
            writer.close()

    try:
        return await asyncio.start_server(connected, host, port, limit=HEAD_CAP)
    except OSError as e:
        if e.errno != errno.EADDRINUSE:
            raise
        raise OSError(
            e.errno,
            f"port {port} on {host} is in use, health and metrics cannot be served there\n\n"
            "hint: stop the other process, or set TELEMOCK_HEALTH_PORT",
        ) from None


async def _target(reader: asyncio.StreamReader) -> str | HTTPStatus:
    """The path that is asked for, or why there is none."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return HTTPStatus.BAD_REQUEST
    if words[0] != b"GET":
        return HTTPStatus.METHOD_NOT_ALLOWED
    return words[1].decode("latin-1").partition("?")[0]


def _answer(target: str | HTTPStatus, metrics: Metrics, health: Health, ready: Ready) -> _Answer:
    if isinstance(target, HTTPStatus):
        return _text(target, target.phrase)
    try:
        if target == "/metrics":
            return _Answer(HTTPStatus.OK, prometheus_client.CONTENT_TYPE_LATEST, metrics.render())
        if target == "/health":
            return _Answer(HTTPStatus.OK, "application/json", msgspec.json.encode(health()) + b"\n")
        if target == "/ready":
            missing = ready()
            if missing:
                return _text(HTTPStatus.SERVICE_UNAVAILABLE, missing)
            return _text(HTTPStatus.OK, "ready")
    except Exception:
        log.exception("%s could not be answered", target)
        return _text(HTTPStatus.INTERNAL_SERVER_ERROR, "see the log")
    return _text(HTTPStatus.NOT_FOUND, "there are /health, /ready and /metrics")


def _text(status: HTTPStatus, sentence: str) -> _Answer:
    return _Answer(status, "text/plain; charset=utf-8", sentence.encode() + b"\n")


def _rendered(answer: _Answer) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
        f"content-type: {answer.content_type}\r\n"
        f"content-length: {len(answer.body)}\r\n"
        + ("allow: GET\r\n" if answer.status is HTTPStatus.METHOD_NOT_ALLOWED else "")
        + "cache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + answer.body
