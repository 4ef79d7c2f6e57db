"""Reads one entry of a HAR as a record. Called by `har`.

Each size is bounded, and what is wrong has a place in the entry, a value and a remedy.
"""

import base64
import binascii
import contextlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import idna
import msgspec

from app.contract import body as bodies
from app.contract.canonical import pairs_of
from app.contract.names import WEB_PORTS
from app.contract.record import (
    HEADER_CAP,
    QUERY_CAP,
    REASONS,
    VALUE_CAP,
    Body,
    CaptureRecord,
    Message,
    Pair,
    Request,
    Response,
    clip,
    cut,
    first,
    short,
    text,
)
from app.profiles.problems import shown

ENTRY_CAP = 8 << 20  # of one of its entries
LAST_YEAR = 2200  # of its times: a record's are nanoseconds, which end in 2262
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*|[0-9a-f:.]{2,45}")
MESSAGES = 1_000  # of a WebSocket that are read
SEQS = 1_000_000  # above the numbers of entries, for those of messages
_BINARY = 2  # an opcode
_IN_PATH = "/%:@!$&'()*+,;=~"
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class _Value(msgspec.Struct):
    name: str
    value: str | None = ""


class _Carried(msgspec.Struct):
    mimeType: str | None = ""
    text: str | None = None
    params: list[_Value] | None = None
    encoding: str | None = ""
    comment: str | None = ""
    file: str | None = msgspec.field(default="", name="_file")


class _Asked(msgspec.Struct):
    method: str
    url: str
    httpVersion: str | None = ""
    headers: list[_Value] = []
    postData: _Carried | None = None


class _Answered(msgspec.Struct):
    status: int | None = 0
    statusText: str | None = ""
    headers: list[_Value] = []
    content: _Carried | None = None


class _Frame(msgspec.Struct):
    """A message of a WebSocket, as Chrome and others have them."""

    type: str | None = ""
    time: float | None = 0.0
    opcode: float | None = 1.0
    data: str | None = ""


class _Entry(msgspec.Struct):
    startedDateTime: str
    request: _Asked
    time: float | None = 0.0
    response: _Answered | None = None
    messages: list[_Frame] | None = msgspec.field(default=None, name="_webSocketMessages")


class BadHar(Exception):
    def __init__(self, where: str, value: object, message: str, hint: str) -> None:
        super().__init__(message)
        self.where, self.value, self.message, self.hint = where, value, message, hint


def twice(where: str, names: Counter[str]) -> BadHar:
    (key, _), *_ = names.most_common(1)
    message = f"the key {shown(key)} stands twice in one object"
    return BadHar(where, key, message, "programs take different ones of the two: remove one")


def told(error: msgspec.ValidationError) -> tuple[str, str]:
    """The place in msgspec's words as a path of ours, and what is wrong there."""
    message, _, place = str(error).partition(" - at `$")
    return place.rstrip("`").lstrip("."), message[:1].lower() + message[1:]


def records(raw: bytes, boot: str, number: int, left_out: Counter[str]) -> Iterator[CaptureRecord]:
    """The exchange of an entry, and the messages of its WebSocket."""
    entry = _entry(raw)
    if (opener := _exchange(entry, boot, number, left_out)) is None:
        return
    yield opener
    frames = entry.messages or []
    if more := len(frames[MESSAGES:]):
        left_out["not read: further messages of a WebSocket"] += more
    for at, frame in enumerate(frames[:MESSAGES], 1):
        yield _message(opener, at, frame)


def _message(opener: CaptureRecord, at: int, frame: _Frame) -> CaptureRecord:
    """In the order of the list, which is that of their time."""
    data = text(frame.data or "").encode()
    if frame.opcode == _BINARY:
        with contextlib.suppress(ValueError):
            data = base64.b64decode(data, validate=True)
    sender: Literal["client", "server"] = "client" if frame.type == "send" else "server"
    return CaptureRecord(
        boot=opener.boot, seq=opener.seq + at * SEQS, kind="message", time_ns=opener.time_ns + at,
        message=Message(of=opener.id, sender=sender, body=bodies.whole(data)),
    )  # fmt: skip


def _exchange(
    entry: _Entry, boot: str, number: int, left_out: Counter[str]
) -> CaptureRecord | None:
    url = _url(entry.request.url)
    if url.scheme not in _SCHEMES:
        left_out["no http: a request to another kind of address"] += 1
        return None
    if not _METHOD.fullmatch(entry.request.method):
        hint = "a method is a word such as GET"
        raise _wrong("request.method", entry.request.method, "is no HTTP method", hint)
    posted = entry.request.postData
    request = _request(entry.request, url)
    answer = entry.response
    response = None
    if answer is not None and answer.status:
        response = _response(answer)
    found = CaptureRecord(
        boot=boot, seq=number + 1, kind="exchange", time_ns=_time(entry.startedDateTime),
        duration_ns=_duration(entry.time), request=request, response=response,
        answered_by="upstream" if response else "",
    )  # fmt: skip
    parts = (("request", posted), ("response", answer.content if answer else None))
    for part, of in parts:
        if of is not None and of.file:
            left_out[f"not read: the {part}'s body is in a file beside the HAR"] += 1
    return found


def _wrong(where: str, value: object, message: str, hint: str) -> BadHar:
    return BadHar(where, value, f"{shown(value)} {message}", hint)


def _entry(raw: bytes) -> _Entry:
    if len(raw) > ENTRY_CAP:
        message = f"is larger than {ENTRY_CAP >> 20} MiB"
        raise BadHar("", len(raw), message, "leave this entry out, or the body of its answer")
    try:
        found = json.loads(raw, object_pairs_hook=_once)
    except BadHar:
        raise
    except (ValueError, RecursionError) as e:  # a number of 5,000 digits, nesting without end
        raise BadHar("", "", f"cannot be read: {e}", "export it again") from None
    try:
        return msgspec.convert(found, _Entry)
    except msgspec.ValidationError as e:
        where, message = told(e)
        value = _at(found, where)
        hint = "see HAR 1.2, or export it again"
        raise BadHar(where, value, f"{shown(value)}: {message}", hint) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise twice("", Counter(name for name, _ in pairs))
    return found


def _at(found: Any, where: str) -> Any:
    """The value at a place such as `request.headers[3].name`; None for a missing one."""
    for step in re.findall(r"[^.\[\]]+", where):
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
    return found


def _url(written: str) -> SplitResult:
    hint = "a URL is https://HOST/PATH; remove the entry if it is none of the product's"
    try:
        url = urlsplit(text(written))
        if url.scheme not in _SCHEMES:
            return url
        host = (url.hostname or "").rstrip(".")
        if not host.isascii():
            host = idna.encode(host, uts46=True).decode()  # as browsers do
        if not _HOST.fullmatch(host) or len(host) > 253 or url.port == 0:
            raise ValueError
    except ValueError:  # idna's is one too
        raise _wrong("request.url", written, "is not a URL with a host", hint) from None
    return url._replace(netloc=host)


def _request(asked: _Asked, url: SplitResult) -> Request:
    scheme = _SCHEMES[url.scheme]
    port = urlsplit(text(asked.url)).port or WEB_PORTS[scheme]
    headers, more = clip(_headers(asked.headers), HEADER_CAP)
    query, beyond = clip(pairs_of(url.query), QUERY_CAP)
    body = None
    if posted := asked.postData:
        if posted.text is None and posted.params:
            form = urlencode([(text(p.name), text(p.value or "")) for p in posted.params])
            posted.text, posted.mimeType = form, posted.mimeType or _FORM
        body = _body(posted, "request.postData")
        headers = _typed(headers, posted.mimeType)
    if urlsplit(text(asked.url)).scheme in ("ws", "wss") and not first(headers, "upgrade"):
        headers = [*headers, ("upgrade", "websocket")]
    path = quote(url.path or "/", safe=_IN_PATH)
    return Request(
        method=asked.method,
        scheme=scheme,
        host=url.netloc,
        port=port,
        path=cut(path, VALUE_CAP),
        query=query,
        http_version=short(asked.httpVersion or ""),
        headers=headers,
        left_out=more + beyond,
        body=body,
    )


_FORM = "application/x-www-form-urlencoded"


def _response(answer: _Answered) -> Response:
    status = answer.status or 0
    if not 100 <= status <= 999:
        hint = "a status has three digits"
        raise _wrong("response.status", status, "is no HTTP status", hint)
    headers, more = clip(_headers(answer.headers), HEADER_CAP)
    body = None
    if answer.content:
        body = _body(answer.content, "response.content")
        headers = _typed(headers, answer.content.mimeType)
    return Response(
        status=status,
        reason=short(answer.statusText or ""),
        headers=headers,
        left_out=more,
        body=body,
    )


def _headers(given: list[_Value]) -> list[Pair]:
    """Without HTTP/2's own (`:path`), which Chrome lists too."""
    return [
        (text(one.name), text(one.value or "")) for one in given if not one.name.startswith(":")
    ]


def _typed(headers: list[Pair], kind: str | None) -> list[Pair]:
    if not kind or first(headers, "content-type"):
        return headers
    return [*headers, ("content-type", cut(text(kind), VALUE_CAP))]


def _body(of: _Carried, where: str) -> Body:
    # telemock's own export says in a comment what HAR has no member for.
    said = text(of.comment or "")
    notes = said.split(", ")
    if said.startswith("withheld: "):
        why = said.removeprefix("withheld: ")
        reason = next((id for id, says in REASONS.items() if says == why), "unmaskable")
        return Body(size=1, withheld=reason)
    raw = text(of.text or "").encode()
    if (of.encoding or "").lower() == "base64" or notes[0] == "base64":
        try:
            raw = base64.b64decode(raw, validate=True)
        except (binascii.Error, ValueError):
            hint = "remove `encoding` if it is plain text, or export it again"
            value = shown(of.text)
            raise BadHar(f"{where}.text", of.text, f"{value} is not base64", hint) from None
    body = bodies.whole(raw)
    body.truncated |= "cut" in notes
    return body


def _time(written: str) -> int:
    try:
        at = datetime.fromisoformat(written)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        if at.year > LAST_YEAR:
            raise ValueError
        return max(0, int(at.timestamp() * 1_000_000) * 1000)
    except (ValueError, OverflowError):
        hint = "write 2026-01-31T12:00:00.000Z"
        raise _wrong("startedDateTime", written, "is not a time", hint) from None


def _duration(ms: float | None) -> int:
    return int(min(ms, 1e9) * 1e6) if ms and math.isfinite(ms) and ms > 0 else 0
