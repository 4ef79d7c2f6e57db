"""The server: `create_app()` wires settings, profiles, store, mock and API together.

`uvicorn app.main:app` and `telemock serve` run it. Importing this module only reads settings and
profiles; files are written once the server starts.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import Receive, Scope, Send

from app import environment
from app.api import changes, intake, profiles, read
from app.api.common import problem
from app.api.health import health
from app.api.openapi import describe
from app.auth import Denied
from app.contract import state
from app.contract.names import DIR_LOGS, FILE_LAST_GOOD
from app.contract.record import Workload
from app.dispatch import Dispatcher
from app.otel.metrics import Metrics
from app.otel.settings import read as read_otel
from app.otel.settings import resource_of
from app.profiles import ProfileSet
from app.profiles.last_good import GoodFile
from app.runtime import Runtime
from app.settings import Settings, load
from app.version import VERSION
from app.web.mount import mount as mount_page

# FastAPI's own would export raw queries; `app.mock.spans` makes masked ones.
_OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


class TelemockApp(FastAPI):
    """Keeps a reference to uvicorn's cycle, for what ASGI cannot express (`app.mock.respond`):
    middleware wraps `send` and hides it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["telemock.cycle"] = getattr(send, "__self__", None)
        await super().__call__(scope, receive, send)


def create_app(settings: Settings) -> FastAPI:
    """Raises ProfileError when the profiles cannot be used, SettingError for an OTEL_* variable."""
    boot = secrets.token_hex(16)
    pod = Workload(settings.pod_namespace, settings.pod_name, settings.pod_uid, settings.node_name)
    resource = resource_of(pod, "app", boot)
    asked = read_otel(
        environment.server(), service="telemock-app", version=VERSION, resource=resource
    )
    # In a cluster a restart may come at any time, and must not end at a file that was refused.
    last_good = GoodFile(settings.data / FILE_LAST_GOOD) if settings.cluster else None
    profiles_in_use = ProfileSet(settings.profiles, last_good, settings.added)
    runtime = Runtime(settings, profiles_in_use, Metrics("app"), asked, boot)

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
    for room in (intake, read, profiles, changes):
        app.include_router(room.routes)
    mount_page(app)
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
    here = {"TELEMOCK_DATA": state.PROJECT, "TELEMOCK_LOGS": DIR_LOGS}
    made = globals()["app"] = create_app(load(here | environment.server()))
    return made
