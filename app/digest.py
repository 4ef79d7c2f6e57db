"""A line on arrival: the record in it, and what store, counters and log files take from it, worked
out in one go.

Called for each line of a sidecar's batch. A whole record is some 160 objects, most of them names
and values of its query, and a batch of them is larger than a processor's cache: each further look
at them would cost as much as decoding them again. So only a narrow part is kept, and the usual
query is never taken apart: what follows from its names and the kinds of its values is remembered,
and the rest is made of its bytes.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple, cast

import msgspec

from app.contract.record import CaptureRecord, Pair, Request, Response, decode
from app.files import is_plain, request_log
from app.inventory import Observation, both, pairs_seen
from app.store import Decoders, Incoming
from app.store.rollup import facts

_SMALL = 4_096  # bytes of pairs that are remembered


def digest(line: bytes, decoders: Decoders) -> Incoming:
    """The record is without its query, headers, bodies and message. Raises RecordError."""
    record = decode(line, _narrow)
    query = _query(line, record)
    if query is None or record.request is None:
        record = decode(line)
        known = facts(record, decoders(record.profile, record.rule))
        said = request_log(record)
    else:
        known = facts(record, decoders(record.profile, record.rule), query.size, query.seen)
        said = request_log(record, query.gathered, query.encoded)
    if record.request:
        record.request.query = []
        record.request.headers = []
        record.request.body = None
    if record.response:
        record.response.headers = []
        record.response.body = None
    record.message = None
    return Incoming(record, line, known, said)


class _Query(NamedTuple):
    size: int  # bytes of it, about
    seen: Observation  # of query and headers
    gathered: msgspec.Raw  # an object: name -> value
    encoded: str  # as in a URL


def _query(line: bytes, record: CaptureRecord) -> _Query | None:
    """None for a record that has none, or an unusual one. Gives the record its headers."""
    request, response = record.request, record.response
    if request is None or _encoder.encode(record) != line or not line.isascii() or b"\x7f" in line:
        return None  # or not written as we write it: a name that stands twice hides what was first
    raw, asked, answered = (
        bytes(cast(msgspec.Raw, pairs))
        for pairs in (request.query, request.headers, response.headers if response else _UNREAD)
    )
    if max(len(raw), len(asked), len(answered)) > _SMALL:
        return None
    encoded = raw[3:-3].replace(b'"],["', b"&").replace(b'","', b"=")
    shape = _shape(_INSTANT.sub(b"=1000000000&", b"=0&".join(_NUMBER.split(encoded + b"&"))))
    # Nothing but the quotes, commas and brackets of pairs of strings may have gone.
    if shape is None or len(raw) - len(encoded) != 6 * shape.pairs + 2 or raw[:3] != b'[["':
        return None
    try:
        headers = _headers(asked)
        if response:
            response.headers = _headers(answered).pairs
    except msgspec.DecodeError:
        return None  # whoever decodes all of it says what is wrong
    request.headers = headers.pairs
    gathered = encoded.replace(b"=", b'":"').replace(b"&", b'","')
    return _Query(
        len(encoded) + 1,
        both(shape.seen, headers.seen),
        msgspec.Raw(b'{"%b"}' % gathered),
        encoded.decode(),
    )


# Values that the inventory does not tell apart: counters, and instants (its `timestamp`).
_NUMBER = re.compile(rb"=\d{1,9}&")
_INSTANT = re.compile(rb"=[12]\d{9}&")


class _Shape(NamedTuple):
    pairs: int
    seen: Observation


@lru_cache(maxsize=2_048)
def _shape(encoded: bytes) -> _Shape | None:
    """Of a query that stands in a URL as it is, with names that differ; None of any other."""
    text = encoded[:-1].decode("latin-1")
    pairs = [(n, v) for n, _, v in (pair.partition("=") for pair in text.split("&"))]
    usual = is_plain(text, len(pairs)) and len(dict(pairs)) == len(pairs)
    return _Shape(len(pairs), pairs_seen("query.", pairs)) if usual else None


class _Headers(NamedTuple):
    pairs: list[Pair]
    seen: Observation


@lru_cache(maxsize=1_024)
def _headers(raw: bytes) -> _Headers:
    """Most clients send the same ones every time. Raises msgspec.DecodeError."""
    pairs = _pairs.decode(raw)
    return _Headers(pairs, pairs_seen("header.", pairs))


# A record in which the pairs are still the JSON they came as.
_UNREAD: Any = msgspec.Raw(b"[]")


class _Request(Request, kw_only=True):
    query: msgspec.Raw = _UNREAD  # type: ignore[assignment]
    headers: msgspec.Raw = _UNREAD  # type: ignore[assignment]


class _Response(Response, kw_only=True):
    headers: msgspec.Raw = _UNREAD  # type: ignore[assignment]


class _Record(CaptureRecord, kw_only=True):
    request: _Request | None = None
    response: _Response | None = None


_narrow: msgspec.json.Decoder[CaptureRecord] = msgspec.json.Decoder(_Record)
_encoder = msgspec.json.Encoder()
_pairs = msgspec.json.Decoder(list[Pair])
