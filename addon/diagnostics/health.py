"""A small HTTP server for the sidecar's health, readiness and metrics.

`addon.process` starts it in the proxy's event loop.
"""

import asyncio
import errno
import logging
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from app.contract.hosts import UNKNOWN, is_ours
from app.otel.metrics import CONTENT_TYPE, Metrics

HEAD_CAP = 8 * 1024  # bytes of a request's head
CONNECTIONS = 16  # at a time; a probe and a scraper need two
PATIENCE_S = 5.0  # for a request to arrive and its answer to leave

log = logging.getLogger(__name__)


class _Answer(NamedTuple):
    status: HTTPStatus
    content_type: str
    body: bytes


Health = Callable[[], dict[str, Any]]
Ready = Callable[[], str]


async def serve(
    host: str,
    port: int,
    metrics: Metrics,
    health: Health,
    ready: Ready,
    names: Collection[str] = (),
) -> asyncio.Server:
    """Answers GET /health (`health()` as JSON), /ready (503 with the sentence of `ready()`, or 200
    once it is "") and /metrics, one request per connection. The Host header must be an address, a
    name that `is_ours` knows, or one of `names`.

    Raises OSError, with a text for people, if the address cannot be used.
    """
    open_now = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now
        if open_now >= CONNECTIONS:
            writer.transport.abort()
            return
        open_now += 1
        writer.transport.set_write_buffer_limits(0)  # drained: the kernel has taken all of it
        try:
            async with asyncio.timeout(PATIENCE_S):
                target = await _target(reader, names)
                writer.write(_rendered(_answer(target, metrics, health, ready)))
                await writer.drain()
                writer.write_eof()
                while await reader.read(HEAD_CAP):  # to close with unread bytes loses the answer
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


async def _target(reader: asyncio.StreamReader, names: Collection[str]) -> str | HTTPStatus:
    """The requested path, or the status that refuses the request."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    first, *fields = head.split(b"\r\n")
    words = first.split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return HTTPStatus.BAD_REQUEST
    if words[0] != b"GET":
        return HTTPStatus.METHOD_NOT_ALLOWED
    hosts = [f[5:].decode("latin-1") for f in fields if f[:5].lower() == b"host:"]
    if not all(is_ours(host, names) for host in hosts):
        return HTTPStatus.MISDIRECTED_REQUEST
    return words[1].decode("latin-1").partition("?")[0]


def _answer(target: str | HTTPStatus, metrics: Metrics, health: Health, ready: Ready) -> _Answer:
    if target is HTTPStatus.MISDIRECTED_REQUEST:
        return _text(target, UNKNOWN)
    if isinstance(target, HTTPStatus):
        return _text(target, target.phrase)
    try:
        if target == "/metrics":
            return _Answer(HTTPStatus.OK, CONTENT_TYPE, metrics.render())
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
