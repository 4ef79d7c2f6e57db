"""One capture as its view shows it: what was sent, why it was taken, and what is not there.

Everything comes masked from the store; what is masked, cut or withheld says so and why.
"""

import math
import re
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from app.contract.actions import ACTIONS, OUTLINED
from app.contract.masking.fields import MASK, TOKEN
from app.contract.outcomes import OUTCOMES, outcome, word_of
from app.contract.record import REASONS, Body, CaptureRecord, Pair, decode, note, origin
from app.contract.rules import RuleSet
from app.escape import json_text
from app.report.decoded import decoded
from app.report.outgoing import outgoing
from app.store.inventory import classify

_FIELDS = 500  # values of a body that are listed
_DEEPEST = 32
_VALUE = 8_000  # characters of a value that are shown
_BODY = 64_000  # characters of a body that are shown
_RAW = 256_000


class FieldLine(NamedTuple):
    place: str
    name: str
    value: str
    type: str
    hidden: str  # why the value does not stand there, "" if it does


class BodyPart(NamedTuple):
    title: str
    size: int
    note: str  # why it is not whole, or not text
    text: str
    cut: bool


class HeaderPart(NamedTuple):
    title: str
    pairs: list[Pair]
    left_out: int


class Detail(NamedTuple):
    record: CaptureRecord
    word: str
    says: str
    title: str
    why: list[tuple[str, str]]
    facts: list[tuple[str, str]]
    fields: list[FieldLine]
    more_fields: bool
    bodies: list[BodyPart]
    headers: list[HeaderPart]
    curl: str
    raw: str
    trace_url: str


class _Added(msgspec.Struct):
    decoded: dict[str, Any] = {}
    trace_url: str = ""


def detail(line: bytes, rules: RuleSet, trace_url: str) -> Detail:
    record = decode(line)
    added = msgspec.json.decode(decoded(outgoing(line, trace_url)), type=_Added)
    id = outcome(record.kind, record.action, record.answered_by, record.reason)
    fields = list(_fields(record, added.decoded))
    raw = json_text(msgspec.json.format(line, indent=2))
    return Detail(
        record=record,
        word=word_of(id) if id else "",
        says=OUTCOMES[id].says if id else "a line of the sidecar's own log",
        title=_title(record),
        why=list(_why(record, rules)),
        facts=[(name, value) for name, value in _facts(record) if value],
        fields=fields[:_FIELDS],
        more_fields=len(fields) > _FIELDS,
        bodies=list(_bodies(record, added.decoded)),
        headers=list(_headers(record)),
        curl=curl(record),
        raw=raw[:_RAW] + ("…" if len(raw) > _RAW else ""),
        trace_url=added.trace_url if added.trace_url.startswith(("http://", "https://")) else "",
    )


def _title(record: CaptureRecord) -> str:
    if asked := record.request:
        return f"{asked.method} {origin(asked.scheme, record.host, asked.port)}{asked.path}"
    if record.log:
        return record.log.message
    return f"{record.kind} {record.host}"


def _why(record: CaptureRecord, rules: RuleSet) -> Iterator[tuple[str, str]]:
    if record.rule:
        known = rules.rule(record.profile, record.rule)
        gone = "" if known else " (not among the rules in use now)"
        yield "Rule", f"{record.profile} / {record.rule}{gone}"
    elif record.profile:
        yield "Rule", f"none of {record.profile} took it"
    elif record.kind != "log":
        yield "Rule", "no profile names this host"
    if record.action:
        yield "Action", f"{record.action}: {ACTIONS[record.action].help}"
    if record.mode:
        yield "Mode", f"{record.mode}, in place of the rule's action"
    if record.judged_by:
        yield "Judged by", f"{record.judged_by}, in another reading than it came in"
    if record.reason:
        yield "Reason", f"{REASONS.get(record.reason, record.reason)} ({record.reason})"
    if record.detail:
        yield "Detail", record.detail


def _facts(record: CaptureRecord) -> Iterator[tuple[str, str]]:
    by, client, to = record.workload, record.client, record.destination
    yield "Sender", f"{by.namespace}/{by.pod}".strip("/")
    yield "Node", by.node
    yield "Image", by.image
    yield "Product version", record.product_version
    if record.response:
        yield "Answer", f"{record.response.status} {record.response.reason}".strip()
    yield "Answered by", record.answered_by
    if record.duration_ns:
        yield "Took", f"{record.duration_ns / 1e6:.1f} ms"
    if client:
        yield "Client", f"{client.address} port {client.port}"
    if to:
        yield "Destination", f"{to.address} port {to.port}"
    if record.tls:
        tls = record.tls
        yield "TLS", " ".join(filter(None, (tls.version, tls.alpn, tls.sni and f"SNI {tls.sni}")))
    if record.sent or record.received:
        yield "Bytes", f"{record.sent:,} sent, {record.received:,} received"
    yield "Trace", record.trace_id
    yield "Id", record.id


def _fields(record: CaptureRecord, bodies: dict[str, Any]) -> Iterator[FieldLine]:
    if record.request:
        for name, value in record.request.query:
            yield _line("query", name, value, classify(value)[0])
    for part in ("request", "message"):
        body = _body_of(record, part)
        content = bodies.get(part, _json(body))
        if isinstance(content, dict | list):
            yield from _leaves("body", content, 0)


def _body_of(record: CaptureRecord, part: str) -> Body | None:
    holder = record.request if part == "request" else record.message
    return holder.body if holder else None


def _json(body: Body | None) -> Any:
    if body is None or body.text is None or body.text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return msgspec.json.decode(body.text)
    except (msgspec.DecodeError, RecursionError):
        return None


def _leaves(path: str, node: Any, depth: int) -> Iterator[FieldLine]:
    """The values of a document, each with its path; the first ones, as many as are shown."""
    stack: list[tuple[str, Any, int]] = [(path, node, depth)]
    left = _FIELDS + 1
    while stack and left:
        path, node, depth = stack.pop()
        if isinstance(node, dict) and node and depth < _DEEPEST:
            stack.extend((f"{path}.{n}", v, depth + 1) for n, v in reversed(node.items()))
        elif isinstance(node, list) and node and depth < _DEEPEST:
            stack.extend((f"{path}[{n}]", v, depth + 1) for n, v in reversed([*enumerate(node)]))
        else:
            left -= 1
            yield _line("body", path.partition(".")[2] or path, *_value(node))


def _value(node: Any) -> tuple[str, str]:
    match node:
        case None:
            return "null", "null"
        case bool():
            return str(node).lower(), "boolean"
        case int():
            return str(node), "integer"
        case float():
            return str(node) if math.isfinite(node) else "not a number", "number"
        case dict() | list():
            return "…" if node else "{}" if isinstance(node, dict) else "[]", type(node).__name__
    return str(node), "string" if node else "empty"


def _line(place: str, name: str, value: str, type: str) -> FieldLine:
    hidden = ""
    if value == MASK:
        hidden = "masked before it was written: the profile or a detector calls it sensitive"
    elif TOKEN.fullmatch(value):
        hidden = "replaced by a token: equal values have equal tokens"
    return FieldLine(place, name, _cut(value, _VALUE), type, hidden)


def _cut(text: str, cap: int) -> str:
    return text if len(text) <= cap else text[:cap] + "…"


def _bodies(record: CaptureRecord, opened: dict[str, Any]) -> Iterator[BodyPart]:
    parts = (
        ("Request body", "request", record.request and record.request.body),
        ("Answer's body", "response", record.response and record.response.body),
        ("Message", "message", record.message and record.message.body),
    )
    for title, part, body in parts:
        if not body or not (body.size or body.text or body.base64):
            continue
        content = opened.get(part, _json(body))
        if content is not None:
            text = json_text(msgspec.json.format(msgspec.json.encode(content), indent=2))
        else:
            text = body.text if body.text is not None else body.base64 or ""
        yield BodyPart(title, body.size, note(body), text[:_BODY], len(text) > _BODY)


def _headers(record: CaptureRecord) -> Iterator[HeaderPart]:
    if record.request:
        yield HeaderPart("Request headers", record.request.headers, record.request.left_out)
    if record.response:
        yield HeaderPart("Answer's headers", record.response.headers, record.response.left_out)


_SENT_BY_CURL = frozenset(("host", "content-length", "connection", "transfer-encoding"))


def curl(record: CaptureRecord) -> str:
    """The request as a command, with masked values as they are kept; "" without a request, or where
    it would not be the same request."""
    asked = record.request
    if asked is None or record.action in OUTLINED:
        return ""
    query = "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in asked.query)
    url = origin(asked.scheme, record.host, asked.port) + asked.path + (query and f"?{query}")
    words = ["curl", "--globoff", "--path-as-is", "-X", _word(asked.method), _word(url)]
    for name, value in asked.headers:
        if name.lower() not in _SENT_BY_CURL:
            words += ["-H", _word(f"{name}: {value}")]
    if asked.body and asked.body.text and not asked.body.truncated:
        words += ["--data-raw", _word(asked.body.text)]
    return " ".join(words)


def _word(text: str) -> str:
    """Quotes for bash. Characters that act on a terminal are written as escapes, because the
    command is pasted into one; `@` at the beginning would have curl read a file."""
    if text.isprintable():
        return shlex.quote(text)
    escaped = re.sub(r"(['\\])", r"\\\1", text)
    return "$'" + "".join(c if c.isprintable() else _escape(c) for c in escaped) + "'"


def _escape(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "replace"))
