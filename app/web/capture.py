"""One capture as its view shows it: what was sent, why it was taken, and what is not there.

Everything comes masked from the store; what is masked, cut or withheld says so and why.
"""

import re
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from app.contract.actions import ACTIONS, OUTLINED
from app.contract.outcomes import OUTCOMES, outcome, word_of
from app.contract.record import REASONS, Body, CaptureRecord, decode, note, origin
from app.contract.rules import RuleSet
from app.escape import json_text
from app.report.decoded import decoded
from app.report.outgoing import outgoing
from app.store.classes import NO_WORDS, ClassWords
from app.web.beside import Compared
from app.web.content import MOST, FieldLine, hidden, values
from app.web.profiles import anchor, words

_BODY = 64_000  # characters of a body that are shown
_RAW = 256_000


class BodyPart(NamedTuple):
    title: str
    size: int
    note: str  # why it is not whole, or not text
    text: str
    cut: bool


class HeaderPart(NamedTuple):
    """`pairs`: name, value, and why the value is not as it was sent."""

    title: str
    pairs: list[tuple[str, str, str]]
    left_out: int


class WhyLine(NamedTuple):
    name: str
    value: str
    url: str = ""


class Detail(NamedTuple):
    record: CaptureRecord
    word: str
    says: str
    title: str
    why: list[WhyLine]
    facts: list[tuple[str, str]]
    fields: list[FieldLine]
    more_fields: bool
    bodies: list[BodyPart]
    headers: list[HeaderPart]
    curl: str
    raw: str
    trace_url: str
    compared: Compared | None = None


class _Added(msgspec.Struct):
    decoded: dict[str, Any] = {}
    trace_url: str = ""


def detail(
    line: bytes, rules: RuleSet, trace_url: str, words_on_classes: ClassWords = NO_WORDS
) -> Detail:
    record = decode(line)
    added = msgspec.json.decode(decoded(outgoing(line, trace_url)), type=_Added)
    id = outcome(record.kind, record.action, record.answered_by, record.reason)
    fields = values(record, words_on_classes)
    raw = json_text(msgspec.json.format(line, indent=2))
    return Detail(
        record=record,
        word=word_of(id) if id else "",
        says=OUTCOMES[id].says if id else "a line of the sidecar's own log",
        title=_title(record),
        why=list(_why(record, rules)),
        facts=[(name, value) for name, value in _facts(record) if value],
        fields=fields[:MOST],
        more_fields=len(fields) > MOST,
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


def _why(record: CaptureRecord, rules: RuleSet) -> Iterator[WhyLine]:
    if record.rule:
        known = rules.rule(record.profile, record.rule)
        gone = "" if known else " (not among the rules in use now)"
        url = f"/profiles#{anchor(record.profile, record.rule)}" if known else ""
        yield WhyLine("Rule", f"{record.profile} / {record.rule}{gone}", url)
        if known:
            yield WhyLine("It takes", words(known[1].match))
    elif record.profile:
        known_profile = any(profile.id == record.profile for profile in rules.profiles)
        url = f"/profiles#{anchor(record.profile)}" if known_profile else ""
        yield WhyLine("Rule", f"none of {record.profile} took it", url)
    elif record.kind != "log":
        yield WhyLine("Rule", "no profile names this host")
    if record.action:
        yield WhyLine("Action", f"{record.action}: {ACTIONS[record.action].help}")
    if record.mode:
        yield WhyLine("Mode", f"{record.mode}, in place of the rule's action")
    if record.judged_by:
        yield WhyLine("Judged by", f"{record.judged_by}, in another reading than it came in")
    if record.reason:
        yield WhyLine("Reason", f"{REASONS.get(record.reason, record.reason)} ({record.reason})")
    if record.detail:
        yield WhyLine("Detail", record.detail)
    if record.canary is not None:
        for source, field, how in record.canary.found:
            yield WhyLine("Known value", f"{field}: {source}, {how}")
        for why in record.canary.skipped:
            yield WhyLine("Not searched", why)


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


def _json(body: Body | None) -> Any:
    if body is None or body.text is None or body.text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return msgspec.json.decode(body.text)
    except (msgspec.DecodeError, RecursionError):
        return None


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
    for title, part in (("Request headers", record.request), ("Answer's headers", record.response)):
        if part:
            pairs = [(name, value, hidden(value)) for name, value in part.headers]
            yield HeaderPart(title, pairs, part.left_out)


_SENT_BY_CURL = frozenset(("host", "content-length", "connection", "transfer-encoding"))


def curl(record: CaptureRecord) -> str:
    """The request as a command, with masked values as they are kept; "" without a request, or where
    it would not be the same request."""
    asked = record.request
    if asked is None or record.action in OUTLINED:
        return ""
    # A mask stays readable.
    query = "&".join(f"{quote(n, safe='')}={quote(v, safe='*')}" for n, v in asked.query)
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
