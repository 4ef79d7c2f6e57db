"""Lines on arrival, for tests of what is worked out of them: `same` says all that must hold."""

from typing import Any

import pytest

from app.contract.record import RecordError, Tls, decode, encode
from app.ingest.digest import digest
from app.logs.files import request_log
from app.store import Incoming
from app.store.facts import body_fields, facts, narrowed
from app.store.sqlite.repeated_lines import Repeated, RepeatedLines
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


def digested(line: bytes) -> Incoming:
    return digest(line, no_decoders)


arrived = RepeatedLines(digested)


def line_of(sender: int, seq: int, **given: Any) -> bytes:
    return encode(exchange(seq, boot=f"{sender:032x}", **(USUAL | given)))


def same(line: bytes) -> None:
    """Asserts that the line gives the same as its whole record, or is refused if it has none; also
    once its form is known."""
    try:
        record = decode(line)
    except RecordError:
        for _ in range(4):
            with pytest.raises(RecordError):
                arrived(line)
        return
    known = facts(record, ())
    log_line = request_log(record, body_fields(known), known.events)
    narrow = narrowed(record)
    for _ in range(4):
        found = arrived(line)
        assert (found.line, found.log_line) == (line, log_line)
        assert (found.facts, found.record) == (known, narrow)


def is_remembered(line: bytes) -> bool:
    """True if the line is read by its form."""
    return isinstance(arrived(line), Repeated)


def forms_of(sender: int, count: int) -> list[Incoming]:
    """Makes that many records of a sender, all of one form."""
    found: list[Incoming] = []
    seq = 1
    while len(found) < count:
        one = arrived(line_of(sender, seq, time_ns=T0 + seq, trace_id=f"{seq:032x}"))
        found += [one] if isinstance(one, Repeated) else []
        seq += 1
    return found
