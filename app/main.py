"""The server: `create_app()` wires settings, profiles, store, mock and API together.

`uvicorn app.main:app` and `telemock serve` run it. Importing this module only reads settings and
profiles; files are written once the server starts.
"""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import intake, profiles, read
from app.api.common import problem
from app.api.health import health
from app.api.openapi import describe
from app.auth import Denied
from app.contract.hosts import UNKNOWN, is_ours
from app.contract.names import HEADER_RECORD
from app.contract.record import Workload, text
from app.contract.semconv import method_of
from app.mock.mock import is_direct
from app.mock.request import hosts_of
from app.mock.websocket import websocket
from app.otel.metrics import Metrics
from app.otel.settings import read as read_otel
from app.otel.settings import resource_of
from app.profiles import ProfileSet
from app.runtime import Runtime
from app.settings import Settings, environment, load
from app.version import VERSION

_OPEN = frozenset(route.path for route in health.routes if isinstance(route, APIRoute))

# FastAPI's own would export raw queries; `app.mock.spans` makes masked ones.
_OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


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


class TelemockApp(FastAPI):
    """Keeps a reference to uvicorn's transport, which the fault `reset` aborts: middleware wraps
    `send` and hides it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            cycle = getattr(send, "__self__", None)
            scope["telemock.transport"] = getattr(cycle, "transport", None)
        await super().__call__(scope, receive, send)


def create_app(settings: Settings) -> FastAPI:
    """Raises ProfileError when the profiles cannot be used, SettingError for an OTEL_* variable."""
    boot = secrets.token_hex(16)
    pod = Workload(settings.pod_namespace, settings.pod_name, settings.pod_uid, settings.node_name)
    resource = resource_of(pod, "app", boot)
    asked = read_otel(environment(), service="telemock-app", version=VERSION, resource=resource)
    runtime = Runtime(settings, ProfileSet(settings.profiles), Metrics("app"), asked, boot)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with runtime.running():
            yield

    app = TelemockApp(
        title="telemock",
        summary="What a vendor's product sends home: known, proved and answered.",
        version=VERSION,
        lifespan=lifespan,
        # FastAPI's pages would load scripts from other sites.
        docs_url=None,
        redoc_url=None,
        telemetry=_OFF,
    )
    app.state.runtime = runtime
    app.add_middleware(Dispatcher, runtime=runtime)
    app.add_exception_handler(StarletteHTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Denied, _deny)
    app.include_router(health)
    for room in (intake, read, profiles):
        app.include_router(room.routes)
    describe(app)
    return app


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, StarletteHTTPException):
        raise error
    content: Any = error.detail
    if not isinstance(content, dict):
        content = problem(content, _HINTS.get(error.status_code, ""))
    return JSONResponse(content, error.status_code, headers=error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    found = [f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors()]
    return JSONResponse(
        problem("; ".join(found), "GET /openapi.json describes every parameter"), 422
    )


async def _deny(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, Denied):
        raise error
    text, _, hint = str(error).partition("\n\nhint: ")
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "5"}}
    return JSONResponse(problem(text, hint), error.status, headers.get(error.status))


_HINTS = {
    404: "the mock answers below /telemetry and for the profiles' hosts; the API is below /api/v1",
    405: "GET /openapi.json lists the methods of every path",
}


def __getattr__(name: str) -> Any:
    """Makes `app` on first access, by an ASGI server: other importers want `create_app` only."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()["app"] = create_app(load())
    return made
