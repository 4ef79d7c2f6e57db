"""Digests a line on arrival: decodes its record, and derives in one pass all that the store,
counters and log files need.

Called for each line of a sidecar's batch, and by `app.ingest.writer` with the mock's own. A whole
record is some 160 objects, and a batch of them exceeds a processor's cache: to read them again
would cost as much as to decode them again. So only a narrow part is handed on.
"""

from collections.abc import Callable, Sequence
from functools import cache

from app.contract.masking.masker import Masker
from app.contract.record import CaptureRecord, decode
from app.contract.rules import RuleSet
from app.ingest.foreign import admitted
from app.logs.files import request_log
from app.store import Decoded
from app.store.facts import body_fields, facts, narrowed

# (profile, rule) -> decoders of `app.contract.body` for bodies that the rule takes.
Decoders = Callable[[str, str], Sequence[str]]


@cache
def _no_profiles() -> Masker:
    return Masker(RuleSet())


def digest(line: bytes, decoders: Decoders, masker: Callable[[], Masker] = _no_profiles) -> Decoded:
    """Digests a line. `masker` masks fields that are unknown here. Raises RecordError."""
    record = decode(line)
    return digested(record, admitted(line, record, masker), decoders)


def digested(record: CaptureRecord, line: bytes, decoders: Decoders) -> Decoded:
    """Digests a record whose masked line is known; narrows the record in place."""
    known = facts(record, decoders(record.profile, record.rule))
    body = record.request and record.request.body
    log_line = request_log(record, body_fields(known) if body else None, known.events)
    return Decoded(narrowed(record), known, line, log_line)
