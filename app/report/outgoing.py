"""Adds fields for programs to captures on their way out.

`id` names the record, `time` is `time_ns` as ISO 8601 (no JavaScript number can hold it), and
`trace_url` links to the trace if TELEMOCK_TRACE_URL is set. The stored record has none of them:
they take room, and the setting may change. Called by `app.api.read` for its answers, and by the
command line when it reads the store itself.
"""

import re

import msgspec

from app.contract.instant import iso
from app.settings import TRACE_ID

_HEX = re.compile(r"[0-9a-f]{32}")  # a sidecar may send anything


class _Known(msgspec.Struct, gc=False):
    """The fields that are read; decoding skips the rest."""

    boot: str
    seq: int
    time_ns: int
    trace_id: str = ""


_known = msgspec.json.Decoder(_Known).decode


def outgoing(record: bytes, trace_url: str = "") -> bytes:
    """Adds `id` and `time` to the record (JSON), and `trace_url` given a template and a trace. They
    come last, because readers take the last of two fields with one name."""
    known = _known(record)
    added = f',"id":"{known.boot}-{known.seq}","time":"{iso(known.time_ns, 9)}"'.encode()
    if trace_url and _HEX.fullmatch(known.trace_id):
        url = trace_url.replace(TRACE_ID, known.trace_id)
        added += b',"trace_url":' + msgspec.json.encode(url)
    return record.rstrip()[:-1] + added + b"}"
