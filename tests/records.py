"""Records as sidecars send them, for tests of what keeps and shows them."""

import itertools
from typing import Any

from app.contract.record import (
    Body,
    CaptureRecord,
    Endpoint,
    Log,
    Request,
    Response,
    Tls,
    Workload,
    decode,
    encode,
)
from app.logs.files import request_log
from app.store import Decoded, Incoming
from app.store.facts import body_fields, facts

BOOT = "ab" * 16
OTHER_BOOT = "cd" * 16
T0 = 1_790_000_000 * 10**9  # in 2026, on no hour's edge
SECOND = 10**9
HOUR = 3_600 * SECOND

_numbers = itertools.count(1)


def exchange(seq: int | None = None, **given: Any) -> CaptureRecord:
    """A GET as Cribl's; `query`, `headers`, `body`, `method`, `host`, `path`, `status`, `pod` and
    `namespace` go where they belong, the rest into the record."""
    version = given.get("product_version", "4.16.1-20904e45")
    request = Request(
        method=given.pop("method", "GET"),
        host=given.pop("host", "cdn.cribl.io"),
        path=given.pop("path", "/telemetry/index.html"),
        query=given.pop("query", [("v", version), ("os", "linux"), ("ib", "12")]),
        headers=given.pop("headers", [("Host", "cdn.cribl.io"), ("User-Agent", "node")]),
        body=given.pop("body", None),
    )
    workload = Workload(namespace=given.pop("namespace", "logs"), pod=given.pop("pod", "leader-0"))
    response = Response(
        status=given.pop("status", 200),
        headers=[("content-type", "text/html")],
        body=Body(text="cribl /// living the stream!\n", size=29),
    )
    record = {
        "boot": BOOT,
        "seq": next(_numbers) if seq is None else seq,
        "kind": "exchange",
        "time_ns": T0,
        "duration_ns": 2_500_000,
        "workload": workload,
        "profile": "cribl",
        "rule": "telemetry",
        "route": "/telemetry/index.html",
        "action": "mock",
        "answered_by": "app",
        "client": Endpoint(address="10.1.2.3", port=40000),
        "request": request,
        "response": response,
        "product_version": version,
    }
    return CaptureRecord(**(record | given))


def spliced(seq: int, host: str = "other.example", **given: Any) -> CaptureRecord:
    record = {
        "boot": BOOT,
        "seq": seq,
        "kind": "spliced",
        "time_ns": T0,
        "action": "pass",
        "reason": "not_named",
        "tls": Tls(sni=host),
        "sent": 100,
        "received": 2_000,
    }
    return CaptureRecord(**(record | given))


def log(seq: int, message: str, **given: Any) -> CaptureRecord:
    record = {
        "boot": BOOT,
        "seq": seq,
        "kind": "log",
        "time_ns": T0,
        "workload": Workload(namespace="logs", pod="leader-0"),
        "log": Log(level="WARNING", message=message, logger="mitmproxy"),
    }
    return CaptureRecord(**(record | given))


def incoming(*records: CaptureRecord) -> list[Incoming]:
    return [decoded(encode(record), record) for record in records]


def decoded(line: bytes, record: CaptureRecord | None = None) -> Incoming:
    record = record or decode(line)
    known = facts(record)
    return Decoded(record, known, line, request_log(record, body_fields(known), known.events))
