"""Takes batches of records from sidecars: `POST /api/v1/captures`.

`app.ingest` reads and stores the batches.
"""

import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from app.api.common import as_json, heard, refusal, router, runtime_of
from app.api.openapi import json_content
from app.auth import Caller, Pod, Policy
from app.contract.names import CONTENT_TYPE_RECORDS, HEADER_SIDECAR
from app.ingest.admission import Slow
from app.ingest.batch import (
    LINES_CAP,
    BatchError,
    ReadBatch,
    plain_size,
    read_body,
    receipt,
    told_by,
)
from app.ingest.reading import read
from app.runtime import Runtime
from app.store import StoreError, StoreFull, Written

SENDER = Policy(None, sidecar=True)

log = logging.getLogger(__name__)


class _Direct(APIRoute):
    """Calls its endpoint with the request alone: FastAPI's search for parameters costs as much as
    taking a record. Dependencies only document OpenAPI; the endpoint checks them itself."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


routes = router()
routes.route_class = _Direct


@routes.post(
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
    heard(request, runtime, sender)
    told = told_by(request.headers, sender.pod)
    try:
        async with runtime.arriving.place(known_as(request, sender)) as place:
            body = await read_body(request.stream(), place)
            arrived = time.perf_counter()
            encoding = request.headers.get("content-encoding", "")
            batch, taken = await in_turn(body, encoding, runtime, sender.pod)
    except ClientDisconnect:  # it waited too long for its turn, and will retry
        return Response(status_code=408)
    except BatchError as e:
        raise refusal(e.status, f"{e}\n\nhint: {e.hint}") from None
    except Slow as e:
        hint = "send the batch again, in one go"
        raise refusal(408, f"{e}\n\nhint: {hint}", {"Connection": "close"}) from None
    if runtime.is_trial(sender.pod):  # of `helm test`: no record, no report and no sum has it
        runtime.trials.extend(item.line for item in batch.records)
        runtime.budget.give(taken)
        return as_json(msgspec.json.encode(receipt(batch, _all_of(batch))))
    if not batch.records and not batch.refused and not told:  # a sidecar's last, empty batch
        return as_json(msgspec.json.encode(receipt(batch, Written([], 0, []))))
    try:  # the next batch is read meanwhile: batches that wait together share a commit
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
    return as_json(msgspec.json.encode(done))


def _all_of(batch: ReadBatch) -> Written:
    return Written(list(range(len(batch.records))), 0, [])


def known_as(request: Request, sender: Caller) -> str:
    """Names the sender for fair shares of the intake: its pod, else a machine's sidecar."""
    if sender.pod:
        return "/".join(sender.pod)
    host = request.client.host if request.client else ""
    return f"{host} {request.headers.get(HEADER_SIDECAR, '')}"


async def in_turn(
    body: bytes, encoding: str, runtime: Runtime, pod: Pod | None
) -> tuple[ReadBatch, int]:
    """Returns the batch, and the bytes it took of `runtime.budget`. Raises BatchError."""
    size = await runtime.decoding.take(plain_size(body, encoding))
    try:
        async with runtime.batches:
            batch, rebound = await read(body, encoding, pod, runtime.digest)
        if pod and rebound:
            runtime.metrics.add("telemock.ingest.rebound", (), rebound)
            log.warning("%d records of %s named another pod", rebound, "/".join(pod[:2]))
        return batch, await runtime.budget.take(sum(i.size for i in batch.records))
    finally:
        runtime.decoding.give(size)
