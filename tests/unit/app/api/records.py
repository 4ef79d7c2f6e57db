"""Records and batches of them, for the API's tests."""

import gzip
from typing import Any

import httpx
import zstandard

from app.contract.record import CaptureRecord, Request, Response, encode
from tests.serving import Served

BOOT = "feedfeedfeedfeed"


def line(seq: int, **changes: Any) -> bytes:
    values: dict[str, Any] = {
        "boot": BOOT,
        "seq": seq,
        "kind": "exchange",
        "time_ns": 1_790_000_000_000_000_000 + seq,
        "profile": "cribl",
        "rule": "telemetry",
        "route": "/telemetry/index.html",
        "action": "mock",
        "product_version": "4.16.1",
        "request": Request(method="GET", host="cdn.cribl.io", query=[("v", "4.16.1")]),
        "response": Response(status=200),
        **changes,
    }
    return encode(CaptureRecord(**values))


def post(served: Served, *lines: bytes, encoding: str = "") -> httpx.Response:
    body = b"\n".join(lines)
    if encoding == "gzip":
        body = gzip.compress(body)
    elif encoding == "zstd":
        body = zstandard.compress(body)
    headers = {"content-type": "application/x-ndjson"}
    if encoding:
        headers["content-encoding"] = encoding
    return served.client.post("/api/v1/captures", content=body, headers=headers)
