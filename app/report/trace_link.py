"""Captures with a link to their trace, where TELEMOCK_TRACE_URL says how one is written.

Called by `app.api.read` for what it answers, and by the command line for what it reads from the
store itself. The stored record carries no link: the setting may change.
"""

import re

import msgspec

from app.settings import TRACE_ID

_HEX = re.compile(r"[0-9a-f]{32}")  # a sidecar may say anything


class _Traced(msgspec.Struct):
    trace_id: str = ""


_named = msgspec.json.Decoder(_Traced).decode


def linked(record: bytes, template: str) -> bytes:
    """The record (JSON) with `trace_url`; as it is without a template or a trace."""
    if not template:
        return record
    trace_id = _named(record).trace_id
    if not _HEX.fullmatch(trace_id):
        return record
    url = msgspec.json.encode(template.replace(TRACE_ID, trace_id))
    return record.rstrip()[:-1] + b',"trace_url":' + url + b"}"
