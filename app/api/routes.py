"""The read API, the intake of records, health and metrics.

`/api/v1/*` asks who calls (`app.auth`), the rest never does. Records go out as the store has
them: masked, and as JSON, which no client takes for a page.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from app.api.openapi import EXAMPLE_RECORD, PROBLEMS, json_content
from app.auth import Caller, Policy
from app.contract.names import CONTENT_TYPE_RECORDS, HEADER_AGAIN, HEADER_LEAVING, HEADER_SIDECAR
from app.contract.record import Action, Kind, Mode
from app.ingest.admission import Slow
from app.ingest.batch import LINES_CAP, BatchError, read_body, receipt, told_by
from app.ingest.reading import in_turn, known_as
from app.profiles import explain, seen_from_url
from app.report import build as reports
from app.report.trace_link import linked
from app.runtime import Runtime
from app.store import CaptureQuery, Page, QueryError, Scope, StoreError, StoreFull, Written

_AGE = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NS = 1_000_000_000

log = logging.getLogger(__name__)


class _Direct(APIRoute):
    """Calls its endpoint with the request and nothing else: what FastAPI does to find parameters
    costs as much as taking a record. Its dependencies are for OpenAPI, the endpoint asks them
    itself."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


intake = APIRouter(prefix="/api/v1", tags=["api"], responses=PROBLEMS, route_class=_Direct)
router = APIRouter(prefix="/api/v1", tags=["api"], responses=PROBLEMS)

GET, LIST = Depends(Policy("get")), Depends(Policy("list"))
SENDER = Policy(None, sidecar=True)
Reader = Annotated[Caller, Depends(Policy("get", sidecar=True))]


def problem(error: str, hint: str = "") -> dict[str, str]:
    """Every error's body."""
    return {"error": error, "hint": hint}


def refusal(status: int, text: str, headers: dict[str, str] | None = None) -> HTTPException:
    """From a text with `hint:` behind an empty line, as our errors are written."""
    error, _, hint = text.partition("\n\nhint: ")
    return HTTPException(status, problem(error, hint), headers)


async def runtime_of(request: Request) -> Runtime:  # FastAPI calls in a thread what is not async
    runtime: Runtime = request.app.state.runtime
    return runtime


Run = Annotated[Runtime, Depends(runtime_of)]


def instant(text: str | None, name: str) -> int | None:
    """Nanoseconds since 1970 (UTC) from such a number, an ISO 8601 time, or an age such as 90m, 24h
    or 7d. Raises HTTPException 422."""
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 19:
        return min(int(text), (1 << 63) - 1)
    age = _AGE.fullmatch(text)
    if age:
        return max(0, time.time_ns() - int(age[1]) * _UNITS[age[2]] * _NS)
    try:
        at = datetime.fromisoformat(text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000_000) * 1000
    except (ValueError, OverflowError):
        raise refusal(
            422,
            f"{name} is {text[:40]!r}, expected a time\n\n"
            "hint: write 2026-01-31T12:00:00Z, an age such as 24h, or nanoseconds since 1970",
        ) from None


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


@intake.post(
    "/captures",
    dependencies=[Depends(SENDER)],
    summary="Take a batch of records",
    responses={
        200: json_content(
            "Everything that was not refused is on disk.",
            {
                "stored": 2,
                "duplicates": 0,
                "refused": [{"line": 3, "reason": "Expected `int`, got `str` - at `$.seq`"}],
            },
        ),
        400: {"description": "The body cannot be decompressed."},
        413: {"description": "The batch is too large; send fewer records."},
        415: {"description": "The content encoding is not known."},
        507: {"description": "The disk is full; nothing was kept, send the batch again later."},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": f"One CaptureRecord a line, at most {LINES_CAP}; Content-Encoding zstd, "
            "gzip or none. Sending a batch again is harmless: a record is known by boot and seq.",
            "content": {CONTENT_TYPE_RECORDS: {"schema": {"type": "string"}}},
        }
    },
)
async def take(request: Request) -> Response:
    runtime = await runtime_of(request)
    sender = await SENDER(request)
    count = runtime.metrics.add
    _heard(request, runtime, sender)
    told = told_by(request.headers, sender.pod)
    try:
        async with runtime.arriving.place(known_as(request, sender)) as place:
            body = await read_body(request.stream(), place)
            arrived = time.perf_counter()
            encoding = request.headers.get("content-encoding", "")
            batch, taken = await in_turn(body, encoding, runtime, sender.pod)
    except ClientDisconnect:  # it waited too long for its turn, and comes again
        return Response(status_code=408)
    except BatchError as e:
        raise refusal(e.status, f"{e}\n\nhint: {e.hint}") from None
    except Slow as e:
        hint = "send the batch again, in one go"
        raise refusal(408, f"{e}\n\nhint: {hint}", {"Connection": "close"}) from None
    if not batch.records and not batch.refused and not told:  # a sidecar that takes leave
        return _json(msgspec.json.encode(receipt(batch, Written([], 0, []))))
    try:  # the next one is read meanwhile: those that wait together share a commit
        written = await runtime.writer.write(batch.records, told)
    except StoreFull as e:
        raise refusal(507, str(e), {"Retry-After": "5"}) from None
    except StoreError as e:
        raise refusal(503, str(e), {"Retry-After": "1"}) from None
    finally:
        runtime.budget.give(taken)
    runtime.metrics.observe("telemock.ingest.batch.duration", (), time.perf_counter() - arrived)
    runtime.metrics.observe("telemock.ingest.batch.size", (), len(batch.records))
    done = receipt(batch, written)
    for outcome, number in (
        ("stored", done.stored),
        ("duplicate", done.duplicates),
        ("refused", len(done.refused)),
    ):
        if number:
            count("telemock.ingest.records", (outcome,), number)
    return _json(msgspec.json.encode(done))


@router.get(
    "/captures",
    dependencies=[LIST],
    summary="List captures",
    responses={
        200: json_content(
            "One page; where TELEMOCK_TRACE_URL is set, each record has its `trace_url`.",
            {"items": [EXAMPLE_RECORD], "next": None, "last": "…"},
            "CapturePage",
        )
    },
)
async def captures(
    runtime: Run,
    since: Since = None,
    until: Until = None,
    kind: Annotated[Kind | None, Query(description="Only this kind of record.")] = None,
    host: Annotated[str | None, Query(examples=["cdn.cribl.io"], max_length=512)] = None,
    profile: ProfileId = None,
    action: Annotated[Action | None, Query(description="What was done with it.")] = None,
    version: Annotated[
        str | None,
        Query(description="Of the product.", examples=["4.16.1-20904e45"], max_length=512),
    ] = None,
    workload: Annotated[
        str | None,
        Query(
            description="`namespace/pod`, `namespace/` or `pod`.",
            examples=["logs/cribl-0"],
            max_length=1024,
        ),
    ] = None,
    method: Annotated[str | None, Query(examples=["GET"], max_length=64)] = None,
    status: Annotated[
        str | None,
        Query(
            description="A number, or a class.",
            examples=["200", "5xx"],
            pattern=r"^([1-9]\d{2}|0|[1-9]xx)$",
        ),
    ] = None,
    text: Annotated[
        str | None,
        Query(
            description="Anywhere in host, path, route, rule, version, namespace, pod or reason.",
            max_length=512,
        ),
    ] = None,
    order: Annotated[
        Literal["newest", "oldest", "arrival"],
        Query(description="By the records' time, or by when the store got them."),
    ] = "newest",
    cursor: Annotated[
        str | None,
        Query(description="`next` of the page before, or `last` to follow.", max_length=512),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    query = CaptureQuery(
        since_ns=instant(since, "since"),
        until_ns=instant(until, "until"),
        kind=kind,
        host=host,
        profile=profile,
        action=action,
        version=version,
        workload=workload,
        method=method,
        status=int(status) if status and status.isdigit() else status,
        text=text,
        order=order,
        cursor=cursor,
        limit=limit,
    )
    template = runtime.settings.trace_url

    def read() -> tuple[Page, list[bytes]]:
        page = runtime.store.captures(query)
        return page, [linked(item, template) for item in page.items]

    page, items = await _ask(read)
    return _json(
        b'{"items":[' + b",".join(items) + b'],"next":' + msgspec.json.encode(page.next)
        + b',"last":' + msgspec.json.encode(page.last) + b"}"
    )  # fmt: skip


@router.get(
    "/captures/{id}",
    dependencies=[GET],
    summary="One capture",
    responses={
        200: json_content(
            "The record, with `trace_url` as in the list.", EXAMPLE_RECORD, "CaptureRecord"
        ),
        404: {"description": "There is none of that id."},
    },
)
async def capture(runtime: Run, id: str) -> Response:
    found = await _ask(lambda: runtime.store.capture(id))
    if found is None:
        raise refusal(
            404, f"there is no capture {id[:80]!r}\n\nhint: GET /api/v1/captures lists them"
        )
    return _json(linked(found, runtime.settings.trace_url))


@router.get(
    "/report",
    dependencies=[LIST],
    summary="What was sent, by whom, since when",
    responses={200: json_content("Every surface prints this.", None, "Report")},
)
async def report(
    runtime: Run, since: Since = None, until: Until = None, profile: ProfileId = None
) -> Response:
    since_ns, until_ns = instant(since, "since"), instant(until, "until")
    built = await _ask(
        lambda: reports.build(
            runtime.store,
            since_ns=since_ns,
            until_ns=until_ns,
            profile=profile,
            dropped=runtime.writer.dropped,
        )
    )
    return _json(msgspec.json.encode(built))


@router.get(
    "/fields",
    dependencies=[LIST],
    summary="The fields that were ever sent, by endpoint and version",
    responses={200: json_content("The inventory.", None, "FieldList")},
)
async def fields(
    runtime: Run, since: Since = None, until: Until = None, profile: ProfileId = None
) -> Response:
    scope = Scope(
        since_ns=instant(since, "since"), until_ns=instant(until, "until"), profile=profile
    )
    rows = await _ask(lambda: runtime.store.fields(scope))
    return _json(msgspec.json.encode({"items": rows}))


@router.get(
    "/profiles",
    summary="The compiled profiles, for sidecars",
    responses={
        200: json_content(
            "Rules; for sidecars also the key that makes masked values' tokens.", None, "Bundle"
        ),
        304: {"description": "They are those of the ETag in If-None-Match."},
    },
)
async def profiles(request: Request, runtime: Run, reader: Reader) -> Response:
    if reader.sidecar:
        _heard(request, runtime, reader)
    etag, bundle = runtime.bundle(with_key=reader.sidecar)
    headers = {"ETag": etag, HEADER_AGAIN: str(runtime.sidecars.again_s())}
    known = [
        t.strip().removeprefix("W/") for t in request.headers.get("if-none-match", "").split(",")
    ]
    if etag in known:
        return Response(status_code=304, headers=headers)
    return _json(bundle, headers)


@router.get(
    "/explain",
    dependencies=[GET],
    summary="Which rule takes a request, and why not the others",
    responses={200: json_content("The judgement of every rule.", None, "Explanation")},
)
async def explanation(
    runtime: Run,
    url: Annotated[
        str,
        Query(examples=["https://cdn.cribl.io/telemetry/index.html?v=4.16.1"], max_length=16384),
    ],
    method: Annotated[str, Query(max_length=64)] = "GET",
    host: Annotated[
        str, Query(max_length=512, description="What the Host header says; by default as the URL.")
    ] = "",
    mode: Annotated[
        Mode | None, Query(description="In place of mock; without it, the mode of this app.")
    ] = None,
) -> Response:
    try:
        seen = seen_from_url(url, method, [("Host", host)] if host else [])
    except ValueError as e:
        raise refusal(422, str(e)[:500]) from None
    found = explain(runtime.rules, seen, mode or runtime.settings.mode)
    return _json(msgspec.json.encode(found))


def _heard(request: Request, runtime: Runtime, sidecar: Caller) -> None:
    headers = request.headers
    runtime.sidecars.heard(
        sidecar.pod, headers.get(HEADER_SIDECAR, ""), leaving=HEADER_LEAVING in headers
    )


async def _ask[T](question: Callable[[], T]) -> T:
    """Of the store, in a thread."""
    try:
        return await asyncio.to_thread(question)
    except QueryError as e:
        raise refusal(422, str(e)) from None
    except StoreError as e:
        raise refusal(503, str(e), {"Retry-After": "1"}) from None


def _json(content: bytes, headers: dict[str, str] | None = None) -> Response:
    # Captured text is in it: no browser may guess another type, no cache may keep it.
    fixed = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="application/json", headers={**fixed, **(headers or {})})
