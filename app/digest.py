"""A line on arrival: the record in it, and what store, counters and log files take from it, worked
out in one go.

Called for each line of a sidecar's batch. A whole record is some 160 objects, and a batch of them
is larger than a processor's cache: each further look at them would cost as much as decoding them
again. So only a narrow part is kept. And an instance of a product sends the same line every minute
but for numbers: forms of a sender's lines are remembered, and a line that has one of them is not
decoded, only its numbers are taken. Every other line is, and so are those that are not written as
`encode` and most URLs are.
"""

import re
import secrets
from copy import copy
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from app.contract.record import CaptureRecord, Endpoint, RecordError, Request, decode
from app.files import is_plain, request_line, request_log, url
from app.otel.lines import ascii_json, iso
from app.store import Decoders, Facts, Incoming
from app.store.rollup import facts

_SMALL = 4_096  # bytes of a line that has a form
_SENDERS = 2_048  # that are remembered
_FORMS = 2  # of one of them
_PATTERNS = 256  # that they share
_TIMES = 8  # that one is wanted before it is compiled, which takes milliseconds


def digest(line: bytes, decoders: Decoders) -> Incoming:
    """The record is without its query, headers, bodies and message. Raises RecordError."""
    head = _HEAD.match(line)
    sender = head and (_senders.get(head[1]) or _keep(_senders, head[1], _Sender(), _SENDERS))
    usual = head and sender and _usual(line, head, sender)
    if usual:
        return usual
    record = decode(line)
    known = facts(record, decoders(record.profile, record.rule))
    said = request_log(record)
    if head and sender and sender.misses():
        form = _form(line, head.end(), record, known)
        if form:
            sender.forms = (form, *sender.forms[: _FORMS - 1])
    return Incoming(_narrowed(record), line, known, said)


def _narrowed(record: CaptureRecord) -> CaptureRecord:
    if record.request:
        record.request.query = []
        record.request.headers = []
        record.request.body = None
    if record.response:
        record.response.headers = []
        record.response.body = None
    record.message = None
    return record


class _Form(NamedTuple):
    """What lines of one sender have in common."""

    ours: bytes  # from the numbers at the beginning to the client's port, or to the query
    rest: re.Pattern[bytes]  # from there to the ids, or to the end
    end: bytes
    others: tuple[bytes, ...]  # values of the query that are no numbers
    record: CaptureRecord
    said: bytes  # in the request log, with %b where something changes
    known: Facts  # bytes that left are without the query


class _Sender:
    """A start of a sidecar, with its forms: the last that came is the first."""

    __slots__ = ("_missed", "forms")

    def __init__(self) -> None:
        self.forms: tuple[_Form, ...] = ()
        self._missed = 0

    def misses(self) -> bool:
        """Whether the form of a line that has none is to be learned. That costs as much as decoding
        it twice, so of one who never sends the same only the 2nd, 4th, 8th … is."""
        self._missed += 1
        return self._missed > 1 and not self._missed & (self._missed - 1)


# What changes from line to line of a form, besides the query.
_HEAD = re.compile(
    rb'\{"boot":"([0-9a-f]{16,32})","seq":([1-9]\d{0,14}),"kind":"exchange",'
    rb'"time_ns":([1-8]\d{0,18}),"duration_ns":([1-9]\d{0,17}),(?:"answer_ns":([1-9]\d{0,17}),)?'
)
_PORT = re.compile(rb'"client":\{"address":"[^"]+","port":([1-9]\d{0,4})\}')
_IDS = re.compile(rb'"trace_id":"([0-9a-f]{32})","span_id":"([0-9a-f]{16})"')
_QUERY = b'"query":['
_END = b'"]]'
# In a query: what the inventory does not tell apart, counters and instants (its `timestamp`).
_NUMBERS = (rb"\d{1,9}+", rb"[12]\d{9}")
_OTHER = rb'([^"]*+)'
_TO_URL = bytes.maketrans(b"],", b"&=")


def _usual(line: bytes, head: re.Match[bytes], sender: _Sender) -> Incoming | None:
    """None for a line of no form that is known of its sender."""
    for form in sender.forms:
        if not line.startswith(form.ours, head.end()):
            continue
        found = form.rest.match(line, head.end() + len(form.ours))
        if found is None or line[found.end() :] != form.end:
            continue
        groups = found.groups()
        if groups[2:-2] == form.others:
            break
    else:
        return None
    if form is not sender.forms[0]:
        sender.forms = (form, *(f for f in sender.forms if f is not form))
    port, pairs = groups[:2]
    trace_id, span_id = groups[-2:]
    boot, seq, time_ns, duration_ns, answer_ns = head.groups()
    record = copy(form.record)
    record.boot = boot.decode()
    record.seq = int(seq)
    record.time_ns = int(time_ns)
    record.duration_ns = int(duration_ns)
    record.answer_ns = int(answer_ns or 0)
    if port and record.client:
        record.client = Endpoint(record.client.address, int(port))
    record.trace_id, record.span_id = trace_id.decode(), span_id.decode()
    # `["a","1"],["b","2"` as `a=1&b=2`: neither names nor values have any of these characters.
    encoded = pairs.translate(_TO_URL, b'["').replace(b"&=", b"&")
    said = form.said % (
        iso(record.time_ns).encode(),
        encoded,
        encoded.replace(b"=", b'":"').replace(b"&", b'","'),
        _encode(round(record.duration_ns / 1e6, 3)),
        boot,
        seq,
        trace_id,
        span_id,
    )
    known = form.known
    out = known.out + len(encoded)
    return Incoming(record, line, Facts(out, known.in_, known.seen, known.like), said)


_encode = msgspec.json.Encoder().encode


def _form(line: bytes, start: int, record: CaptureRecord, known: Facts) -> _Form | None:
    """The form of a line; the numbers at its beginning end at `start`. None when a place in it is
    not what it looks like: decoding shows whether values that are put there come out where they
    belong, and nothing else changes."""
    at, to = line.find(_QUERY, start), line.find(_END, start)
    request, client = record.request, record.client
    if request is None or request.body or record.message or not 0 < at < to or len(line) > _SMALL:
        return None
    pairs, after = line[at + len(_QUERY) : to], line[to:]
    port, ids = _PORT.search(line, start, at), _IDS.search(after)
    ours, to_query, to_ids, end = line[start:at], b"", after, b""
    if port:
        ours, to_query = line[start : port.start(1)], line[port.end(1) : at]
    if ids:
        to_ids, end = after[: ids.start(1)], after[ids.end(2) :]
    boot, trace_id, span_id = (secrets.token_hex(n) for n in (16, 16, 8))  # nobody foresees them
    seq, time_ns, duration_ns, answer_ns, number = (
        secrets.randbelow(1 << 48) + 1 for _ in range(5)
    )
    put = (
        f'{{"boot":"{boot}","seq":{seq},"kind":"exchange","time_ns":{time_ns},'
        f'"duration_ns":{duration_ns},"answer_ns":{answer_ns},'
    ).encode() + b"".join([
        ours, f"{number}".encode() if port else b"", to_query, _QUERY, f'["{boot}","{seq}'.encode(),
        to_ids, f'{trace_id}","span_id":"{span_id}'.encode() if ids else b"", end,
    ])  # fmt: skip
    whole = replace(
        record, boot=boot, seq=seq, time_ns=time_ns, duration_ns=duration_ns, answer_ns=answer_ns,
        request=replace(request, query=[(boot, f"{seq}")]),
        client=replace(client, port=number) if client and port else client,
        trace_id=trace_id if ids else "", span_id=span_id if ids else "",
    )  # fmt: skip
    try:
        if decode(put) != whole:
            return None
    except RecordError:
        return None
    query, said = _query(pairs, request), _said(record, request)
    if query is None or said is None:
        return None
    rest = _compiled(b"".join([
        rb"([1-9]\d{0,4})" if port else b"()", re.escape(to_query + _QUERY), query.pattern,
        re.escape(to_ids), rb'([0-9a-f]{32})","span_id":"([0-9a-f]{16})' if ids else b"()()",
    ]))  # fmt: skip
    known = replace(known, out=known.out - query.length, like=object())
    return rest and _Form(ours, rest, end, query.others, _narrowed(whole), said, known)


def _said(record: CaptureRecord, request: Request) -> bytes | None:
    # Zero bytes mark what changes; a form that has some of its own is none.
    whole = request_line(record, request) | {
        "timestamp": "\0",
        "url": url(replace(record, request=replace(request, query=[]))) + "?\0",
        "query_params": {"\0": 0},
        "response_time_ms": "\0\0",
        "id": "\0-\0",
        "trace_id": "\0",
        "span_id": "\0",
    }
    said = ascii_json(whole)
    if said != _encode(whole):
        return None
    said = said.replace(b"%", b"%%").replace(b'\\u0000":0', b'\\u0000"')
    said = said.replace(b'"\\u0000\\u0000"', b"%b").replace(b"\\u0000", b"%b")
    return said if said.count(b"%b") == 8 else None


class _Query(NamedTuple):
    pattern: bytes
    others: tuple[bytes, ...]
    length: int  # in a URL


def _query(text: bytes, request: Request) -> _Query | None:
    """Of a query that stands in a URL as it is, without a comma, with names that differ; None of
    any other. `text` is it in the line, without the end."""
    pairs = [tuple(pair.split('","')) for pair in text.decode("latin-1")[2:].split('"],["')]
    encoded = "&".join(map("=".join, request.query))
    names = {name for name, _ in request.query}
    if (
        pairs != request.query
        or not is_plain(encoded, len(pairs))
        or "," in encoded
        or len(names) < len(pairs)
    ):
        return None
    patterns, others = [], []
    for name, value in request.query:
        kind = next((n for n in _NUMBERS if re.fullmatch(n, value.encode())), _OTHER)
        if kind is _OTHER:
            others.append(value.encode())
        patterns.append(re.escape(name.encode()) + b'","' + kind)
    return _Query(b'(\\["' + rb'"\],\["'.join(patterns) + b")", tuple(others), len(encoded))


def _compiled(pattern: bytes) -> re.Pattern[bytes] | None:
    """None until it was wanted often enough."""
    found = _patterns.get(pattern)
    if found is None:
        times = _wanted.pop(pattern, 0) + 1
        if times < _TIMES:
            _keep(_wanted, pattern, times, _PATTERNS)
        else:
            found = _keep(_patterns, pattern, re.compile(pattern), _PATTERNS)
    return found


def _keep[K, V](into: dict[K, V], key: K, value: V, most: int) -> V:
    if len(into) >= most:
        into.clear()
    into[key] = value
    return value


_senders: dict[bytes, _Sender] = {}
_patterns: dict[bytes, re.Pattern[bytes]] = {}
_wanted: dict[bytes, int] = {}
