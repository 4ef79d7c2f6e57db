"""A record on arrival: what store, counters and log files take from it, worked out in one go.

Called for each record of a sidecar's batch as soon as it is decoded. A whole record is some 160
objects, and a batch of them is larger than a processor's cache: each further look at them would
cost as much as decoding them again. So they are looked at once, and only a narrow part is kept.
"""

from collections.abc import Sequence

from app.contract.record import CaptureRecord
from app.files import request_log
from app.store import Incoming
from app.store.rollup import facts


def digest(record: CaptureRecord, line: bytes, decoders: Sequence[str]) -> Incoming:
    """Takes query, headers, bodies and message out of `record`; `decoders` are its rule's."""
    known = facts(record, decoders)
    said = request_log(record)
    if record.request:
        record.request.query = []
        record.request.headers = []
        record.request.body = None
    if record.response:
        record.response.headers = []
        record.response.body = None
    record.message = None
    return Incoming(record, line, known, said)
