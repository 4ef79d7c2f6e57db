"""Adds a link to their trace to captures, if TELEMOCK_TRACE_URL is set.

Called by `app.api.read` for its answers, and by the command line when it reads the store itself.
The stored record carries no link: the setting may change.
"""

import re

import msgspec

from app.settings import TRACE_ID

_HEX = re.compile(r"[0-9a-f]{32}")  # a sidecar may send anything


class _Traced(msgspec.Struct):
    trace_id: str = ""


_named = msgspec.json.Decoder(_Traced).decode


def linked(record: bytes, template: str) -> bytes:
    """Adds `trace_url` to the record (JSON); leaves it as it is without a template or a trace."""
    if not template:
        return record
    trace_id = _named(record).trace_id
    if not _HEX.fullmatch(trace_id):
        return record
    url = msgspec.json.encode(template.replace(TRACE_ID, trace_id))
    return record.rstrip()[:-1] + b',"trace_url":' + url + b"}"
