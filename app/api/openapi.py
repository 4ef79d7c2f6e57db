"""Extends OpenAPI beyond the routes: the contract's types as schemas, examples, errors.

The route modules read it; `app.main` calls `describe` once the routes are there.
"""

from typing import Any

import msgspec
from fastapi import FastAPI

from app.contract.actions import MOCK
from app.contract.masking.fields import MASK
from app.contract.record import CaptureRecord
from app.contract.reviews import Kind, State
from app.contract.rules import Bundle
from app.profiles.explain import Explanation
from app.report.build import CoveragePart, Report
from app.report.classes import FieldClass
from app.report.compare import Comparison
from app.store import FieldRow
from app.store.changes import ChangePage, InboxItem

_REF = "#/components/schemas/{name}"


class OutgoingRecord(CaptureRecord, kw_only=True):
    """A record as the API returns it. `time` is `time_ns` as ISO 8601 in UTC, because no JavaScript
    number can hold it."""

    id: str
    time: str
    trace_url: str = ""


class CapturePage(msgspec.Struct):
    """`next` asks for the following page, null on the last; `last` follows what comes later."""

    items: list[OutgoingRecord]
    next: str | None
    last: str | None


class FieldList(msgspec.Struct):
    items: list[FieldRow]


class Deciding(msgspec.Struct, forbid_unknown_fields=True):
    """A decision as it is sent. `revision` is that of the item which was read: if somebody decided
    meanwhile, the answer is 409. `name` is who decides, only where the token names nobody."""

    state: State
    note: str = ""
    name: str = ""
    revision: int | None = None


class SayingClass(msgspec.Struct, forbid_unknown_fields=True):
    """A person's word for the class of a field; `none` takes it back. `name` as in Deciding."""

    class_: str = msgspec.field(name="class")
    name: str = ""


class DecidingOnAll(msgspec.Struct, forbid_unknown_fields=True):
    """A decision on all open items that fit. `until` is the highest id that was read: what came
    later stays open."""

    state: State
    until: int
    note: str = ""
    name: str = ""
    kind: Kind | None = None
    profile: str | None = None
    version: str | None = None
    text: str | None = None


class Decided(msgspec.Struct):
    decided: int


_TYPES = (
    CaptureRecord,
    CapturePage,
    FieldList,
    Report,
    Comparison,
    CoveragePart,
    Bundle,
    Explanation,
    InboxItem,
    ChangePage,
    Deciding,
    SayingClass,
    FieldClass,
    DecidingOnAll,
    Decided,
)

EXAMPLE_RECORD = {
    "schema": 1,
    "boot": "0123456789abcdef0123456789abcdef",
    "seq": 1,
    "kind": "exchange",
    "time_ns": 1790000000000000000,
    "duration_ns": 1200000,
    "workload": {"namespace": "logs", "pod": "cribl-0"},
    "profile": "cribl",
    "rule": "telemetry",
    "route": "/telemetry/index.html",
    "action": MOCK,
    "answered_by": "app",
    "request": {
        "method": "GET",
        "host": "cdn.cribl.io",
        "path": "/telemetry/index.html",
        "query": [["v", "4.16.1-20904e45"], ["lic", MASK]],
    },
    "response": {"status": 200},
    "product_version": "4.16.1-20904e45",
    "id": "0123456789abcdef0123456789abcdef-1",
    "time": "2026-09-21T14:13:20.000000000Z",
}


def json_content(description: str, example: Any = None, schema: str = "") -> dict[str, Any]:
    """Describes a response of that schema, for a route's `responses`."""
    content: dict[str, Any] = {
        "schema": {"$ref": _REF.format(name=schema)} if schema else {"type": "object"}
    }
    if example is not None:
        content["example"] = example
    return {"description": description, "content": {"application/json": content}}


def _problem(description: str) -> dict[str, Any]:
    return json_content(description, {"error": "what is wrong", "hint": "what to do"}, "Problem")


PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: _problem("The token is missing or wrong."),
    403: _problem("The caller is known, and may not do this."),
    422: _problem("A parameter cannot be used."),
    503: _problem("The store, or who decides about callers, cannot be used now."),
}


class Problem(msgspec.Struct):
    """The body of every error."""

    error: str
    hint: str


def describe(app: FastAPI) -> None:
    """Adds the contract's types to the app's OpenAPI."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            _, schemas = msgspec.json.schema_components([*_TYPES, Problem], ref_template=_REF)
            document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
