"""Checks captures as they come: `telemock contract check --watch`."""

import time

from msgspec.structs import replace

from app.client.source import Source, end, is_asked
from app.contract.record import decode
from app.gate.behaviour import Behaviour
from app.gate.check import check
from app.gate.contract_file import Contract
from app.gate.stored import key_of, note_unsaid, scope_of
from app.store import CaptureQuery, Scope

_POLL_S = 1.0


def watch(
    source: Source, contract: Contract, profile: str, version: str | None, lasts_s: float
) -> Behaviour:
    """Returns at the first violation, or after that time. Raises what the source raises."""
    seen, unsaid = Behaviour(), 0
    decoders, words = source.decoders(), source.words()
    asked = scope_of(source.fields(Scope(profile=profile)) if version else (), profile, version)
    query = CaptureQuery(profile=profile, order="arrival", cursor=end(source), limit=500)
    until = time.monotonic() + lasts_s
    while True:
        page = source.page(query)
        for line in page.items:
            record = decode(line)
            if not is_asked(line, query):
                continue
            if asked.covers(key_of(record), record.product_version):
                seen.add(record, decoders, words)
            elif not record.product_version:
                unsaid += 1
        if check(contract, seen):
            break
        query = replace(query, cursor=page.last)
        if page.next is None:
            if (left := until - time.monotonic()) <= 0:
                break
            time.sleep(min(_POLL_S, left))
    note_unsaid(seen, unsaid)
    return seen
