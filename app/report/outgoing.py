"""Captures as they go out: as they are kept, and with what programs ask for beside it.

`id` names the record, `time` says `time_ns` as ISO 8601 (a number of JavaScript cannot hold it),
`trace_url` leads to its trace where TELEMOCK_TRACE_URL says how a link is written. None of them is
kept: the setting may change, and they would cost room. Called by `app.api.read` for what it
answers, and by the command line for what it reads from the store itself.
"""

import re

import msgspec

from app.contract.instant import iso
from app.settings import TRACE_ID

_HEX = re.compile(r"[0-9a-f]{32}")  # a sidecar may say anything


class _Known(msgspec.Struct, gc=False):
    """The fields that matter here: the rest of a record is skipped unread."""

    boot: str
    seq: int
    time_ns: int
    trace_id: str = ""


_known = msgspec.json.Decoder(_Known).decode


def outgoing(record: bytes, trace_url: str = "") -> bytes:
    """The record (JSON) with `id` and `time`; with `trace_url` where there is a template for it and
    the record has a trace. They come last: of a name that stands twice readers take the last."""
    known = _known(record)
    added = f',"id":"{known.boot}-{known.seq}","time":"{iso(known.time_ns, 9)}"'.encode()
    if trace_url and _HEX.fullmatch(known.trace_id):
        url = trace_url.replace(TRACE_ID, known.trace_id)
        added += b',"trace_url":' + msgspec.json.encode(url)
    return record.rstrip()[:-1] + added + b"}"
