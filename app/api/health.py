"""Health, readiness and metrics: the routes that need no token.

Every port serves them, beside those below `/api/v1`.
"""

import time
from typing import Any

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.auth import Policy
from app.otel.metrics import CONTENT_TYPE
from app.runtime import Runtime
from app.version import VERSION

health = APIRouter(tags=["health"])


@health.get(
    "/health",
    summary="How the app is",
    response_description="Always 200 while the process answers.",
)
async def alive(runtime: Run) -> dict[str, Any]:
    parts = await runtime.health()
    return {
        "status": _status(parts),
        "uptime_s": round(time.monotonic() - runtime.started, 3),
        "version": VERSION,
        "boot": runtime.boot,
        **parts,
    }


@health.get(
    "/ready",
    summary="Whether the mock answers and the API can be reached",
    response_description="Also while the disk is full or the store fails: then `status` is "
    "degraded and says why. The mock answers, and records wait with their senders.",
    responses={503: {"description": "The API cannot be reached; `error` says why."}},
)
async def ready(response: Response, runtime: Run) -> dict[str, Any]:
    # A pod that is not ready loses its traffic: only what the mock depends on may make it so.
    parts = await runtime.health()
    is_ready = bool(parts.get("tls", {"ok": True})["ok"])
    response.status_code = 200 if is_ready else 503
    shown: dict[str, Any] = {
        name: parts[name] for name in ("degraded", "store", "tls") if name in parts
    }
    return {"ready": is_ready, "status": _status(parts), **shown}


@health.get(
    "/metrics",
    summary="Prometheus text; in a cluster names of namespaces, workloads and hosts only over TLS, "
    "with a token that may read captures",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    response_class=Response,
)
async def metrics(request: Request, runtime: Run) -> Response:
    await runtime.measure()
    names = await may_see_names(request, runtime)
    return Response(runtime.metrics.render(names=names), media_type=CONTENT_TYPE)


async def may_see_names(request: Request, runtime: Runtime) -> bool:
    """True for whom may read captures, in a cluster; a wrong token is refused. Raises Denied."""
    settings = runtime.settings
    if not settings.cluster or settings.metrics_names:
        return True
    if request.url.scheme != "https" or "authorization" not in request.headers:
        return False
    await Policy("get")(request)
    return True


def _status(parts: dict[str, Any]) -> str:
    tls = parts.get("tls", {"ok": True})
    well = tls["ok"] and not parts["degraded"] and not parts["profiles"]["error"]
    return "ok" if well else "degraded"
