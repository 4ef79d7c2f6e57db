"""A line on arrival: the record in it, and what store, counters and log files take from it, worked
out in one go.

Called for each line of a sidecar's batch. A whole record is some 160 objects, and a batch of them
is larger than a processor's cache: each further look at them would cost as much as decoding them
again. So only a narrow part is kept, and of a line that has a form
(`app.store.sqlite.repeated_lines`) only its values.
"""

from collections.abc import Callable
from functools import cache

from app.contract.masking.masker import Masker
from app.contract.record import decode
from app.contract.rules import RuleSet
from app.ingest.foreign import admitted
from app.logs.files import request_log
from app.store import Decoders, Incoming
from app.store.sqlite.repeated_lines import HEAD, Lines, keep, learn, narrowed
from app.store.sqlite.repeated_lines import said as said_by_form
from app.store.sqlite.rollup import facts

_SENDERS = 2_048  # that are remembered
_FORMS = 2  # of one of them


class _Sender:
    """A start of a sidecar, with the forms of its lines: the last that came is the first."""

    __slots__ = ("_missed", "forms")

    def __init__(self) -> None:
        self.forms: tuple[Lines, ...] = ()
        self._missed = 0

    def misses(self) -> bool:
        """Whether the form of a line that has none is to be learned. That costs as much as decoding
        it twice, so of one who never sends the same only the 2nd, 4th, 8th … is."""
        self._missed += 1
        return self._missed > 1 and not self._missed & (self._missed - 1)


_senders: dict[bytes, _Sender] = {}


@cache
def _no_profiles() -> Masker:
    return Masker(RuleSet())


def digest(
    line: bytes, decoders: Decoders, masker: Callable[[], Masker] = _no_profiles
) -> Incoming:
    """The record is without its query, headers, bodies and message; where there is a form, also
    without ids, client's port and time of the answer. `masker` is for fields that are not known
    here. Raises RecordError."""
    head = HEAD.match(line)
    sender = head and (_senders.get(head[1]) or keep(_senders, head[1], _Sender(), _SENDERS))
    if head and sender:
        for form in sender.forms:
            if usual := form.read(line, head):
                if form is not sender.forms[0]:
                    sender.forms = (form, *(f for f in sender.forms if f is not form))
                return usual
    record = decode(line)
    kept = admitted(line, record, masker)
    known = facts(record, decoders(record.profile, record.rule))
    log_line = request_log(record)
    if head and sender and kept == line and sender.misses():
        learned = learn(line, head, record, known, log_line)
        if learned:
            sender.forms = (learned, *sender.forms[: _FORMS - 1])
    return Incoming(narrowed(record), kept, known, log_line)


def said(incoming: Incoming) -> bytes:
    """Its line in the request log, b"" for none."""
    record, form = incoming.record, incoming.form
    if form:
        return said_by_form(form, record, incoming.kept)
    return request_log(record) if incoming.said is None else incoming.said
