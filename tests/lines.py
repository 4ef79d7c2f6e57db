"""Lines on arrival, for tests of what is worked out of them: `same` says all that must hold."""

from typing import Any

import pytest
from msgspec.structs import replace

from app.contract.record import RecordError, Tls, decode, encode
from app.ingest.digest import digest, said
from app.logs.files import request_log
from app.store import Incoming
from app.store.sqlite import repeated_lines
from app.store.sqlite.rollup import facts
from tests.records import T0, exchange

USUAL = {
    "answer_ns": 7,
    "trace_id": "0123456789abcdef" * 2,
    "span_id": "0123456789abcdef",
    "tls": Tls(sni="cdn.cribl.io", version="TLSv1.3"),
    "query": [("a", "1"), ("b", "2")],
}


def no_decoders(profile: str, rule: str) -> tuple[str, ...]:
    return ()


def arrived(line: bytes) -> Incoming:
    return digest(line, no_decoders)


def line_of(sender: int, seq: int, **given: Any) -> bytes:
    return encode(exchange(seq, boot=f"{sender:032x}", **(USUAL | given)))


def same(line: bytes) -> None:
    """What the line gives is what its whole record gives, or a refusal where there is none; also
    when its form was seen before."""
    try:
        record = decode(line)
    except RecordError:
        for _ in range(4):
            with pytest.raises(RecordError):
                arrived(line)
        return
    known, log_line = facts(record, ()), request_log(record)
    narrow = repeated_lines.narrowed(record)
    for _ in range(4):
        found = arrived(line)
        assert (found.line, said(found)) == (line, log_line)
        assert found.facts
        left = found.facts
        assert (left.out, left.in_, left.seen) == (known.out, known.in_, known.seen)
        without: dict[str, Any] = {"answer_ns": 0, "trace_id": "", "span_id": ""}  # what changes
        if narrow.client:
            without["client"] = replace(narrow.client, port=0)
        assert found.record == (replace(narrow, **without) if found.form else narrow)


def is_remembered(line: bytes) -> bool:
    """Whether the line is read by its form."""
    return arrived(line).form is not None


def forms_of(sender: int, count: int) -> list[Incoming]:
    """That many records of a sender, all of one form."""
    found: list[Incoming] = []
    seq = 1
    while len(found) < count:
        one = arrived(line_of(sender, seq, time_ns=T0 + seq, trace_id=f"{seq:032x}"))
        found += [one] if one.form else []
        seq += 1
    return found
