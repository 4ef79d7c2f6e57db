"""A line on arrival: the record in it, and what store, counters and log files take from it, worked
out in one go.

Called for each line of a sidecar's batch, and by `app.ingest.writer` with what the mock answered. A
whole record is some 160 objects, and a batch of them is larger than a processor's cache: each
further look at them would cost as much as decoding them again. So only a narrow part is handed on.
"""

from collections.abc import Callable, Sequence
from functools import cache

from app.contract.masking.masker import Masker
from app.contract.record import CaptureRecord, decode
from app.contract.rules import RuleSet
from app.ingest.foreign import admitted
from app.logs.files import request_log
from app.store import Decoded
from app.store.facts import facts, narrowed

# How a rule reads the bodies it takes: (profile, rule) -> decoders of `app.contract.body`.
Decoders = Callable[[str, str], Sequence[str]]


@cache
def _no_profiles() -> Masker:
    return Masker(RuleSet())


def digest(line: bytes, decoders: Decoders, masker: Callable[[], Masker] = _no_profiles) -> Decoded:
    """`masker` is for fields that are not known here. Raises RecordError."""
    record = decode(line)
    return digested(record, admitted(line, record, masker), decoders)


def digested(record: CaptureRecord, line: bytes, decoders: Decoders) -> Decoded:
    """Of a record whose masked line is known. What remains of it is handed on."""
    known, log_line = facts(record, decoders(record.profile, record.rule)), request_log(record)
    return Decoded(narrowed(record), known, line, log_line)
