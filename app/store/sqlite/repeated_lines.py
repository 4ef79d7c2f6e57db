"""The form of a line: what an instance of a product sends every minute but for numbers, learned
once. A line that has it is not decoded, only its numbers are taken.

Called by `app.ingest.digest`. A form is believed only as far as decoding agrees with it; whatever
is not written as `encode` and most URLs are has none.
"""

import re
import secrets
from collections.abc import Callable
from copy import copy
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from app.contract.instant import iso
from app.contract.record import CaptureRecord, RecordError, Request, decode
from app.logs.files import is_plain, request_line, url
from app.otel.lines import ascii_json
from app.store import Facts, Form, Incoming

_SMALL = 4_096  # bytes of a line that has a form
_PATTERNS = 256  # that senders share
_TIMES = 8  # that one is wanted before it is compiled, which takes milliseconds

# What changes from line to line of a form, besides the query.
HEAD = re.compile(
    rb'\{"boot":"([0-9a-f]{16,32})","seq":([1-9]\d{0,14}),"kind":"exchange",'
    rb'"time_ns":([1-8]\d{0,18}),"duration_ns":([1-9]\d{0,17}),(?:"answer_ns":([1-9]\d{0,17}),)?'
)
_PORT = re.compile(rb'"client":\{"address":"[^"]+","port":([1-9]\d{0,4})\}')
_IDS = re.compile(rb'"trace_id":"([0-9a-f]{32})","span_id":"([0-9a-f]{16})"')
_QUERY = b'"query":['
_END = b'"]]'
# In a query: what the inventory does not tell apart, counters and instants (its `timestamp`).
_NUMBERS = (rb"[0-9]{1,9}+", rb"[12][0-9]{9}")
_OTHER = rb'[^"]*+'

_Getter = Callable[[tuple[bytes, ...]], tuple[bytes, ...]]
_encode = msgspec.json.Encoder().encode


class Lines(NamedTuple):
    """Lines of one sender that have a form: what they have in common, and how to find what not."""

    answers: bool  # whether there is an `answer_ns`
    ours: bytes  # from the numbers at the beginning to the client's port, or to the query
    rest: re.Pattern[bytes]  # from there to the ids, or to the end
    end: bytes
    others: tuple[bytes, ...]  # values of the query that are no numbers
    find_others: _Getter  # in the groups of `rest`
    find_values: _Getter  # likewise: port, numbers of the query, ids
    record: CaptureRecord  # without what changes
    facts: Facts  # `out` is short of the length of `rest`, without the port
    form: Form

    def read(self, line: bytes, head: re.Match[bytes]) -> Incoming | None:
        """None for a line that is none of these. `head` is what HEAD finds in it."""
        _, seq, time_ns, duration_ns, answer_ns = head.groups()
        start = head.end()
        if self.answers != bool(answer_ns) or not line.startswith(self.ours, start):
            return None
        rest = self.rest.match(line, start + len(self.ours))
        if rest is None or line[rest.end() :] != self.end:
            return None
        groups = rest.groups()
        if self.find_others(groups) != self.others:
            return None
        record, facts = copy(self.record), self.facts
        record.seq = int(seq)
        record.time_ns = int(time_ns)
        record.duration_ns = int(duration_ns)
        out = facts.out + rest.end() - rest.start() - len(groups[0])
        values = b"\n".join((duration_ns, answer_ns or b"", *self.find_values(groups)))
        known = Facts(out, facts.in_, facts.seen, facts.like)
        return Incoming(record, values, known, None, self.form)


def said(form: Form, record: CaptureRecord, values: bytes) -> bytes:
    """The line of the request log."""
    _, _, _, *query, trace_id, span_id = values.split(b"\n")
    return form.said % (
        iso(record.time_ns, 6).encode(), *query, *query,
        _encode(round(record.duration_ns / 1e6, 3)), b"%d" % record.seq, trace_id, span_id,
    )  # fmt: skip


def learn(
    line: bytes, head: re.Match[bytes], record: CaptureRecord, facts: Facts, log_line: bytes
) -> Lines | None:
    """What lines like this one have in common. None when a place in it is not what it looks like:
    decoding shows whether values that are put there come out where they belong, and nothing else
    changes."""
    start = head.end()
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
    expected = replace(
        record, boot=boot, seq=seq, time_ns=time_ns, duration_ns=duration_ns, answer_ns=answer_ns,
        request=replace(request, query=[(boot, f"{seq}")]),
        client=replace(client, port=number) if client and port else client,
        trace_id=trace_id if ids else "", span_id=span_id if ids else "",
    )  # fmt: skip
    try:
        if decode(put) != expected:
            return None
    except RecordError:
        return None
    query = _query(pairs, request)
    log = query and _log_line(record, request, query)
    if query is None or log is None:
        return None
    pattern = _compiled(b"".join([
        rb"([1-9]\d{0,4})" if port else b"()", re.escape(to_query + _QUERY), query.pattern,
        re.escape(to_ids), rb'([0-9a-f]{32})","span_id":"([0-9a-f]{16})' if ids else b"()()",
    ]))  # fmt: skip
    rest = pattern and pattern.match(line, start + len(ours))
    if pattern is None or rest is None:
        return None
    groups = rest.groups()
    length = rest.end() - rest.start() - len(groups[0])
    form = b"".join([
        b'{"boot":"', head[1], b'","seq":%b,"kind":"exchange","time_ns":%b,"duration_ns":%b,',
        b'"answer_ns":%b,' if head[5] else b"%b", _escaped(ours), b"%b", _escaped(to_query),
        _QUERY, b'["', query.line, _escaped(to_ids), b'%b","span_id":"%b' if ids else b"%b%b",
        _escaped(end),
    ])  # fmt: skip
    lines = Lines(
        answers=bool(head[5]), ours=ours, rest=pattern, end=end,
        others=tuple(groups[n] for n in query.others),
        find_others=_getter(query.others),
        find_values=_getter((0, *query.numbers, -2, -1)),
        record=narrowed(replace(
            record, request=replace(request), response=copy(record.response),
            answer_ns=0, trace_id="", span_id="",
            client=replace(client, port=0) if client else None,
        )),
        facts=replace(facts, out=facts.out - length, like=object()),
        form=Form(form, log),
    )  # fmt: skip
    # What is not given back as it came is kept as it came.
    read = lines.read(line, head)
    same = read and read.line == line and said(lines.form, record, read.kept) == log_line
    return lines if same else None


def _getter(places: tuple[int, ...]) -> _Getter:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda groups: tuple(groups[n] for n in places)


def _escaped(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")


def _log_line(record: CaptureRecord, request: Request, query: "_Query") -> bytes | None:
    # Zero bytes mark what changes; a form that has some of its own is none.
    whole = request_line(record, request) | {
        "timestamp": "\0",
        "url": url(replace(record, request=replace(request, query=[]))) + "?\0",
        "query_params": {"\0": 0},
        "response_time_ms": "\0\0",
        "id": record.boot + "-\0",
        "trace_id": "\0",
        "span_id": "\0",
    }
    line = ascii_json(whole)
    if line != _encode(whole):
        return None
    line = line.replace(b'\\u0000":0', b'\\u0000"').replace(b'"\\u0000\\u0000"', b"\\u0000")
    parts = _escaped(line).split(b"\\u0000")
    places = (b"%b", query.url, query.params, b"%b", b"%b", b"%b", b"%b", b"")
    if len(parts) != len(places):
        return None
    return b"".join(chain.from_iterable(zip(parts, places, strict=True)))


class _Query(NamedTuple):
    """Of a line, of a URL and of `query_params` with %b for each number."""

    pattern: bytes
    line: bytes
    url: bytes
    params: bytes
    numbers: tuple[int, ...]  # groups of the pattern, behind that of the port
    others: tuple[int, ...]


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
    patterns, shown = [], []
    numbers: list[int] = []
    others: list[int] = []
    for place, (name, value) in enumerate(request.query, 1):
        kind = next((n for n in _NUMBERS if re.fullmatch(n, value.encode())), None)
        (numbers if kind else others).append(place)
        shown.append((name.encode(), b"%b" if kind else value.encode()))
        patterns.append(re.escape(name.encode()) + b'","(' + (kind or _OTHER) + b")")
    return _Query(
        b'\\["' + rb'"\],\["'.join(patterns),
        b'"],["'.join(map(b'","'.join, shown)),
        b"&".join(map(b"=".join, shown)),
        b'","'.join(map(b'":"'.join, shown)),
        tuple(numbers),
        tuple(others),
    )


def _compiled(pattern: bytes) -> re.Pattern[bytes] | None:
    """None until it was wanted often enough."""
    found = _patterns.get(pattern)
    if found is None:
        times = _wanted.pop(pattern, 0) + 1
        if times < _TIMES:
            keep(_wanted, pattern, times, _PATTERNS)
        else:
            found = keep(_patterns, pattern, re.compile(pattern), _PATTERNS)
    return found


def narrowed(record: CaptureRecord) -> CaptureRecord:
    """Without query, headers, bodies and message, in place."""
    if record.request:
        record.request.query = []
        record.request.headers = []
        record.request.body = None
    if record.response:
        record.response.headers = []
        record.response.body = None
    record.message = None
    return record


def keep[K, V](into: dict[K, V], key: K, value: V, most: int) -> V:
    if len(into) >= most:
        into.clear()
    into[key] = value
    return value


_patterns: dict[bytes, re.Pattern[bytes]] = {}
_wanted: dict[bytes, int] = {}
