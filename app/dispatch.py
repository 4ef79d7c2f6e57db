"""Passes each request to the mock or to the API, by Host, headers, path and port.

Put around the app by `app.main`.
"""

import time
from typing import Any

from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.common import problem
from app.api.health import health
from app.contract.hosts import UNKNOWN, is_ours
from app.contract.names import HEADER_RECORD, SCOPE_STREAM
from app.contract.record import text
from app.contract.semconv import method_of
from app.mock.mock import is_direct
from app.mock.request import hosts_of
from app.mock.websocket import websocket
from app.runtime import Runtime

_OPEN = frozenset(route.path for route in health.routes if isinstance(route, APIRoute))


class Dispatcher:
    """Routes by Host: requests for a profile's host, from a sidecar or below /telemetry go to the
    mock, others to API, health and metrics, measured here; the mock measures itself.

    In a cluster the port decides first: the API is reached over TLS only, the mock never is.
    """

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self._app = app
        self._runtime = runtime
        self._cluster = runtime.settings.cluster

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        to_mock = self._is_mock(scope)
        app = self._runtime.mock if to_mock else self._app
        if self._cluster and not to_mock and not self._is_open(scope):
            app = _elsewhere
        elif not to_mock and scope["path"] in _OPEN and not self._is_ours(scope):
            app = _misdirected
        if to_mock and scope["type"] == "websocket":
            await websocket(self._runtime.mock, scope, receive, send)
            return
        if to_mock or scope["type"] == "websocket":
            await app(scope, receive, send)
            return
        started = time.perf_counter()
        status, error = 0, ""

        async def watched(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, watched)
        except Exception as e:
            error = type(e).__name__
            raise
        finally:
            error = error or (str(status) if status >= 500 else "")
            if not scope.get(SCOPE_STREAM):  # such a one takes as long as its reader likes
                self._runtime.metrics.observe(
                    "http.server.request.duration",
                    (method_of(scope["method"]), scope["scheme"], str(status or ""), error, ""),
                    time.perf_counter() - started,
                )

    def _is_mock(self, scope: Scope) -> bool:
        if self._cluster and _is_tls(scope):
            return False
        record = HEADER_RECORD.encode()
        return (
            is_direct(text(scope.get("raw_path") or scope["path"]))
            or any(name == record for name, _ in scope["headers"])
            or any(map(self._runtime.rules.of_host, hosts_of(scope)))
        )

    def _is_ours(self, scope: Scope) -> bool:
        names = self._runtime.settings.health_hosts
        hosts = (v.decode("latin-1") for n, v in scope["headers"] if n == b"host")
        return all(is_ours(host, names) for host in hosts) or all(
            map(self._is_below, hosts_of(scope))
        )

    def _is_below(self, name: str) -> bool:
        """True for a subdomain of a profile's host: only its vendor can point such a name here."""
        while (name := name.partition(".")[2]) and "." in name:
            if self._runtime.rules.of_host(name):
                return True
        return False

    def _is_open(self, scope: Scope) -> bool:
        return _is_tls(scope) or scope["path"] in _OPEN


def _is_tls(scope: Scope) -> bool:
    """True if the server itself saw TLS; headers do not count."""
    return scope["scheme"] in ("https", "wss")


async def _elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    said = problem(
        "nothing is answered here without TLS but the mock, /health, /ready and /metrics",
        "the API is on the release's Service, port https; `telemock --help` says how to ask it",
    )
    await JSONResponse(said, 404)(scope, receive, send)


async def _misdirected(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(UNKNOWN, 421)(scope, receive, send)
