"""A line on arrival: the record in it, and what store, counters and log files take from it, worked
out in one go.

Called for each line of a sidecar's batch. A whole record is some 160 objects, and a batch of them
is larger than a processor's cache: each further look at them would cost as much as decoding them
again. So only a narrow part is kept. And an instance of a product sends the same line every minute
but for numbers: a line is taken apart by its bytes into what changes and its form, and what follows
from the form, and from the names and kinds of the query, is remembered. Only what is written as
`encode` and most URLs are is read so; every other line is decoded.
"""

import re
import secrets
from collections.abc import Callable
from copy import copy
from typing import NamedTuple

import msgspec

from app.contract.record import CaptureRecord, Endpoint, RecordError, decode
from app.files import is_plain, request_line, request_log, url
from app.inventory import Observation, both, observe, pairs_seen
from app.otel.lines import ascii_json, iso
from app.store import Decoders, Facts, Incoming
from app.store.rollup import facts, sizes

_SMALL = 4_096  # bytes of a form or a query that is remembered
_MOST = 2_048  # of them that are remembered


def digest(line: bytes, decoders: Decoders) -> Incoming:
    """The record is without its query, headers, bodies and message. Raises RecordError."""
    usual = _usual(line)
    if usual is not None:
        return usual
    record = decode(line)
    known = facts(record, decoders(record.profile, record.rule))
    said = request_log(record)
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


# What changes from line to line of a form, besides the query.
_HEAD = re.compile(
    rb'\{"boot":"([0-9a-f]{16,32})","seq":([1-9]\d{0,14}),"kind":"exchange",'
    rb'"time_ns":([1-8]\d{0,18}),"duration_ns":([1-9]\d{0,17}),(?:"answer_ns":([1-9]\d{0,17}),)?'
)
_PORT = re.compile(rb'"client":\{"address":"[^"]+","port":([1-9]\d{0,4})\}')
_IDS = re.compile(rb'"trace_id":"([0-9a-f]{32})","span_id":"([0-9a-f]{16})"')
_GET = b'"request":{"method":"GET",'  # others have bodies, which hardly ever come again
_QUERY = b'"query":[["'
_END = b'"]]'
# In a query: what the inventory does not tell apart, counters and instants (its `timestamp`).
_NUMBER = re.compile(rb"=\d{1,9}&")
_INSTANT = re.compile(rb"=[12]\d{9}&")


def _usual(line: bytes) -> Incoming | None:
    """None for a line of no form that was seen before."""
    head = _HEAD.match(line)
    before, found, rest = line.partition(_QUERY)
    if head is None or not found or _GET not in before:
        return None
    pairs, ended, after = rest.partition(_END)
    if not ended or max(len(line) - len(pairs), len(pairs)) > _SMALL:
        return None
    start, port, ids = head.end(), _PORT.search(before), _IDS.search(after)
    ours, to_query, to_ids, end = before[start:], b"", after, b""
    if port:
        ours, to_query = before[start : port.start(1)], before[port.end(1) :]
    if ids:
        to_ids, end = after[: ids.start(1)], after[ids.end(2) :]
    form = _forms.get((ours, to_query, to_ids, end), _form)
    if form is None:
        return None
    encoded = pairs.replace(b'"],["', b"&").replace(b'","', b"=")
    query = _queries.get(
        _INSTANT.sub(b"=1000000000&", b"=0&".join(_NUMBER.split(encoded + b"&"))), _query
    )
    # As many bytes went as when each `&` and `=` was such a place, and so none was there before.
    if query is None or len(pairs) - len(encoded) != 6 * query.pairs - 4:
        return None
    boot, seq, time_ns, duration_ns, answer_ns = head.groups()
    record = copy(form.record)
    record.boot = boot.decode()
    record.seq = int(seq)
    record.time_ns = int(time_ns)
    record.duration_ns = int(duration_ns)
    record.answer_ns = int(answer_ns or 0)
    if port and record.client:
        record.client = Endpoint(record.client.address, int(port[1]))
    trace_id, span_id = ids.groups() if ids else (b"", b"")
    record.trace_id, record.span_id = trace_id.decode(), span_id.decode()
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
    seen = form.headers and both(query.seen, form.headers)
    return Incoming(record, line, Facts(form.out + len(encoded) + 1, form.in_, seen), said)


_encode = msgspec.json.Encoder().encode


class _Form(NamedTuple):
    """What all lines of one form have in common."""

    record: CaptureRecord
    said: bytes  # in the request log, with %b where something changes
    out: int  # bytes, without the query
    in_: int
    headers: Observation | None


_Parts = tuple[bytes, bytes, bytes, bytes]  # around the client's port, and around the ids


def _form(parts: _Parts) -> _Form | None:
    """None when a place in it is not what it looks like: decoding shows whether values that are put
    there come out where they belong."""
    ours, to_query, to_ids, end = parts
    boot, trace_id, span_id = (secrets.token_hex(n) for n in (16, 16, 8))  # nobody foresees them
    seq, time_ns, duration_ns, answer_ns, port = (secrets.randbelow(1 << 48) + 1 for _ in range(5))
    line = (
        f'{{"boot":"{boot}","seq":{seq},"kind":"exchange","time_ns":{time_ns},'
        f'"duration_ns":{duration_ns},"answer_ns":{answer_ns},'
    ).encode() + b"".join([
        ours, f"{port}".encode() if to_query else b"", to_query,
        _QUERY, f'{boot}","{seq}'.encode(), _END,
        to_ids, f'{trace_id}","span_id":"{span_id}'.encode() if end else b"", end,
    ])  # fmt: skip
    try:
        record = decode(line)
    except RecordError:
        return None
    request, client = record.request, record.client
    if request is None or request.body or record.message or record.kind != "exchange" or (
        record.boot, record.seq, record.time_ns, record.duration_ns, record.answer_ns,
        client.port if client and to_query else port, request.query,
        record.trace_id, record.span_id,
    ) != (
        boot, seq, time_ns, duration_ns, answer_ns, port, [(boot, f"{seq}")],
        *((trace_id, span_id) if end else ("", "")),
    ):  # fmt: skip
        return None
    request.query = []
    # Zero bytes mark what changes; a form that has some of its own is none.
    whole = request_line(record, request) | {
        "timestamp": "\0",
        "url": f"{url(record)}?\0",
        "query_params": {"\0": 0},
        "response_time_ms": "\0\0",
        "id": "\0-\0",
        "trace_id": "\0",
        "span_id": "\0",
    }
    said = _encode(whole)
    if said != ascii_json(whole):
        return None
    said = said.replace(b"%", b"%%").replace(b'\\u0000":0', b'\\u0000"')
    said = said.replace(b'"\\u0000\\u0000"', b"%b").replace(b"\\u0000", b"%b")
    out, in_ = sizes(record)
    headers = observe(record)
    return _Form(_narrowed(record), said, out, in_, headers) if said.count(b"%b") == 8 else None


class _Query(NamedTuple):
    pairs: int
    seen: Observation


def _query(encoded: bytes) -> _Query | None:
    """Of a query that stands in a URL as it is, with names that differ; None of any other."""
    text = encoded[:-1].decode("latin-1")
    pairs = [(n, v) for n, _, v in (pair.partition("=") for pair in text.split("&"))]
    usual = is_plain(text, len(pairs)) and len(dict(pairs)) == len(pairs)
    return _Query(len(pairs), pairs_seen("query.", pairs)) if usual else None


class _Known[K, V]:
    """What was made of keys that came at least twice; most of the others never come again."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._made: dict[K, V | None] = {}
        self._once: dict[K, None] = {}

    def get(self, key: K, make: Callable[[K], V | None]) -> V | None:
        made = self._made.get(key)
        if made is not None or key in self._made:
            return made
        if key not in self._once:
            _keep(self._once, key, None, self._most)
            return None
        return _keep(self._made, key, make(key), self._most)

    def clear(self) -> None:
        self._made.clear()
        self._once.clear()


def _keep[K, V](into: dict[K, V], key: K, value: V, most: int) -> V:
    if len(into) >= most:
        into.clear()
    into[key] = value
    return value


_forms: _Known[_Parts, _Form] = _Known()
_queries: _Known[bytes, _Query] = _Known()
