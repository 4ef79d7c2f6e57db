"""Rules, records and the masking that the tests of the contract share."""

import base64
import gzip
from urllib.parse import parse_qsl

import msgspec

from app.contract import body as bodies
from app.contract import record as r
from app.contract.masking.masker import Masker
from app.contract.masking.spelling import How
from app.contract.record import Body, CaptureRecord, Request, Response
from app.contract.rules import Host, Part, Profile, Rule, RuleSet, Sensitive
from tests.planted import Sent

KEY = b"k" * 32
# With characters that URLs, JSON, HTML and base64 each write in their own way.
SECRET = 'Zq7/canary+"val&e?<9>=w'
PLAIN = "c4nary-0123456789"


def field(name: str, how: How, where: Part = "any") -> Sensitive:
    return Sensitive(where, name, how)


VENDOR = Profile(
    id="vendor",
    title="Vendor",
    hosts=(Host("vendor.example"),),
    rules=(
        Rule(id="plain", action="mock"),
        Rule(id="packed", action="mock", decoders=("gzip", "zstd", "json", "base64-in-json")),
    ),
    sensitive=(
        field("lic", "mask"),
        field("guid", "token"),
        field("kv", "drop"),
        field("user.id", "mask", "body"),
        field("account", "mask", "path"),
        field("api_key", "keep", "query"),
    ),
    safe_query=("v", "lic"),
)
HEADER_ONLY = Profile(
    id="headers",
    title="Headers",
    hosts=(Host("headers.example"),),
    rules=(),
    sensitive=(field("x-guid", "mask", "header"), field("cookie", "keep", "header")),
)
RULES = RuleSet((VENDOR, HEADER_ONLY))
MASKER = Masker(RULES, KEY, "k1")


def exchange(
    *,
    profile: str = "vendor",
    rule: str = "plain",
    route: str = "",
    response: Response | None = None,
    **request: object,
) -> CaptureRecord:
    return CaptureRecord(
        boot="0" * 16,
        seq=1,
        kind="exchange",
        time_ns=1,
        profile=profile,
        rule=rule,
        route=route,
        request=Request(**{"method": "GET", "host": "vendor.example"} | request),
        response=response,
    )


def posted(content: str | bytes, kind: str = "", **fields: object) -> CaptureRecord:
    data = content.encode() if isinstance(content, str) else content
    body = Body(size=len(data), truncated=bool(fields.pop("truncated", False)))
    if isinstance(content, str):
        body.text = content
    else:
        body.base64 = base64.b64encode(data).decode()
    return exchange(method="POST", headers=[("Content-Type", kind)], body=body, **fields)


def received(one: Sent, rule: str = "plain") -> CaptureRecord:
    """As the sidecar makes it of what a client sends."""
    headers = list(one.headers)
    body = None
    if one.body is not None:
        encoding = dict(headers).get("content-encoding", "")
        size = len(one.body) + one.truncated
        body = bodies.keep(one.body, size=size, sha256="", encoding=encoding, cap=r.BODY_CAP)
    query = parse_qsl(one.query, keep_blank_values=True)
    return exchange(rule=rule, path=one.path, query=query, headers=headers, body=body)


def sent(record: CaptureRecord) -> Request:
    assert record.request is not None
    return MASKER.record(record).request  # type: ignore[return-value]


def body_of(record: CaptureRecord) -> Body:
    body = sent(record).body
    assert body is not None
    return body


def everything(record: CaptureRecord) -> bytes:
    """The encoded record and every body in it, as the bytes it stands for."""
    bodies = [m.body for m in (record.request, record.response, record.message) if m and m.body]
    opened = [base64.b64decode(b.base64) for b in bodies if b.base64]
    opened += [b.text.encode() for b in bodies if b.text]
    unpacked = [gzip.decompress(d) for d in opened if d[:2] == b"\x1f\x8b"]
    return b"\n".join([r.encode(record), *opened, *unpacked])


# Without the `keep` that the other tests look at.
ORACLE = Masker(
    RuleSet((msgspec.structs.replace(VENDOR, sensitive=(Sensitive("any", "lic", "mask"),)),))
)
