"""Serves captures to people: lists, single captures, the report, the field inventory."""

from collections.abc import Collection, Sequence
from typing import Annotated, Literal

import msgspec
from fastapi import Depends, Query, Response

from app.analysis.of_namespaces import NamespaceRows
from app.api.common import (
    Getter,
    Lister,
    ProfileId,
    Run,
    Since,
    Until,
    as_json,
    ask,
    refusal,
    router,
    time_of,
)
from app.api.openapi import EXAMPLE_RECORD, json_content
from app.auth import Pod
from app.contract.record import Action, Kind, decode
from app.report import build as reports
from app.report.build import CoveragePart, Report, Rows
from app.report.compare import Comparison
from app.report.coverage import Gap
from app.report.outgoing import outgoing
from app.report.sides import Reading
from app.runtime import Runtime
from app.store import CaptureQuery, FieldRow, Page, QueryError, Scope, filter

routes = router()


async def scope_of(since: Since = None, until: Until = None, profile: ProfileId = None) -> Scope:
    return Scope(
        since_ns=time_of(since, "since"), until_ns=time_of(until, "until"), profile=profile
    )


InScope = Annotated[Scope, Depends(scope_of)]


@routes.get(
    "/captures",
    summary="List captures",
    responses={
        200: json_content(
            "One page. Each record has its `id`, and `time` beside `time_ns`; and its `trace_url` "
            "where TELEMOCK_TRACE_URL is set.",
            {"items": [EXAMPLE_RECORD], "next": None, "last": "…"},
            "CapturePage",
        )
    },
)
async def captures(
    runtime: Run,
    caller: Lister,
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
    q: Annotated[
        str | None,
        Query(
            description="In the filter language of the page and the command line.",
            examples=["host:*.cribl.io -status:2xx version>=4.16 field:lic since:7d"],
            max_length=filter.LONGEST,
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
        since_ns=time_of(since, "since"),
        until_ns=time_of(until, "until"),
        kind=kind,
        host=host,
        profile=profile,
        action=action,
        version=version,
        workload=workload,
        method=method,
        status=int(status) if status and status.isdigit() else status,
        text=text,
        namespaces=caller.namespaces,
        order=order,
        cursor=cursor,
        limit=limit,
    )
    if q:
        query = filtered(q, query)
    template = runtime.settings.trace_url

    def read() -> tuple[Page, list[bytes]]:
        if caller.namespaces is None and runtime.is_trial(_pod(workload)):
            page = Page(_trials(runtime, query), None, None)
        else:
            page = runtime.store.captures(query)
        return page, [outgoing(item, template) for item in page.items]

    page, items = await ask(read)
    return as_json(
        b'{"items":[' + b",".join(items) + b'],"next":' + msgspec.json.encode(page.next)
        + b',"last":' + msgspec.json.encode(page.last) + b"}"
    )  # fmt: skip


def filtered(q: str, query: CaptureQuery) -> CaptureQuery:
    try:
        return filter.read(q, query)
    except QueryError as e:
        raise refusal(422, f"q: {e}") from None


@routes.get(
    "/captures/{id}",
    summary="One capture",
    responses={
        200: json_content(
            "The record, with `id`, `time` and `trace_url` as in the list.",
            EXAMPLE_RECORD,
            "OutgoingRecord",
        ),
        404: {"description": "There is none of that id."},
    },
)
async def capture(runtime: Run, caller: Getter, id: str) -> Response:
    found = await ask(lambda: runtime.store.capture(id))
    if found is None or not may_read(caller.namespaces, found):
        raise refusal(
            404, f"there is no capture {id[:80]!r}\n\nhint: GET /api/v1/captures lists them"
        )
    return as_json(outgoing(found, runtime.settings.trace_url))


@routes.get(
    "/report",
    summary="What was sent, by whom, since when",
    responses={200: json_content("Every surface prints this.", None, "Report")},
)
async def report(
    runtime: Run,
    caller: Lister,
    scope: InScope,
) -> Response:
    built = await ask(lambda: built_for(runtime, caller.namespaces, scope))
    return as_json(msgspec.json.encode(built))


def built_for(runtime: Runtime, namespaces: tuple[str, ...] | None, scope: Scope) -> Report:
    """The report for somebody who may read these namespaces, None for all."""
    rows, gaps = _rows_of(runtime, namespaces, scope)
    return reports.build(
        rows,
        since_ns=scope.since_ns,
        until_ns=scope.until_ns,
        profile=scope.profile,
        # What the app as a whole lost is not theirs to know.
        dropped=runtime.writer.dropped if namespaces is None else {},
        papers=runtime.papers.in_use,
        find=runtime.papers.find,
        gaps=gaps,
        inbox=runtime.store.inbox(scope.profile) if namespaces is None else None,
        namespaces=namespaces,
    )


@routes.get(
    "/coverage",
    summary="Whether all was seen, and how that is known",
    responses={200: json_content("The report's verdict and ledger.", None, "CoveragePart")},
)
async def coverage(
    runtime: Run,
    caller: Lister,
    scope: InScope,
) -> Response:

    def cover() -> CoveragePart:
        rows, gaps = _rows_of(runtime, caller.namespaces, scope)
        return reports.cover(rows, scope, runtime.papers.in_use, gaps)

    return as_json(msgspec.json.encode(await ask(cover)))


def _rows_of(
    runtime: Runtime, namespaces: tuple[str, ...] | None, scope: Scope
) -> tuple[Rows, Sequence[Gap]]:
    """The rows of these namespaces, and what is known to be missing of them."""
    rows = runtime.rows()
    if namespaces is None:
        return rows, runtime.gaps()
    bound = NamespaceRows(rows, namespaces, scope, runtime.decoders)
    return bound, bound.gaps


@routes.get(
    "/fields",
    summary="The fields that were ever sent, by endpoint and version",
    responses={200: json_content("The inventory.", None, "FieldList")},
)
async def fields(
    runtime: Run,
    caller: Lister,
    scope: InScope,
) -> Response:
    found = await ask(lambda: fields_for(runtime, caller.namespaces, scope))
    return as_json(msgspec.json.encode({"items": found}))


@routes.get(
    "/diff",
    summary="The difference of two versions, images or times of a product",
    responses={
        200: json_content("What the other side added, left out and changed.", None, "Comparison")
    },
)
async def diff(
    runtime: Run,
    caller: Lister,
    one: Annotated[
        str,
        Query(
            description="A version, `image:IMAGE`, or `time:SINCE..UNTIL`; by default the version "
            "before the last.",
            examples=["4.16.1", "time:14d..7d"],
            max_length=1024,
        ),
    ] = "",
    other: Annotated[
        str,
        Query(description="Likewise; by default the last version.", max_length=1024),
    ] = "",
    profile: ProfileId = None,
) -> Response:
    def compared() -> Comparison:
        rows = fields_for(runtime, caller.namespaces, Scope())
        reading = Reading(runtime.store, rows, runtime.decoders, caller.namespaces)
        return reading.compared(profile or "", one, other)

    return as_json(msgspec.json.encode(await ask(compared)))


def fields_for(
    runtime: Runtime, namespaces: tuple[str, ...] | None, scope: Scope
) -> list[FieldRow]:
    """The inventory, as `built_for`."""
    if namespaces is None:
        return runtime.store.fields(scope)
    return NamespaceRows(runtime.rows(), namespaces, scope, runtime.decoders).fields(scope)


def _trials(runtime: Runtime, query: CaptureQuery) -> list[bytes]:
    """The records of `helm test`, which are not in the store."""
    found = []
    for line in reversed(runtime.trials):
        record = decode(line)
        if record.time_ns >= (query.since_ns or 0) and record.product_version == query.version:
            found.append(line)
    return found


def _pod(workload: str | None) -> Pod | None:
    namespace, _, name = (workload or "").partition("/")
    return Pod(namespace, name, "") if name else None


class _Sender(msgspec.Struct, frozen=True):
    namespace: str = ""


class _Sent(msgspec.Struct):
    workload: _Sender = _Sender()


def may_read(namespaces: Collection[str] | None, line: bytes) -> bool:
    if namespaces is None:
        return True
    return msgspec.json.decode(line, type=_Sent).workload.namespace in namespaces
