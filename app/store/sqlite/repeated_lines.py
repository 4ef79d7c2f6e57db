"""Compresses lines that repeat: a product's instance sends the same line every minute with other
numbers. Its form is learned once; a line of a known form is not decoded, and only its values are
stored.

`app.runtime` puts `RepeatedLines` before the digest of lines. The writer stores a form once and
each line's values, the reader joins them again. A form is used only if it gives exactly what the
digest gives.
"""

import re
import secrets
from collections.abc import Callable, Sequence
from copy import copy
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from app.contract.instant import iso
from app.contract.record import CaptureRecord, Pair, RecordError, decode
from app.store import RECORD_SIZE, Facts, Incoming

_SENDERS = 2_048  # senders remembered
_FORMS = 2  # forms of one sender
_SMALL = 4_096  # bytes of the longest line that gets a form
_PATTERNS = 256  # patterns, which senders share
_TIMES = 8  # uses after which a pattern is compiled, which takes milliseconds

# The parts of a form that change from line to line, besides the query.
_HEAD = re.compile(
    rb'\{"boot":"([0-9a-f]{16,32})","seq":([1-9]\d{0,14}),"kind":"exchange",'
    rb'"time_ns":([1-8]\d{0,18}),"duration_ns":([1-9]\d{0,17}),(?:"answer_ns":([1-9]\d{0,17}),)?'
)
_PORT = re.compile(rb'"client":\{"address":"[^"]+","port":([1-9]\d{0,4})\}')
_IDS = re.compile(rb'"trace_id":"([0-9a-f]{32})","span_id":"([0-9a-f]{16})"')
_QUERY = b'"query":['
_END = b'"]]'
# Query values that the inventory does not tell apart: counters, and instants (its `timestamp`).
_NUMBERS = (rb"[0-9]{1,9}+", rb"[12][0-9]{9}")
_OTHER = rb'[^"]*+'

_Groups = tuple[bytes, ...]
_encode = msgspec.json.Encoder().encode


class Form(msgspec.Struct, frozen=True, eq=False):
    """The common part of a boot's lines. `line` has %b for seq, time_ns and each value, `log_line`
    for those values that `shown` picks."""

    line: bytes
    log_line: bytes = b""
    shown: Callable[[Sequence[bytes]], _Groups] = tuple


class Repeated(msgspec.Struct, gc=False):
    """An `Incoming` whose line has a form. `values` are joined by line ends, which none holds."""

    record: CaptureRecord
    facts: Facts
    values: bytes
    form: Form

    @property
    def line(self) -> bytes:
        return whole(self.form.line, self.record.seq, self.record.time_ns, self.values)

    @property
    def log_line(self) -> bytes:
        return self.form.log_line % self.form.shown(_in_log_line(self.record, self.values))

    @property
    def size(self) -> int:
        return len(self.values) + RECORD_SIZE


def whole(form: bytes, seq: int, time_ns: int, values: bytes) -> bytes:
    """Restores the line from its form and values."""
    return form % (b"%d" % seq, b"%d" % time_ns, *values.split(b"\n"))


def _in_log_line(record: CaptureRecord, values: bytes) -> list[bytes]:
    """The values as the request log shows them; it converts the first three."""
    found = values.split(b"\n")
    found[0] = iso(record.time_ns, 6).encode()
    found[1] = _encode(round(record.duration_ns / 1e6, 6))
    found[2] = b"%d" % record.seq
    return found


class _Lines(NamedTuple):
    """The form of one sender's lines: their common parts, and how to find the values."""

    answers: bool  # True if there is an `answer_ns`
    ours: bytes  # text from the leading numbers to the client's port, or to the query
    rest: re.Pattern[bytes]  # from there to the ids, or to the end
    end: bytes
    others: _Groups  # values of the query that are not numbers
    find_others: Callable[[_Groups], _Groups]  # picks these from the groups of `rest`
    find_values: Callable[[_Groups], _Groups]  # picks from them: port, numbers of the query, ids
    record: CaptureRecord
    facts: Facts  # `out` minus the length of `rest` (less its port)
    form: Form

    def read(self, line: bytes, head: re.Match[bytes]) -> Repeated | None:
        """Reads a line; None if it has another form. `head` is its match of _HEAD."""
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
        facts = Facts(out, facts.in_, facts.seen, facts.notes, facts.events)
        return Repeated(record, facts, values, self.form)

    def agree(self, line: bytes, found: Incoming) -> bool:
        """True if this form gives the same as the digest, which is `found`."""
        head = _HEAD.match(line)
        read = head and self.read(line, head)
        return read is not None and (
            (read.record, read.facts, read.line, read.log_line)
            == (found.record, found.facts, found.line, found.log_line)
        )


class _Sender:
    """One start of a sidecar, with the forms of its lines, the last used first."""

    __slots__ = ("_missed", "forms")

    def __init__(self) -> None:
        self.forms: tuple[_Lines, ...] = ()
        self._missed = 0

    def misses(self) -> bool:
        """True if a line without a form is to be learned. That costs as much as decoding it four
        times, so of a sender's misses only the 2nd, 4th, 8th … is learned."""
        self._missed += 1
        return self._missed > 1 and not self._missed & (self._missed - 1)


class RepeatedLines:
    """Gives for each line what `digest` gives, at less cost if its form is known. Thread-safe."""

    def __init__(self, digest: Callable[[bytes], Incoming]) -> None:
        self._digest = digest
        self._senders: dict[bytes, _Sender] = {}
        self._patterns: dict[bytes, re.Pattern[bytes]] = {}
        self._wanted: dict[bytes, int] = {}

    def __call__(self, line: bytes) -> Incoming:
        head = _HEAD.match(line)
        if head is None:
            return self._digest(line)
        sender = self._senders.get(head[1]) or keep(self._senders, head[1], _Sender(), _SENDERS)
        for form in sender.forms:
            if repeated := form.read(line, head):
                if form is not sender.forms[0]:
                    sender.forms = (form, *(f for f in sender.forms if f is not form))
                return repeated
        found = self._digest(line)
        if found.line == line and sender.misses() and (learned := self._learn(line, head, found)):
            sender.forms = (learned, *sender.forms[: _FORMS - 1])
        return found

    def _learn(self, line: bytes, head: re.Match[bytes], found: Incoming) -> _Lines | None:
        """Learns the form of lines like this one; None if a part is not what it seems. As a proof,
        the digest reads a line with other values: each must come out where it belongs, and nothing
        else may change."""
        start = head.end()
        at, to = line.find(_QUERY, start), line.find(_END, start)
        if len(line) > _SMALL or not 0 < at < to:
            return None
        record = decode(line)  # bodies and messages differ each time
        if record.request is None or record.request.body or record.message:
            return None
        query = record.request.query
        pairs = line[at + len(_QUERY) + 2 : to].decode("latin-1").split('"],["')
        if [tuple(pair.split('","')) for pair in pairs] != query:  # it is not in its plain spelling
            return None
        query_pattern, query_line, numbers, others = _query(query)
        after = line[to:]
        port, ids = _PORT.search(line, start, at), _IDS.search(after)
        if not ids and (record.trace_id or record.span_id):  # ids in another spelling, which change
            return None
        ours, to_query, to_ids, end = line[start:at], b"", after, b""
        if port:
            ours, to_query = line[start : port.start(1)], line[port.end(1) : at]
        if ids:
            to_ids, end = after[: ids.start(1)], after[ids.end(2) :]
        pattern = self._compiled(b"".join([
            rb"([1-9]\d{0,4})" if port else b"()", re.escape(to_query + _QUERY), query_pattern,
            re.escape(to_ids), rb'([0-9a-f]{32})","span_id":"([0-9a-f]{16})' if ids else b"()()",
        ]))  # fmt: skip
        rest = pattern and pattern.match(line, start + len(ours))
        if pattern is None or rest is None:
            return None
        groups = rest.groups()
        form = Form(b"".join([
            b'{"boot":"', head[1], b'","seq":%b,"kind":"exchange","time_ns":%b,"duration_ns":%b,',
            b'"answer_ns":%b,' if head[5] else b"%b", _escaped(ours), b"%b", _escaped(to_query),
            _QUERY, b'["', query_line, _escaped(to_ids), b'%b","span_id":"%b' if ids else b"%b%b",
            _escaped(end),
        ]))  # fmt: skip
        lines = _Lines(
            answers=bool(head[5]), ours=ours, rest=pattern, end=end,
            others=tuple(groups[n] for n in others),
            find_others=_getter(others),
            find_values=_getter((0, *numbers, -2, -1)),
            record=found.record,
            facts=replace(
                found.facts, out=found.facts.out - (rest.end() - rest.start() - len(groups[0]))
            ),
            form=form,
        )  # fmt: skip
        any_number = int(_digits(9))
        values = b"\n".join([  # unpredictable and distinct
            _digits(15), _digits(15) if head[5] else b"", _digits(5) if port else b"",
            *(b"%s%d" % (b"1" if len(groups[n]) > 9 else b"", any_number + n) for n in numbers),
            *(secrets.token_hex(n).encode() if ids else b"" for n in (16, 8)),
        ])  # fmt: skip
        put = whole(form.line, int(_digits(15)), int(_digits(15)), values)
        try:
            other = self._digest(put)
        except RecordError:
            return None
        log_line = _template(other.log_line, _in_log_line(other.record, values))
        if log_line is None:
            return None
        lines = lines._replace(form=replace(form, log_line=log_line[0], shown=log_line[1]))
        return lines if lines.agree(put, other) and lines.agree(line, found) else None

    def _compiled(self, pattern: bytes) -> re.Pattern[bytes] | None:
        """Compiles the pattern once it was wanted often enough; None before."""
        found = self._patterns.get(pattern)
        if found is None:
            times = self._wanted.pop(pattern, 0) + 1
            if times < _TIMES:
                keep(self._wanted, pattern, times, _PATTERNS)
            else:
                found = keep(self._patterns, pattern, re.compile(pattern), _PATTERNS)
        return found


def _digits(number: int) -> bytes:
    """A random number with this many digits, of which the first is 1."""
    return b"%d" % (10 ** (number - 1) + secrets.randbelow(10 ** (number - 1)))


def _getter(places: tuple[int, ...]) -> Callable[[Sequence[bytes]], _Groups]:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda groups: tuple(groups[n] for n in places)


def _escaped(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")


def _template(line: bytes, shown: list[bytes]) -> tuple[bytes, Callable[[Any], _Groups]] | None:
    """Returns the line with %b for each value, and a function that picks the values. None if a
    value does not appear: it may be elsewhere, or look like another."""
    for n, text in enumerate(shown):
        if text and text not in line:
            return None
        line = line.replace(text, b"\0%d\0" % n) if text else line  # no JSON has such a byte
    parts = line.split(b"\0")
    return b"%b".join(map(_escaped, parts[::2])), _getter(tuple(map(int, parts[1::2])))


def _query(query: list[Pair]) -> tuple[bytes, bytes, tuple[int, ...], tuple[int, ...]]:
    """Returns the query's pattern, without its end; its template, with %b for each number; and the
    pattern's groups, from 1 on, that are numbers, and those that are not."""
    patterns, shown = [], []
    numbers: list[int] = []
    others: list[int] = []
    for place, (name, value) in enumerate(query, 1):
        kind = next((n for n in _NUMBERS if re.fullmatch(n, value.encode())), None)
        (numbers if kind else others).append(place)
        start = name.encode() + b'","'
        shown.append(_escaped(start) + (b"%b" if kind else _escaped(value.encode())))
        patterns.append(re.escape(start) + b"(" + (kind or _OTHER) + b")")
    pattern = b'\\["' + rb'"\],\["'.join(patterns)
    return pattern, b'"],["'.join(shown), tuple(numbers), tuple(others)


def keep[K, V](into: dict[K, V], key: K, value: V, most: int) -> V:
    if len(into) >= most:
        into.clear()
    into[key] = value
    return value
