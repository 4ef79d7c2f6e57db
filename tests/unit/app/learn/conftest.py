"""Requests that a vendor answered, for drafts."""

from typing import Any

from app.contract import body as bodies
from app.contract.record import CaptureRecord, Response
from tests.records import exchange


def request(at: float = 0, path: str = "/v1/usage", **given: Any) -> CaptureRecord:
    """A POST of JSON at this second; `sent` is its body, `answer` (status, type, body) what the
    vendor said, None for no answer."""
    sent, answer = given.pop("sent", b"{}"), given.pop("answer", None)
    record = exchange(
        method=given.pop("method", "POST"),
        host=given.pop("host", "stats.acme.test"),
        path=path,
        query=given.pop("query", []),
        headers=given.pop("headers", [("content-type", "application/json")]),
        body=bodies.whole(sent),
        route="/*", profile="opened", rule="all", action="observe", product_version="",
        time_ns=1_796_000_000 * 10**9 + int(at * 10**9), **given,
    )  # fmt: skip
    record.response, record.answered_by = None, ""
    if answer:
        status, kind, body = answer
        headers = [("content-type", kind), ("set-cookie", "s=1"), ("content-length", "9")]
        record.response = Response(status=status, headers=headers, body=bodies.whole(body))
        record.answered_by = "upstream"
    return record
