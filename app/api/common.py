"""Shared by the routes below `/api/v1`: errors, parameters, questions to the store.

`/api/v1/*` checks the caller (`app.auth`). Records go out as the store has them: masked, and as
JSON, which no client takes for a page.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response

from app.api.openapi import PROBLEMS
from app.auth import Caller, Policy
from app.contract.instant import instant
from app.contract.names import HEADER_LEAVING, HEADER_PRESENCE, HEADER_SIDECAR
from app.runtime import Runtime
from app.store import QueryError, StoreError, questions

GET = Depends(Policy("get"))
# Of people who may read the captures of some namespaces only, the caller's bound comes with them.
Getter = Annotated[Caller, Depends(Policy("get", bounded=True))]
Lister = Annotated[Caller, Depends(Policy("list", bounded=True))]


def router() -> APIRouter:
    return APIRouter(prefix="/api/v1", tags=["api"], responses=PROBLEMS)


def problem(error: str, hint: str = "") -> dict[str, str]:
    """The body of every error."""
    return {"error": error, "hint": hint}


def refusal(status: int, text: str, headers: dict[str, str] | None = None) -> HTTPException:
    """Builds the exception from our error text, whose `hint:` stands behind an empty line."""
    error, _, hint = text.partition("\n\nhint: ")
    return HTTPException(status, problem(error, hint), headers)


async def runtime_of(request: Request) -> Runtime:  # FastAPI calls in a thread what is not async
    runtime: Runtime = request.app.state.runtime
    return runtime


Run = Annotated[Runtime, Depends(runtime_of)]


def time_of(text: str | None, name: str) -> int | None:
    """Parses a time to nanoseconds since 1970. Raises HTTPException 422."""
    try:
        return instant(text) if text else None
    except ValueError as e:
        raise refusal(422, f"{name}: {e}") from None


Since = Annotated[
    str | None,
    Query(
        description="From then on: ISO 8601, an age (`90m`, `24h`, `7d`), or nanoseconds.",
        examples=["24h"],
    ),
]
Until = Annotated[str | None, Query(description="Before then, written like `since`.")]
ProfileId = Annotated[
    str | None, Query(description="Only this profile.", examples=["cribl"], max_length=512)
]


def heard(request: Request, runtime: Runtime, sidecar: Caller) -> None:
    if runtime.is_trial(sidecar.pod):
        return
    headers = request.headers
    runtime.sidecars.heard(
        sidecar.pod,
        headers.get(HEADER_SIDECAR, ""),
        leaving=HEADER_LEAVING in headers,
        said=headers.get(HEADER_PRESENCE, ""),
    )


async def ask[T](question: Callable[[], T]) -> T:
    """Asks the store."""
    try:
        return await questions.ask(question)
    except QueryError as e:
        raise refusal(422, str(e)) from None
    except StoreError as e:
        raise refusal(503, str(e), {"Retry-After": "1"}) from None


def as_json(content: bytes, headers: dict[str, str] | None = None) -> Response:
    # Captured text is in it: no browser may guess another type, no cache may keep it.
    fixed = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="application/json", headers={**fixed, **(headers or {})})
