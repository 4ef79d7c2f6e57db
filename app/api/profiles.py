"""Serves the profiles in use to sidecars, and tells people which rule takes a request."""

from typing import Annotated

import msgspec
from fastapi import Depends, Query, Request, Response

from app.api.common import GET, Run, as_json, heard, refusal, router
from app.api.openapi import json_content
from app.auth import Caller, Policy
from app.contract.names import HEADER_AGAIN
from app.contract.record import Mode
from app.profiles import explain, seen_from_url

Reader = Annotated[Caller, Depends(Policy("get", sidecar=True))]

routes = router()


@routes.get(
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
        heard(request, runtime, reader)
    etag, bundle = runtime.bundle(with_key=reader.sidecar)
    headers = {"ETag": etag, HEADER_AGAIN: str(runtime.sidecars.again_s())}
    known = [
        t.strip().removeprefix("W/") for t in request.headers.get("if-none-match", "").split(",")
    ]
    if etag in known:
        return Response(status_code=304, headers=headers)
    return as_json(bundle, headers)


@routes.get(
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
    return as_json(msgspec.json.encode(found))
